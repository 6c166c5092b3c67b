"""systemd hears of us from the decider alone: ready after its first step, alive while it steps, else silent."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anchong.watchdog import Watchdog
from anchong.wiring import Gateway, Plan
from controller.clock import HandClock, RealClock
from controller.core import events as ev
from controller.core.state import Rules
from firmware_bridge.transports.memory import MemoryBroker, MemoryTransport
from tests.house import eventually, needs

UNIT = Path(__file__).parents[2] / "deploy" / "anchong.service"


class Manager:
    """systemd's end of the notify socket."""

    def __init__(self, address: str) -> None:
        self.wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.wire.bind("\0" + address[1:] if address.startswith("@") else address)
        self.wire.settimeout(5.0)
        self.environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000", "WATCHDOG_PID": str(os.getpid())}

    def heard(self) -> list[str]:
        return self.wire.recv(4096).decode().split("\n")

    def silent(self) -> bool:
        self.wire.setblocking(False)
        try:
            self.wire.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self.wire.settimeout(5.0)
        return False

    def drained(self) -> list[str]:
        found: list[str] = []
        self.wire.setblocking(False)
        try:
            while True:
                found += self.wire.recv(4096).decode().split("\n")
        except BlockingIOError:
            self.wire.settimeout(5.0)
            return found


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(
        str(tmp_path / "notify") if request.param == "path" else f"@anchong-test-{os.getpid()}-{id(tmp_path)}"
    )
    yield made
    made.wire.close()


def test_ready_comes_with_the_first_step_after_the_start(manager: Manager) -> None:
    now_s = [0.0]
    watchdog = Watchdog(manager.environ, lambda: now_s[0])
    watchdog.status = lambda: "3 of 9 outlets charge"
    watchdog.stepped()
    assert "READY=1" not in manager.heard()

    watchdog.started()
    assert manager.silent()
    watchdog.stepped()

    assert manager.heard() == ["READY=1", "WATCHDOG=1", "STATUS=3 of 9 outlets charge"]
    now_s[0] = 1.0
    watchdog.stepped()
    assert "READY=1" not in manager.heard()


def test_a_thousand_steps_a_second_are_told_a_few_times(manager: Manager) -> None:
    now_s = [0.0]
    watchdog = Watchdog(manager.environ, lambda: now_s[0])
    watchdog.started()
    for _ in range(1_000):
        watchdog.stepped()
        now_s[0] += 0.001

    assert 8 <= manager.drained().count("WATCHDOG=1") <= 11  # each quarter of 0.4 s


def test_a_manager_that_does_not_read_holds_nobody_up(manager: Manager) -> None:
    now_s = [0.0]
    watchdog = Watchdog(manager.environ, lambda: now_s[0])
    for _ in range(2_000):  # far more than its queue holds
        now_s[0] += 1.0
        watchdog.stepped()

    assert manager.drained().count("WATCHDOG=1") < 2_000


def test_without_a_manager_nothing_is_said_and_nothing_breaks(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "nobody")}):
        watchdog = Watchdog(environ)
        watchdog.started()
        watchdog.stepped()
        watchdog.stopping()


def test_a_watchdog_meant_for_another_process_sets_no_pace(manager: Manager) -> None:
    now_s = [0.0]
    watchdog = Watchdog({**manager.environ, "WATCHDOG_PID": "1"}, lambda: now_s[0])
    watchdog.stepped()
    manager.drained()
    now_s[0] = 1.0
    watchdog.stepped()

    assert manager.silent()


def _gateway(folder: Path, clock: Any, watchdog: Watchdog) -> Gateway:
    plan = Plan(clock, Rules(), f"sqlite:///{folder / 'a.sqlite3'}", folder / "trips", "gw", {}, {})
    return Gateway(plan, MemoryTransport(MemoryBroker(), "gateway"), stepped=watchdog.stepped)


def test_a_decider_that_hangs_falls_silent_though_every_other_thread_lives(manager: Manager, tmp_path: Path) -> None:
    watchdog = Watchdog(manager.environ)
    gateway = _gateway(tmp_path, RealClock(), watchdog)
    hangs, may_go_on = threading.Event(), threading.Event()
    decide = gateway.engine._routed

    def stuck(event: ev.Event, found: Any) -> Any:
        if isinstance(event, ev.ErrandDone):
            hangs.set()
            may_go_on.wait(30)
        return decide(event, found)

    gateway.engine._routed = stuck  # type: ignore[method-assign]
    gateway.start()
    watchdog.started()
    eventually(lambda: "READY=1" in manager.heard())
    assert "WATCHDOG=1" in manager.heard()

    gateway.tell(ev.ErrandDone(at=0.0, steady_s=0.0, slot="none", version=1))
    hangs.wait(10)
    manager.drained()

    assert not threading.Event().wait(0.8)  # twice as long as the manager's patience
    assert manager.silent()
    assert {"writer", "journal", "errands"} <= {thread.name for thread in threading.enumerate()}
    may_go_on.set()
    assert "WATCHDOG=1" in manager.heard()
    gateway.stop()


def test_a_decider_that_died_falls_silent(manager: Manager, tmp_path: Path) -> None:
    now_s = [0.0]
    watchdog = Watchdog(manager.environ, lambda: now_s[0])
    gateway = _gateway(tmp_path, HandClock(), watchdog)

    def broken(now: ev.Stamp) -> None:
        raise RuntimeError("a bug")

    gateway.engine.step = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="a bug"):
        gateway.step()

    assert manager.silent()
    gateway.store.close()


def test_the_unit_asks_for_what_the_program_does() -> None:
    settings = dict(line.split("=", 1) for line in UNIT.read_text(encoding="utf-8").splitlines() if "=" in line)

    assert settings["Type"] == "notify"
    assert settings["NotifyAccess"] == "main"
    assert 5 <= int(settings["WatchdogSec"]) <= 60
    assert settings["Restart"] == "always"


def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    program = needs("systemd-analyze")
    bin_true = shutil.which("true")
    assert bin_true is not None
    unit = tmp_path / "anchong.service"
    text = UNIT.read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/anchong/.venv/bin/anchong", bin_true), encoding="utf-8")

    done = subprocess.run([program, "verify", "--man=no", unit], check=False, capture_output=True, text=True)

    assert [line for line in done.stderr.splitlines() if "anchong.service" in line] == []
