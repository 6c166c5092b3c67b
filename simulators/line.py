"""One raw connection to a broker on this machine, for fleets whose own cost must not be what is measured."""

import contextlib
import socket
from collections.abc import Iterable, Iterator

from simulators.packets import CONNACK, PUBLISH, SUBACK, Arrivals, connect, published, subscribe

ANSWER_S = 30.0
READ_BYTES = 1 << 18


class Line:
    """Blocking, QoS 0. One thread may send while another listens."""

    def __init__(self, port: int, client_id: str, patterns: Iterable[str] = ()) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._arrivals = Arrivals()
        self._early: list[tuple[str, bytes]] = []
        self.send(connect(client_id))
        self._await(CONNACK)
        if patterns:
            self.send(subscribe(patterns))
            self._await(SUBACK)
        self._socket.settimeout(None)

    def _await(self, kind: int) -> None:
        """Until a packet of this kind; what is published meanwhile is kept."""
        while True:
            kinds = []
            for head, body in self._read():
                kinds.append(head & 0xF0)
                if head & 0xF0 == PUBLISH:
                    self._early.append(published(body))
            if kind in kinds:
                return

    def _read(self) -> Iterator[tuple[int, bytes]]:
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the broker hung up")
        return self._arrivals.feed(data)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def heard(self) -> Iterator[tuple[str, bytes]]:
        """What is published to us, for ever; ends when the line is closed."""
        yield from self._early
        while True:
            try:
                packets = self._read()
            except OSError:
                return
            for head, body in packets:
                if head & 0xF0 == PUBLISH:
                    yield published(body)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the broker may have gone first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
