"""kill -9 in mid-charge: every socket is dark within its lease, the next gateway goes on, and the books balance."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from anchong.wiring import Gateway
from controller.clock import FastClock
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import Rules, Session
from controller.ledger_check import proofs
from simulators.fleet import BrokerAt, Fleet, Plug
from simulators.twins.tasmota import TasmotaConfig, TasmotaTwin
from tests.databases import url_of
from tests.house import Broker, eventually
from tests.shell.killable import READY, all_charging, gateway_at

FACTOR = 30.0
COUNT = 3
LOAD_W = 200.0
TICKS_S = 3.0  # what the fleet's own tick and this test's looking add, at FACTOR times real


class Steady:
    def draw_w(self, dt_s: float) -> float:
        return LOAD_W


class Scene:
    """Sockets that live on in this process, whatever happens to gateways."""

    def __init__(self, port: int, folder: Path, stack: ExitStack) -> None:
        self.port = port
        self.folder = folder
        self.database = url_of(folder / "killed.sqlite3")
        self.clock = FastClock(FACTOR, time.time())
        self.fleet = Fleet([self._plug(number) for number in range(COUNT)])
        self.settled: list[Session] = []
        self._stack = stack
        stack.callback(self.fleet.stop)
        self.fleet.start()

    def _plug(self, number: int) -> Plug:
        config = TasmotaConfig(mac=f"0000000000{number:02X}", topic=f"tasmota_{number}")
        return Plug(TasmotaTwin(config, [Steady()], self.clock.now().at), BrokerAt("127.0.0.1", self.port), self.clock)

    def spawn(self) -> "subprocess.Popen[str]":
        arguments = [str(self.port), str(self.folder), self.database, str(FACTOR), repr(self.clock.origin), str(COUNT)]
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.shell.killable", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._stack.enter_context(child)
        self._stack.callback(child.kill)
        return child

    def charging_child(self) -> "subprocess.Popen[str]":
        child = self.spawn()
        assert child.stdout is not None
        said = []
        while (line := child.stdout.readline()) != f"{READY}\n":
            said.append(line)
            assert line, "".join(said)
        assert self.powered() == [True] * COUNT, said
        return child

    def killed(self, child: "subprocess.Popen[str]") -> float:
        os.kill(child.pid, signal.SIGKILL)
        at_s = self.clock.now().steady_s
        child.wait(10)
        return at_s

    def powered(self) -> list[bool]:
        found = []
        for plug in self.fleet.plugs:
            with plug.lock:
                found.append(plug.twin.powered(0))
        return found

    def counted_wh(self) -> list[float]:
        return [plug.twin.counted_wh(0) for plug in self.fleet.plugs]

    def gateway(self) -> Gateway:
        gateway = gateway_at(self.port, self.folder, self.database, self.clock, self.settled.append)
        self._stack.callback(gateway.stop)
        gateway.start()
        return gateway


@pytest.fixture
def scene(mosquitto: Callable[..., Broker], tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(mosquitto().port, tmp_path, stack)


def test_after_kill_9_every_socket_is_dark_within_its_lease_and_the_next_gateway_goes_on(scene: Scene) -> None:
    killed_s = scene.killed(scene.charging_child())

    eventually(lambda: scene.powered() == [False] * COUNT, within_s=20)
    dark_after_s = scene.clock.now().steady_s - killed_s
    assert dark_after_s <= Rules().lease_s + TICKS_S
    assert proofs(scene.database) == []

    scene.killed(scene.charging_child())  # it took the charges up again, and is killed in its turn
    gateway = scene.gateway()  # within the lease this time: nobody is cut
    eventually(lambda: all_charging(gateway, COUNT), within_s=20)
    assert scene.powered() == [True] * COUNT
    _stop_all(scene, gateway)
    gateway.stop()

    assert proofs(gateway.plan.database) == []
    _check_bills(scene)


def _stop_all(scene: Scene, gateway: Gateway) -> None:
    for outlet, view in gateway.board.views.items():
        names: dict[str, Any] = {"session": view.session, "outlet": outlet, "by": "party:p1"}
        now = scene.clock.now()
        stop = ev.StopAsked(
            at=now.at, steady_s=now.steady_s, key=f"stop-{outlet}", reason=StopReason.STOPPED_BY_RESIDENT, **names
        )
        gateway.ask(stop).result(10)
    eventually(lambda: len(scene.settled) == COUNT, within_s=20)
    assert scene.powered() == [False] * COUNT


def _check_bills(scene: Scene) -> None:
    """No watt-hour of the time away is lost: meters are cumulative."""
    for session in scene.settled:
        counted_wh = scene.counted_wh()[int(session.outlet.removeprefix("outlet-"))]
        assert (session.reason, session.proof) == (StopReason.STOPPED_BY_RESIDENT, "measured")
        lamp_wh = counted_wh - session.meter.used_wh  # drawn while commissioning, before the session
        assert 0 < lamp_wh < 10, (counted_wh, session.meter)
        assert session.meter.used_wh > 2 * 1.2 * Rules().lease_s * LOAD_W / 3600
