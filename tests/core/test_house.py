"""The rules of the house that no linter knows."""

import re
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.core.reasons import OCPP_STOPPED_REASON, StopReason
from tests import house

ROOT = Path(__file__).parents[2]
FOLDERS = (
    ".ci",
    "anchong",
    "api",
    "controller",
    "deploy",
    "docs",
    "firmware_bridge",
    "requirements",
    "simulators",
    "tests",
)
TEXT = {".acl", ".conf", ".md", ".py", ".toml", ".txt", ".yaml", ".html", ".js", ".css", ".po", ".json", ".jsonl", ""}
# OCPP 2.0.1 part 2, ReasonEnumType
OCPP_REASONS = (
    "DeAuthorized EmergencyStop EnergyLimitReached EVDisconnected GroundFault ImmediateReset Local LocalOutOfCredit "
    "MasterPass Other OvercurrentFault PowerLoss PowerQuality Reboot Remote SOCLimitReached StoppedByEV "
    "TimeLimitReached Timeout"
)
ELSEWHERE = re.compile(r"/[w]ork/|\.\./[s]hared|p[y]pi\.org|p[y]thonhosted|registry\.n[p]mjs")
UNFINISHED = re.compile(r"T[O]DO|F[I]XME|X[X]X|NotImpl[e]mentedError|# type: ignor[e]$", re.MULTILINE)
SLEEPS = re.compile(r"\bsl[e]ep\(")
PACED = ("anchong/bench", "simulators")  # a load has a pace, and a figure is taken in real time


def test_every_stop_reason_has_a_reason_of_ocpp() -> None:
    assert set(OCPP_STOPPED_REASON) == set(StopReason)
    assert set(OCPP_STOPPED_REASON.values()) <= set(OCPP_REASONS.split())


@pytest.mark.parametrize("pins", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_a_requirement_is_a_name_and_a_version_and_nothing_else(pins: Path) -> None:
    lines = [line for line in pins.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]

    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []


def test_what_the_package_asks_for_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = _pinned("run") | _pinned("demo")

    asked = [*project["dependencies"], *project["optional-dependencies"]["demo"]]

    assert {_name(line) for line in asked} <= pinned


def test_nothing_points_at_one_machine_or_one_mirror() -> None:
    assert [f"{path}: {found}" for path, found in _found(ELSEWHERE)] == []


def test_nothing_is_left_unfinished_or_silenced() -> None:
    assert [f"{path}: {found}" for path, found in _found(UNFINISHED) if path.suffix == ".py"] == []


def test_no_thread_sleeps_where_it_could_wait() -> None:
    sleeping = [str(path) for path, _ in _found(SLEEPS) if path.suffix == ".py"]

    assert [path for path in sleeping if not path.startswith(PACED)] == ["api/pages/scan.py"]


def test_a_module_opens_with_one_sentence() -> None:
    silent = [
        path
        for path in _texts()
        if path.suffix == ".py" and path.stat().st_size and not path.read_text(encoding="utf-8").startswith('"""')
    ]

    assert silent == []


def test_a_test_can_reach_this_machine_and_no_other() -> None:
    with pytest.raises(house.LeftHomeError):
        socket.create_connection(("192.0.2.1", 80), timeout=0.1)

    assert not house.answers(house.free_port())


def _pinned(name: str) -> set[str]:
    return {_name(line) for line in (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8").splitlines()}


def _name(line: str) -> str:
    return re.split(r"[\[=<>~ ]", line, maxsplit=1)[0].lower().replace("_", "-")


def _found(words: re.Pattern[str]) -> Iterator[tuple[Path, str]]:
    for path in _texts():
        for match in words.finditer(path.read_text(encoding="utf-8")):
            yield path.relative_to(ROOT), match.group()


def _texts() -> Iterator[Path]:
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXT)
    for folder in FOLDERS:
        yield from (path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix in TEXT)
