"""`anchong conformance`: passes the reference device, and fails each device that is wrong in one way."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from anchong.conformance import Result, conformance, results
from anchong.conformance_bench import Bench, Heard
from anchong.conformance_checks import CHECKS
from anchong.doctor_broker import Talker
from controller.clock import FastClock
from firmware_bridge.codecs import anchong1 as codec
from firmware_bridge.transports.mqtt_client import MqttSettings
from simulators.fleet import BrokerAt, Fleet, Plug
from simulators.twins.anchong1 import AnchongConfig, AnchongTwin, Firmware
from simulators.twins.anchong1_outlet import Outlet
from simulators.twins.contact import FOREVER_S, Publish
from tests.house import Broker, eventually

ACL = Path(__file__).parents[2] / "deploy" / "mosquitto.acl"
NAME = "socket-7"
T0 = 1_800_000_000.0
FACTOR = 5.0
APP = typer.Typer()
APP.command()(conformance)


class Lamp:
    def draw_w(self, dt_s: float) -> float:
        return 60.0


class TwinWire:
    """A twin on a broker that keeps what it should, on virtual time. It has run for an hour."""

    error = ""

    def __init__(self, inside: type[Firmware], outlets: int = 2) -> None:
        self.at_s = T0
        self.twin = AnchongTwin(AnchongConfig(device=NAME), [Lamp() for _ in range(outlets)], T0, inside)
        self._kept: dict[str, Publish] = {}
        self._fresh: list[Heard] = []
        self._carry(self.twin.start(T0))
        self.at_s += 3600.0
        self._carry(self.twin.advance(self.at_s))
        self._fresh = [self._heard(kept, retained=True) for kept in self._kept.values()]

    def _carry(self, said: Sequence[Publish]) -> None:
        self._kept |= {one.topic: one for one in said if one.retain}
        self._fresh += [self._heard(one) for one in said]

    def _heard(self, one: Publish, *, retained: bool = False) -> Heard:
        return Heard(self.at_s, one.topic.rpartition("/")[2], one.payload, retained)

    def now_s(self) -> float:
        return self.at_s

    def say(self, payload: bytes) -> None:
        self._carry(self.twin.receive(codec.down(NAME), payload, False, self.at_s))

    def heard(self, within_s: float) -> Sequence[Heard]:
        if not self._fresh:
            self.at_s = min(self.at_s + within_s, max(self.at_s, self.twin.next_wake_s()))
            self._carry(self.twin.advance(self.at_s))
        fresh, self._fresh = self._fresh, []
        return fresh

    def kick(self, keep: bytes) -> str:
        self._carry([self.twin.will()])
        self._carry(self.twin.back(self.at_s))
        self._carry(self.twin.receive(codec.down(NAME), keep, True, self.at_s))
        return ""

    def close(self) -> None:
        pass

    def pull_its_plug(self, wish: str) -> bool:
        self._carry(self.twin.power_cycle(self.at_s))
        return True


def run(inside: type[Firmware] = Firmware) -> list[Result]:
    wire = TwinWire(inside)
    return list(results(Bench(wire, NAME), quick=False, person=wire.pull_its_plug))


# -- devices that are wrong ---------------------------------------------------------------------------------------


class WithoutALease(Firmware):
    """Its timer was forgotten."""

    def due_s(self) -> float:
        for outlet in self.outlets:
            outlet.lease_ends_s = self.at_s + 30.0 if outlet.on else FOREVER_S
        return super().due_s()


class ObeysWithoutALease(Firmware):
    def hear(self, topic: str, payload: bytes) -> None:
        try:
            command = json.loads(payload)
        except ValueError:
            command = None
        if isinstance(command, dict) and command.get("do") == "on" and "lease_s" not in command:
            payload = json.dumps({**command, "lease_s": 600}).encode()
        super().hear(topic, payload)


class ActsTwice(Firmware):
    """The same command again is a new one."""

    def repeats(self, kind: str, id_: str) -> bool:
        return False

    def refuses(self, order: codec.On, *, retained: bool) -> str | None:
        why = super().refuses(order, retained=retained)
        return None if why == "old" and order.n == self.outlets[order.outlet - 1].n else why


class AnswersTwice(Firmware):
    def ack(self, kind: str, id_: str, why: str | None, outlet: int | None) -> None:
        super().ack(kind, id_, why, outlet)
        self._say_ack(id_, why, outlet)


class StandsStill(Firmware):
    def next_seq(self) -> int:
        return max(self.seq, 1)


class SpeaksSeldom(Firmware):
    def say_state(self, outlet: Outlet) -> None:
        super().say_state(outlet)
        outlet.report_at_s += 30.0


class ObeysReplays(Firmware):
    def refuses(self, order: codec.On, *, retained: bool) -> str | None:
        why = super().refuses(order, retained=retained)
        return None if why == "old" else why


class ObeysAnotherStart(Firmware):
    def refuses_setting(self, order: codec.On | codec.Set, *, retained: bool) -> str | None:
        why = super().refuses_setting(order, retained=retained)
        return None if why == "boot" else why


class ObeysWhatIsStale(Firmware):
    def refuses_setting(self, order: codec.On | codec.Set, *, retained: bool) -> str | None:
        why = super().refuses_setting(order, retained=retained)
        return None if why == "stale" else why


class ObeysTheBroker(Firmware):
    """A retained command is one like any other."""

    def refuses_setting(self, order: codec.On | codec.Set, *, retained: bool) -> str | None:
        return super().refuses_setting(order, retained=False)


class IsPickyAboutOff(Firmware):
    def hear(self, topic: str, payload: bytes) -> None:
        odd = payload.startswith(b'{"do": "off"') and self.boot_id.encode() not in payload
        if not odd:
            super().hear(topic, payload)


class ComesBackOn(Firmware):
    def boot(self, *, cold: bool) -> None:
        before = [outlet.on for outlet in self.outlets]
        super().boot(cold=cold)
        for outlet, on in zip(self.outlets, before, strict=True):
            outlet.on, outlet.lease_ends_s = on, self.at_s + 100.0


class KeepsItsBootId(Firmware):
    def _new_boot_id(self) -> str:
        return "always-the-same"


class DiesSilently(Firmware):
    def available(self, *, there: bool) -> Publish:
        return super().available(there=True)


class DoesNotRenew(Firmware):
    def switch_on(self, outlet: Outlet, order: codec.On) -> None:
        before_s = outlet.lease_ends_s
        super().switch_on(outlet, order)
        outlet.lease_ends_s = min(before_s, outlet.lease_ends_s)


class SwitchesTheNeighbour(Firmware):
    def switch_on(self, outlet: Outlet, order: codec.On) -> None:
        for each in self.outlets:
            super().switch_on(each, order)


class HasNoLimit(Firmware):
    def watch(self) -> None:
        self.outlets[0].limit_w, before_w = 1e9, self.outlets[0].limit_w
        self.outlets[0]._on_limit_w = 1e9
        super().watch()
        self.outlets[0].limit_w = before_w


class CountsBackwards(Firmware):
    def say_state(self, outlet: Outlet) -> None:
        outlet.total_wh = 1000.0 - self.seq
        super().say_state(outlet)


class FallsOverGarbage(Firmware):
    def hear(self, topic: str, payload: bytes) -> None:
        super().hear(topic, payload)
        if not payload.startswith(b"{"):
            self.boot(cold=False)


class FallsOverAnOff(Firmware):
    def hear(self, topic: str, payload: bytes) -> None:
        super().hear(topic, payload)
        if b'"n": "x"' in payload:
            self.boot(cold=False)


class IsDeaf(Firmware):
    def hear(self, topic: str, payload: bytes) -> None:
        pass


class SaysWhatIsNoNumber(Firmware):
    def say_state(self, outlet: Outlet) -> None:
        super().say_state(outlet)
        last = self.said[-1]
        self.said[-1] = Publish(last.topic, last.payload.replace(b'"voltage_v":230.0', b'"voltage_v":"230"'))


class ForgetsItsSettings(Firmware):
    def say_settings(self, outlet: Outlet) -> None:
        outlet.lease_max_s = codec.LEASE_S_MAX
        super().say_settings(outlet)


WRONG: dict[type[Firmware], str] = {
    WithoutALease: "cuts by its lease, whatever is doubled",
    ObeysWithoutALease: "refuses an on without a lease",
    ActsTwice: "cuts by its lease, whatever is doubled",
    AnswersTwice: "obeys an on, and answers once",
    StandsStill: "messages are numbered",
    SpeaksSeldom: "reports every 10 s while on",
    ObeysReplays: "does not obey a replayed on",
    ObeysAnotherStart: "refuses what is meant for another start",
    ObeysWhatIsStale: "refuses what is stale",
    ObeysTheBroker: "leaves a will, and refuses what the broker kept",
    IsPickyAboutOff: "goes off whatever the off says",
    ComesBackOn: "is off after the mains, and takes no command of before",
    KeepsItsBootId: "is off after the mains, and takes no command of before",
    DiesSilently: "leaves a will, and refuses what the broker kept",
    DoesNotRenew: "starts its lease over when renewed",
    SwitchesTheNeighbour: "obeys an on, and answers once",
    HasNoLimit: "cuts by its own limit",
    CountsBackwards: "the counter only rises",
    FallsOverGarbage: "survives garbage",
    FallsOverAnOff: "does not restart by itself",
    IsDeaf: "tells all when asked",
    SaysWhatIsNoNumber: "every message is of the form",
    ForgetsItsSettings: "keeps its settings",
}


def test_the_reference_device_passes_every_check() -> None:
    told = run()

    assert [one for one in told if one.outcome != "pass"] == []
    assert len(told) == len(CHECKS) + 5


@pytest.mark.parametrize("inside", WRONG, ids=lambda inside: inside.__name__)
def test_a_device_that_is_wrong_in_one_way_fails_where_it_is(inside: type[Firmware]) -> None:
    failed = {one.check: one.says for one in run(inside) if one.outcome == "fail"}

    assert WRONG[inside] in failed, failed
    assert all(failed.values())


def test_what_nobody_can_do_is_skipped_and_says_why() -> None:
    told = list(results(Bench(TwinWire(Firmware), NAME), quick=True, person=None))

    assert {one.says for one in told if one.outcome == "skipped"} == {
        "--quick",
        "--unattended: nobody to cut its mains",
    }
    assert not [one for one in told if one.outcome == "fail"]


def test_a_person_who_declines_is_no_failure() -> None:
    told = list(results(Bench(TwinWire(Firmware), NAME), quick=True, person=lambda wish: False))

    assert {one.check: one.outcome for one in told}[
        "is off after the mains, and takes no command of before"
    ] == "skipped"


def test_a_device_that_is_not_connected_is_one_failure_and_the_rest_is_skipped() -> None:
    wire = TwinWire(IsDeaf)
    wire._fresh.append(wire._heard(wire.twin.will(), retained=True))

    first, *rest = results(Bench(wire, NAME), quick=True, person=None)

    assert (first.outcome, first.says[:19]) == ("fail", "it is not connected")
    assert {one.outcome for one in rest[:-4]} == {"skipped"}


class Chaos(TwinWire):
    """Says anything, or nothing, and starts anew when it likes."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        super().__init__(Firmware)

    def _carry(self, said: Sequence[Publish]) -> None:
        super()._carry([self._odd(one) for one in said if self._random.random() > 0.03])
        if self._random.random() < 0.01:
            super()._carry(self.twin.power_cycle(self.at_s))

    def _odd(self, one: Publish) -> Publish:
        if self._random.random() > 0.05:
            return one
        cut = self._random.randrange(len(one.payload))
        return Publish(one.topic, one.payload[:cut] + self._random.randbytes(2) + one.payload[cut + 1 :], one.retain)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_a_device_says_each_check_has_an_outcome(seed: int) -> None:
    wire = Chaos(seed)

    told = list(results(Bench(wire, NAME), quick=False, person=wire.pull_its_plug))

    assert len(told) == len(CHECKS) + 5
    assert any(one.outcome == "fail" for one in told)


# -- over a real broker -------------------------------------------------------------------------------------------


@pytest.fixture
def device(mosquitto: Callable[..., Broker]) -> Iterator[Callable[[type[Firmware]], Broker]]:
    """Plays a device of this kind on a broker with the rights that we ship."""
    broker = mosquitto(users={"gateway": "word", NAME: "word"}, acl=ACL.read_text(encoding="utf-8"))
    fleets: list[Fleet] = []

    def played(inside: type[Firmware]) -> Broker:
        clock = FastClock(FACTOR, time.time())
        twin = AnchongTwin(AnchongConfig(mac="01", device=NAME), [Lamp()], clock.now().at, inside)
        fleets.append(Fleet([Plug(twin, BrokerAt(broker.host, broker.port, NAME, "word"), clock)]))
        fleets[-1].start()
        with Talker(MqttSettings(host=broker.host, port=broker.port, user="gateway", password="word"), "") as ear:
            ear.listen(codec.up(NAME, codec.ONLINE))
            eventually(lambda: ear.heard)
        return broker

    yield played
    for fleet in fleets:
        fleet.stop()


def run_at(broker: Broker, *more: str) -> Any:
    where = [
        "--broker",
        f"{broker.host}:{broker.port}",
        "--user",
        "gateway",
        "--password-env",
        "WORD",
        "--device",
        NAME,
    ]
    how = ["--client-id", "sim-01", "--quick", "--unattended", "--factor", str(FACTOR), *more]
    return CliRunner().invoke(APP, [*where, *how], env={"WORD": "word"})


def test_a_device_is_run_through_over_a_real_broker(device: Callable[[type[Firmware]], Broker]) -> None:
    """What depends on the broker: order and answer, a will, and what is kept. The rest is the same on any wire."""
    broker = device(Firmware)

    order, kept = (json.loads(run_at(broker, "--json", "--only", word).stdout) for word in ("obeys an on", "kept"))

    assert [one for one in (*order["checks"], *kept["checks"]) if one["outcome"] != "pass"] == []
    assert (order["device"], order["pass"], order["fail"]) == (NAME, 7, 0)
    assert msgspec.convert(kept["checks"], list[Result])[2].check == "leaves a will, and refuses what the broker kept"


# -- the command ----------------------------------------------------------------------------------------------


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs the command with a twin of this kind at the other end."""

    def run(inside: type[Firmware], *more: str) -> Any:
        monkeypatch.setattr("anchong.conformance.BrokerWire", lambda *_: TwinWire(inside))
        return CliRunner().invoke(APP, ["--device", NAME, "--quick", "--unattended", *more])

    return run


def test_each_check_is_a_line_and_the_last_one_counts_them(played: Callable[..., Any]) -> None:
    done = played(ObeysWithoutALease, "--only", "without a lease")

    assert done.exit_code == 1
    assert "fail    refuses an on without a lease: obeyed: " in done.stdout
    assert done.stdout.splitlines()[-1] == f"{NAME}: 6 passed, 1 failed, 0 skipped"


def test_a_sound_device_is_exit_0_and_json_if_asked_for(played: Callable[..., Any]) -> None:
    done = played(Firmware, "--json")

    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["device"], answer["fail"], answer["skipped"]) == (0, NAME, 0, 3)
    assert len(msgspec.convert(answer["checks"], list[Result])) == len(CHECKS) + 5


@pytest.mark.parametrize("answer", ["s\n", ""])
def test_who_is_asked_may_decline_or_not_be_there(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("anchong.conformance.BrokerWire", lambda *_: TwinWire(Firmware))

    done = CliRunner().invoke(APP, ["--device", NAME, "--only", "after the mains"], input=answer)

    assert (done.exit_code, "Pull the device's own plug" in done.stderr) == (0, True)
    assert "skipped is off after the mains, and takes no command of before: nobody to cut its mains" in done.stdout


# -- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--broker", "somewhere", "--device", "a"], "--broker somewhere: must be host:port"),
        (["--device", "a/b"], "--device a/b: a name is of letters"),
        (["--device", "+"], "--device +: a name is of letters"),
        (["--device", "a", "--broker", "127.0.0.1:1"], "127.0.0.1:1 does not let us in"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: list[str], line: str) -> None:
    done = CliRunner().invoke(APP, arguments)

    assert done.exit_code == 2
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
