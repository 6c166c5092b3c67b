"""People who look on: each loads a page and keeps its live stream open, as a browser does. A process of its own."""

import selectors
import socket
import sys
import threading

import msgspec


class Start(msgspec.Struct, frozen=True):
    """Where the pages are, and the path of each viewer's page; its stream is `<path>/live`."""

    port: int
    paths: list[str]


class Viewers:
    """`watching` counts those who have been told something; `told` the messages."""

    def __init__(self, start: Start) -> None:
        self.told = 0
        self._heard: dict[int, int] = {}
        self._selector = selectors.DefaultSelector()
        for number, path in enumerate(start.paths):
            page = _get(start.port, path)
            if b" 200 " not in page.split(b"\r\n", 1)[0]:
                raise ConnectionError(f"{path} answered {page[:60]!r}")
            self._selector.register(_ask(start.port, f"{path}/live"), selectors.EVENT_READ, number)

    @property
    def watching(self) -> int:
        return len(self._heard)

    def run(self) -> None:
        while self._selector.get_map():
            for key, _ in self._selector.select():
                self._read(key)

    def _read(self, key: selectors.SelectorKey) -> None:
        sock: socket.socket = key.fileobj  # type: ignore[assignment]  # it is what was registered
        data = sock.recv(65536)
        if not data:
            self._selector.unregister(sock)
            sock.close()
            return
        events = data.count(b"data: ")
        self.told += events
        if events:
            self._heard[key.data] = self._heard.get(key.data, 0) + events


def _ask(port: int, path: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode())
    return sock


def _get(port: int, path: str) -> bytes:
    with _ask(port, path) as sock:
        parts = []
        while data := sock.recv(65536):
            parts.append(data)
        return b"".join(parts)


def main() -> None:
    viewers = Viewers(msgspec.json.decode(sys.stdin.readline(), type=Start))
    threading.Thread(target=viewers.run, daemon=True).start()
    print("{}", flush=True)
    for _ in sys.stdin:
        print(msgspec.json.encode({"watching": viewers.watching, "told": viewers.told}).decode(), flush=True)


if __name__ == "__main__":
    main()
