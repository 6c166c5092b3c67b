"""Real twins on a real broker, all of them on and drawing, in a process of their own: when did each relay open?

A wish is a line of JSON on standard input, its answer a line on standard output; it ends with its input.
"""

import sys
import time
from collections.abc import Callable, Iterable

import msgspec

from controller.clock import Clock, RealClock
from simulators.fleet import BrokerAt, Fleet, Plug
from simulators.publisher import mac, topic
from simulators.twins.contact import Publish
from simulators.twins.tasmota import TasmotaConfig, TasmotaTwin

POWER_W = 180.0
UP_S = 4 * 3600.0  # had they just booted, their charges would have lost the mains
LEASE_CODE = 1_000  # PulseTime for 900 s: what renews it is the gateway under measurement


class Start(msgspec.Struct, frozen=True):
    port: int
    plugs: int
    counter_wh: float


class Dark(msgspec.Struct, frozen=True):
    """How many are on, and when (monotonic, of this machine) the first and the last relay has opened."""

    connected: int
    on: int
    first_s: float | None
    last_s: float | None


class _Steady:
    def draw_w(self, dt_s: float) -> float:
        return POWER_W


class _Watched(Plug):
    """Notes the moment at which its relay opens."""

    def __init__(self, number: int, start: Start, clock: Clock) -> None:
        twin = TasmotaTwin(TasmotaConfig(mac=mac(number), topic=topic(number), up_s=UP_S), [_Steady()], clock.now().at)
        super().__init__(twin, BrokerAt("127.0.0.1", start.port), clock)
        self.opened_s: float | None = None
        twin.charged(start.counter_wh)
        self._command = Publish(f"cmnd/{topic(number)}/Backlog0", f"SetOption4 0;SetOption21 1;{self._on()}".encode())

    def _on(self) -> str:
        return f"TelePeriod 10;PulseTime1 {LEASE_CODE};Power1 ON"

    def switch_on(self) -> None:
        self._say(lambda now_s: self.twin.receive(self._command.topic, self._command.payload, False, now_s))

    def _say(self, act: Callable[[float], Iterable[Publish]]) -> None:
        with self.lock:
            was_on = self.twin.powered(0)
            super()._say(act)
            if was_on and not self.twin.powered(0):
                self.opened_s = time.monotonic()


class Hall:
    """All of them, each with a connection of its own."""

    def __init__(self, start: Start) -> None:
        clock = RealClock()
        self._plugs = [_Watched(number, start, clock) for number in range(start.plugs)]
        self._fleet = Fleet(self._plugs)
        self._fleet.start()

    def switch_on(self) -> None:
        for plug in self._plugs:
            plug.switch_on()

    def dark(self) -> Dark:
        opened = [plug.opened_s for plug in self._plugs if plug.opened_s is not None]
        connected = sum(plug.client.is_connected() for plug in self._plugs)
        on = sum(plug.twin.powered(0) for plug in self._plugs)
        return Dark(connected, on, min(opened, default=None), max(opened, default=None))

    def stop(self) -> None:
        self._fleet.stop()


def main() -> None:
    hall = Hall(msgspec.json.decode(sys.stdin.readline(), type=Start))
    print("{}", flush=True)
    for line in sys.stdin:
        if msgspec.json.decode(line) == "on":
            hall.switch_on()
        print(msgspec.json.encode(hall.dark()).decode(), flush=True)
    hall.stop()


if __name__ == "__main__":
    main()
