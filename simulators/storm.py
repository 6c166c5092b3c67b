"""Thin plugs with a connection each, that can all be gone and all come back at once. A process of its own.

Each brings its will, and on its return what a device tells then: discovery, availability and relay, retained. It
obeys, reports, and knows how long it was left without a renewal. A wish is a line of JSON on standard input, its
answer a line on standard output; it ends with its input.
"""

import contextlib
import queue
import selectors
import socket
import struct
import sys
import threading
import time
from typing import Any

import msgspec

from simulators.packets import CONNACK, PUBLISH, SUBACK, Arrivals, connect, publish, published, subscribe
from simulators.publisher import PAYLOAD, mac, topic

TICK_S = 0.01
KEEPALIVE_S = 60
AT_ONCE = 200  # connections begun before the others are listened to
RESET = struct.pack("ii", 1, 0)


class Start(msgspec.Struct, frozen=True):
    port: int
    twins: int
    lease_s: float
    report_s: float = 10.0


class Leases(msgspec.Struct, frozen=True):
    """`dark` plugs were without a renewal for longer than their lease, or are now."""

    connected: int
    renewed: int
    dark: int
    longest_s: float
    offs: int


class Twin:
    __slots__ = ("arrivals", "longest_s", "name", "number", "offs", "on_s", "ready", "renewed", "sock")

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = topic(number)
        self.sock: socket.socket | None = None
        self.arrivals = Arrivals()
        self.ready = False
        self.renewed = False
        self.on_s = 0.0
        self.longest_s = 0.0
        self.offs = 0

    def greeting(self) -> bytes:
        """What it tells when it is connected, and what it wants to hear."""
        config: dict[str, object] = {
            "mac": mac(self.number),
            "t": self.name,
            "ft": "%prefix%/%topic%/",
            "tp": ["cmnd", "stat", "tele"],
        }
        config |= {"md": "bench", "sw": "14.0.0", "rl": [1], "ofln": "Offline", "onln": "Online"}
        found = f"tasmota/discovery/{mac(self.number)}"
        said = [
            publish(f"{found}/config", msgspec.json.encode(config), retain=True),
            publish(f"{found}/sensors", b'{"sn":{"Time":"2026-11-26T17:00:00"},"ver":1}', retain=True),
            publish(f"tele/{self.name}/LWT", b"Online", retain=True),
            publish(f"stat/{self.name}/POWER", b"ON", retain=True),
            publish(f"tele/{self.name}/STATE", b'{"Time":"2026-11-26T17:00:00","UptimeSec":9,"POWER":"ON"}'),
            subscribe([f"cmnd/{self.name}/#"]),
        ]
        return b"".join(said)

    def told(self, where: str, payload: bytes, now_s: float) -> bytes:
        command = where.rsplit("/", 1)[1]
        if command == "Backlog0" and payload.endswith(b" ON"):
            self.renew(now_s)
            return publish(f"stat/{self.name}/RESULT", b'{"POWER":"ON"}')
        if command.upper() == "POWER1" and payload == b"OFF":
            self.offs += 1
            return publish(f"stat/{self.name}/RESULT", b'{"POWER":"OFF"}')
        return publish(f"stat/{self.name}/STATUS11", b'{"StatusSTS":{"POWER":"ON"}}') if command == "Status" else b""

    def renew(self, now_s: float) -> None:
        if self.on_s:
            self.longest_s = max(self.longest_s, now_s - self.on_s)
        self.on_s, self.renewed = now_s, True


class Storm:
    """Everything in one thread; `ask` may come from another."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._twins = [Twin(number) for number in range(start.twins)]
        self._readings = [publish(f"tele/{twin.name}/SENSOR", PAYLOAD.encode()) for twin in self._twins]
        self._selector = selectors.DefaultSelector()
        self._wishes: queue.SimpleQueue[tuple[str, queue.SimpleQueue[Any]]] = queue.SimpleQueue()
        self._since_s, self._reported = time.monotonic(), 0
        threading.Thread(target=self._run, daemon=True).start()

    def ask(self, wish: str) -> Any:
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._wishes.put((wish, answer))
        return answer.get()

    def _run(self) -> None:
        while True:
            self._listen(TICK_S)
            self._report()
            with contextlib.suppress(queue.Empty):
                wish, answer = self._wishes.get_nowait()
                answer.put(self._done(wish))

    def _done(self, wish: str) -> object:
        if wish == "come":
            self._come()
        elif wish == "go":
            self._go()
        return self._leases()

    def _leases(self) -> Leases:
        now_s, lease_s = time.monotonic(), self._start.lease_s
        longest_s = [max(twin.longest_s, now_s - twin.on_s if twin.on_s else 0.0) for twin in self._twins]
        return Leases(
            connected=sum(twin.ready for twin in self._twins),
            renewed=sum(twin.renewed for twin in self._twins),
            dark=sum(gap_s > lease_s for gap_s in longest_s),
            longest_s=max(longest_s),
            offs=sum(twin.offs for twin in self._twins),
        )

    # -- coming and going -----------------------------------------------------------------------------------------

    def _come(self) -> None:
        for number, twin in enumerate(self._twins):
            sock = twin.sock = socket.socket()
            sock.setblocking(False)
            twin.arrivals, twin.ready, twin.renewed = Arrivals(), False, False
            sock.connect_ex(("127.0.0.1", self._start.port))
            self._selector.register(sock, selectors.EVENT_WRITE, twin)
            if number % AT_ONCE == AT_ONCE - 1:
                self._listen(0.0)

    def _go(self) -> None:
        """As when the power of a whole compound fails: no goodbye."""
        for twin in self._twins:
            if twin.sock is not None:
                self._closed(twin, twin.sock)

    def _closed(self, twin: Twin, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()
        twin.sock, twin.ready = None, False

    # -- traffic --------------------------------------------------------------------------------------------------

    def _listen(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            twin, sock = key.data, key.fileobj
            try:
                if key.events & selectors.EVENT_WRITE:
                    will = (f"tele/{twin.name}/LWT", b"Offline")
                    sock.send(connect(f"DVES_{twin.name}", KEEPALIVE_S, will))  # type: ignore[union-attr]
                    self._selector.modify(sock, selectors.EVENT_READ, twin)
                else:
                    self._heard(twin, sock)
            except OSError:
                self._closed(twin, sock)  # type: ignore[arg-type]

    def _heard(self, twin: Twin, sock: Any) -> None:
        data = sock.recv(65536)
        if not data:
            raise ConnectionError("the broker hung up")
        for head, body in twin.arrivals.feed(data):
            kind = head & 0xF0
            if kind == CONNACK:
                sock.send(twin.greeting())
            elif kind == SUBACK:
                twin.ready = True
            elif kind == PUBLISH:
                answer = twin.told(*published(body), time.monotonic())
                if answer:
                    sock.send(answer)

    def _report(self) -> None:
        due = int((time.monotonic() - self._since_s) * len(self._twins) / self._start.report_s)
        for number in range(self._reported, due):
            twin = self._twins[number % len(self._twins)]
            if twin.ready and twin.sock is not None:
                with contextlib.suppress(OSError):  # it is listened to, which will notice
                    twin.sock.send(self._readings[twin.number])
        self._reported = due


def main() -> None:
    storm = Storm(msgspec.json.decode(sys.stdin.readline(), type=Start))
    print("{}", flush=True)
    for line in sys.stdin:
        print(msgspec.json.encode(storm.ask(msgspec.json.decode(line))).decode(), flush=True)


if __name__ == "__main__":
    main()
