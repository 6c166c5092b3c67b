"""The sketch of docs/anchong-1-device.md: its deciding half, compiled, does what the reference device does."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from firmware_bridge.codecs import anchong1 as codec
from simulators.twins.anchong1 import AnchongConfig, AnchongTwin
from tests.bridge.yard import Lamp

PAGE = (Path(__file__).parents[2] / "docs" / "anchong-1-device.md").read_text(encoding="utf-8")
OUTLETS = 2
MAIN = """
#include "socket.h"
#include <cstdio>
int main(int, char** argv) {
  Socket<2> device(argv[1]);
  unsigned long long now, n; int what, retained, outlet; char id[40], boot[40]; double heard, lease, limit, most, watts;
  while (scanf("%llu %d %39s %39s %d %llu %lf %lf %lf %lf %d %lf", &now, &what, id, boot, &outlet, &n, &heard, &lease,
               &limit, &most, &retained, &watts) == 12) {
    const char* why = "";
    device.tick(now);
    for (int i = 0; i < 2; i++) device.measured(i, device.outlet[i].on ? watts : 0, now);
    if (what >= 0) {
      Command c;
      c.what = (Do)what;
      strncpy(c.id, id, 32);
      strncpy(c.boot, boot[0] == '-' ? "" : boot, 32);
      c.outlet = outlet; c.n = n; c.heard_up_s = heard; c.lease_s = lease; c.limit_w = limit; c.lease_max_s = most;
      c.retained = retained;
      why = device.obey(c, now);
      for (int i = 0; i < 2; i++) device.measured(i, device.outlet[i].on ? watts : 0, now);
    }
    Outlet* o = device.outlet;
    printf("%s %d %d %s %s %llu %llu\\n", why ? (*why ? why : "-") : "ok", o[0].on, o[1].on, o[0].off_by, o[1].off_by,
           (unsigned long long)o[0].n, (unsigned long long)o[1].n);
  }
}
"""
DO = ("on", "off", "ask", "set")
Step = dict[str, Any]


def block(name: str) -> str:
    found = re.search(rf"## `{re.escape(name)}`\n.*?```cpp\n(.*?)```", PAGE, re.DOTALL)
    assert found, name
    return found[1]


@pytest.fixture(scope="module")
def sketch(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[Step], str], list[list[str]]]:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler is installed (apt-get install g++)")
    folder = tmp_path_factory.mktemp("sketch")
    (folder / "socket.h").write_text(block("socket.h"), encoding="utf-8")
    (folder / "main.cpp").write_text(MAIN, encoding="utf-8")
    strict = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
    subprocess.run([compiler, *strict, "-o", folder / "socket", folder / "main.cpp"], check=True)

    def played(steps: Sequence[Step], boot: str) -> list[list[str]]:
        lines = "".join(_line(step, boot) for step in steps)
        done = subprocess.run([folder / "socket", boot], input=lines, capture_output=True, text=True, check=True)
        return [line.split() for line in done.stdout.splitlines()]

    return played


def _line(step: Step, boot: str) -> str:
    what = DO.index(step["do"]) if "do" in step else -1
    figures = [step.get(name, -1) for name in ("heard_up_s", "lease_s", "limit_w", "lease_max_s")]
    named = step.get("boot", "-") or boot
    head = [round(step["at_s"] * 1000), what, step.get("id", "-"), named, step.get("outlet", 0), step.get("n", 0)]
    return " ".join(map(str, [*head, *figures, int(step.get("retained", False)), 60])) + "\n"


class Reference:
    """The twin, given the same steps."""

    def __init__(self) -> None:
        self.twin = AnchongTwin(AnchongConfig(device="d", power_max_w=2300.0), [Lamp(60.0)] * OUTLETS, 0.0)
        self.twin.start(0.0)
        self.boot = self.twin.inside.boot_id

    def does(self, step: Step) -> list[str]:
        said = list(self.twin.advance(step["at_s"]))
        word = "-"
        if "do" in step:
            command = {name: value for name, value in step.items() if name not in ("at_s", "retained")}
            if "boot" in command:
                command["boot"] = command["boot"] or self.boot
            payload = json.dumps(command).encode()
            said = self.twin.receive(codec.down("d"), payload, bool(step.get("retained")), step["at_s"])
            ack = next(json.loads(one.payload) for one in said if one.topic.endswith("/ack"))
            word = "ok" if ack["ok"] else ack["why"]
        on = [str(int(outlet.on)) for outlet in self.twin.outlets]
        by = [outlet.off_by for outlet in self.twin.outlets]
        return [word, *on, *by, *(str(outlet.n) for outlet in self.twin.outlets)]


def orders(seed: int, count: int) -> list[Step]:
    """Mostly right ones, of a gateway that is doubled, late, replayed, or wrong in one way. Time in tenths."""
    random, at_s, made, numbers = Random(seed), 0.0, list[Step](), [0, 0]
    for number in range(count):
        at_s = round(at_s + random.choice([0.1, 0.5, 1.0, 7.0, 31.0]), 1)
        if made and random.random() < 0.2:
            made.append({**random.choice(made), "at_s": at_s})
            continue
        outlet, do = random.randint(1, OUTLETS), random.choice(["on", "on", "on", "off", "ask", "set"])
        numbers[outlet - 1] += 1
        step: Step = {"at_s": at_s, "do": do, "id": f"i{number}"}
        if do != "ask":
            step |= {"outlet": outlet, "boot": "", "heard_up_s": round(max(0.0, at_s - random.choice([0, 9, 59])), 1)}
        if do in ("on", "off"):
            step["n"] = numbers[outlet - 1]
        if do == "on":
            step |= {"lease_s": random.choice([1, 5, 60, 300])}
        if do == "set":
            step |= {"lease_max_s": random.choice([20, 120, 900])}
        made.append(_odd(step, random) if do != "ask" and random.random() < 0.3 else step)
    return made


def _odd(step: Step, random: Random) -> Step:
    odds: list[Step] = [{"boot": "another-start"}, {"n": 1}, {"outlet": 3}, {"heard_up_s": 1e6}, {"heard_up_s": 0.0}]
    odd = random.choice([*odds, {"retained": True}, {"limit_w": 9_999}])
    return {**step, **odd}


@pytest.mark.parametrize("seed", range(5))
def test_the_sketch_answers_and_switches_as_the_reference_device_does(
    sketch: Callable[[Sequence[Step], str], list[list[str]]], seed: int
) -> None:
    steps, reference = orders(seed, 400), Reference()

    expected = [reference.does(step) for step in steps]

    for step, theirs, ours in zip(steps, sketch(steps, reference.boot), expected, strict=True):
        assert theirs == ours, step
    answers = {line[0] for line in expected}
    assert answers >= {"ok", "old", "boot", "stale", "outlet", "retained", "limit", "lease"}


def test_the_sketch_cuts_by_lease_and_by_limit_and_a_repeat_lengthens_nothing(
    sketch: Callable[[Sequence[Step], str], list[list[str]]],
) -> None:
    on = {"do": "on", "id": "a", "outlet": 1, "boot": "", "n": 1, "heard_up_s": 0, "lease_s": 5}
    limited = {**on, "id": "b", "n": 2, "limit_w": 50, "lease_s": 60}
    steps: list[Step] = [{"at_s": 0.0, **on}, {"at_s": 4.0, **on}, {"at_s": 4.9}, {"at_s": 5.0}, {"at_s": 6.0, **on}]
    steps += [{"at_s": 7.0, **limited}, {"at_s": 8.9}, {"at_s": 9.0}]

    told = [(line[0], line[1], line[3]) for line in sketch(steps, "5f2c9a7be1d04433")]

    lit = [("ok", "1"), ("ok", "1"), ("-", "1"), ("-", "0"), ("ok", "0"), ("ok", "1"), ("-", "1"), ("-", "0")]
    assert [(word, on_) for word, on_, _ in told] == lit
    assert (told[3][2], told[7][2]) == ("lease", "overload")


def test_an_on_without_a_lease_is_none_for_the_sketch(
    sketch: Callable[[Sequence[Step], str], list[list[str]]],
) -> None:
    on = {"at_s": 1.0, "do": "on", "outlet": 1, "boot": "", "n": 1, "heard_up_s": 0}
    steps = [{**on, "id": "a"}, {**on, "id": "b", "lease_s": 0}, {**on, "id": "c", "lease_s": 901}]

    assert [line[:2] for line in sketch(steps, "5f2c9a7be1d04433")] == [
        ["no_lease", "0"],
        ["malformed", "0"],
        ["malformed", "0"],
    ]
