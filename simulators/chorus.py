"""Ten thousand thin plugs on a few connections: they report, answer what they are asked, obey, and time their leases.

A process of its own. A wish is a line of JSON on standard input, its answer a line on standard output; it ends with
its input. What a plug draws, and whether it is on at all, decides nothing here but what it says.
"""

import sys
import threading
import time

import msgspec

from simulators.line import Line
from simulators.packets import publish
from simulators.publisher import PAYLOAD, topic

TICK_S = 0.02
POWER_W, COUNTER_KWH = "180.0", "1000.000"


class Start(msgspec.Struct, frozen=True):
    """Each of `plugs` reports every `report_s`, spread evenly; those of `on` draw."""

    port: int
    plugs: int
    on: int
    report_s: float = 10.0
    first: int = 0


class Leases(msgspec.Struct, frozen=True):
    """Seconds (of the machine's steady clock) of what was heard since the last `forget`."""

    renewed: int
    first_s: float | None
    last_s: float | None
    offs: int
    longest_s: float  # between two renewals of one plug, since the start
    asked: int


class Plug:
    """What it says, encoded once, and when it was last told to be on."""

    __slots__ = ("asked10", "asked11", "obeyed", "on_s", "reading", "stopped")

    def __init__(self, name: str, on: bool) -> None:
        reading = PAYLOAD if on else PAYLOAD.replace(f'"Power":{POWER_W}', '"Power":0.0')
        word = "ON" if on else "OFF"
        self.on_s = 0.0
        self.reading = publish(f"tele/{name}/SENSOR", reading.encode())
        self.asked10 = publish(f"stat/{name}/STATUS10", f'{{"StatusSNS":{reading}}}'.encode())
        self.asked11 = publish(f"stat/{name}/STATUS11", f'{{"StatusSTS":{{"POWER":"{word}"}}}}'.encode())
        self.obeyed = publish(f"stat/{name}/RESULT", b'{"POWER":"ON"}')
        self.stopped = publish(f"stat/{name}/RESULT", b'{"POWER":"OFF"}')


class Chorus:
    def __init__(self, start: Start) -> None:
        self._start = start
        self.plugs = {
            topic(start.first + number): Plug(topic(start.first + number), number < start.on)
            for number in range(start.plugs)
        }
        self._lock = threading.Lock()
        self._ears = Line(start.port, "anchong-chorus-ears", ["cmnd/+/+"])
        self._answers = Line(start.port, "anchong-chorus-answers")
        self._reports = Line(start.port, "anchong-chorus-reports")
        self._longest_s = 0.0
        self.forget()
        for name in self.plugs:
            self._reports.send(publish(f"tele/{name}/LWT", b"Online", retain=True))
        for run in (self._listen, self._report):
            threading.Thread(target=run, daemon=True).start()

    def forget(self) -> None:
        with self._lock:
            self._renewed: dict[str, float] = {}
            self._offs = self._asked = 0

    def times(self) -> dict[str, float]:
        """When (steady) each plug was first told to be on, since the last `forget`."""
        with self._lock:
            return dict(self._renewed)

    def leases(self) -> Leases:
        with self._lock:
            times = self._renewed.values()
            first_s, last_s = min(times, default=None), max(times, default=None)
            return Leases(len(times), first_s, last_s, self._offs, self._longest_s, self._asked)

    def _report(self) -> None:
        since_s, sent, names = time.monotonic(), 0, list(self.plugs.values())
        while True:
            due = int((time.monotonic() - since_s) * len(names) / self._start.report_s)
            said = [names[number % len(names)].reading for number in range(sent, due)]
            sent = due
            self._reports.send(b"".join(said))
            time.sleep(TICK_S)

    def _listen(self) -> None:
        for where, payload in self._ears.heard():
            _, name, command = where.split("/", 2)
            plug = self.plugs.get(name)
            if plug is None:
                continue
            answer = self._told(name, plug, command, payload)
            if answer:
                self._answers.send(answer)

    def _told(self, name: str, plug: Plug, command: str, payload: bytes) -> bytes:
        if command == "Backlog0" and payload.endswith(b" ON"):
            self._renew(name, plug)
            return plug.obeyed
        if command.upper() == "POWER1" and payload == b"OFF":
            self._offs += 1
            return plug.stopped
        if command == "Status":
            self._asked += 1
            return plug.asked10 if payload == b"10" else plug.asked11
        return b""

    def _renew(self, name: str, plug: Plug) -> None:
        now_s = time.monotonic()
        with self._lock:
            if plug.on_s:
                self._longest_s = max(self._longest_s, now_s - plug.on_s)
            plug.on_s = now_s
            self._renewed.setdefault(name, now_s)


def main() -> None:
    chorus = Chorus(msgspec.json.decode(sys.stdin.readline(), type=Start))
    print("{}", flush=True)
    for line in sys.stdin:
        wish = msgspec.json.decode(line)
        if wish == "forget":
            chorus.forget()
        answer = chorus.times() if wish == "when" else chorus.leases()
        print(msgspec.json.encode(answer).decode(), flush=True)


if __name__ == "__main__":
    main()
