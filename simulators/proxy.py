"""A TCP proxy on loopback that stalls, throttles, cuts and turns away, so that bad links can be had at will."""

import contextlib
import socket
import threading
from collections.abc import Callable
from enum import StrEnum

CHUNK = 65536
BUFFER = 16384  # asked of the kernel, so that the far end feels a stall soon; those who connect inherit it
TICK_S = 0.02  # a throttled direction moves this often


class Way(StrEnum):
    UP = "up"  # from the one who connected to the target
    DOWN = "down"


class Proxy:
    """Listens on `port`. Every call acts on connections that stand and on those that come."""

    def __init__(self, target_port: int, port: int = 0) -> None:
        self._target = ("127.0.0.1", target_port)
        self._gates = {way: threading.Event() for way in Way}
        self._rates: dict[Way, float] = {}
        self._refusing = False
        self._stopping = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._door = socket.create_server(("127.0.0.1", port))
        self._door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.port: int = self._door.getsockname()[1]
        for way in Way:
            self.resume(way)

    def start(self) -> None:
        self._spawn(self._accept)

    def stop(self) -> None:
        self._stopping.set()
        for way in Way:
            self.resume(way)
        _close(self._door)
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def stall(self, way: Way) -> None:
        """Bytes of this way are held, neither lost nor passed on, until `resume` or `cut`."""
        self._gates[way].clear()

    def resume(self, way: Way) -> None:
        self._gates[way].set()

    def throttle(self, way: Way, bytes_per_s: float) -> None:
        """Nought or less lifts it."""
        self._rates[way] = bytes_per_s

    def refuse(self, refusing: bool = True) -> None:
        """New connections are closed at once."""
        self._refusing = refusing

    def cut(self) -> None:
        """Ends every connection, and drops the bytes that were held."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _close(end)

    @property
    def connections(self) -> int:
        return len(self._pairs)

    def _spawn(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                caller, _ = self._door.accept()
            except OSError:
                return
            if self._refusing:
                _close(caller)
            else:
                self._join(caller)

    def _join(self, caller: socket.socket) -> None:
        try:
            target = socket.create_connection(self._target, timeout=5)
        except OSError:
            _close(caller)
            return
        for end in (caller, target):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._pairs.append((caller, target))
        self._spawn(self._carry, Way.UP, caller, target)
        self._spawn(self._carry, Way.DOWN, target, caller)

    def _carry(self, way: Way, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while self._pass_gate(way) and (chunk := source.recv(self._portion(way))):
                self._pass_gate(way)  # what arrived during a stall is held too
                sink.sendall(chunk)
                self._wait_rate(way, len(chunk))
        self._forget(source, sink)

    def _pass_gate(self, way: Way) -> bool:
        self._gates[way].wait()
        return not self._stopping.is_set()

    def _portion(self, way: Way) -> int:
        rate = self._rates.get(way, 0.0)
        return max(1, int(rate * TICK_S)) if rate > 0 else CHUNK

    def _wait_rate(self, way: Way, sent: int) -> None:
        rate = self._rates.get(way, 0.0)
        if rate > 0:
            self._stopping.wait(sent / rate)

    def _forget(self, source: socket.socket, sink: socket.socket) -> None:
        _close(source)
        _close(sink)
        with self._lock:
            self._pairs = [pair for pair in self._pairs if source not in pair]


def _close(end: socket.socket) -> None:
    """Shut down first: a bare close would not wake the thread that reads."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
