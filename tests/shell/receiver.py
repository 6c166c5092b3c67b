"""Somebody else's program that is told: a little HTTP server that keeps what it got and answers as it was told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Receiver:
    """`answers` are used up, the last stays; each is a status. `hold` keeps every answer back until it is set."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers) or [204]
        self.letters: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.location = ""
        self.free = threading.Event()
        self.free.set()
        self.came = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/told?by=us"

    @property
    def events(self) -> list[int]:
        """Ids, as they were taken."""
        return [event["id"] for letter in self.letters for event in letter["events"]]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.came.set()
                receiver.free.wait(10.0)
                status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                receiver.bodies.append(body)
                if status < 300:
                    receiver.letters.append(msgspec.json.decode(body))
                self.send_response(status)
                if receiver.location:
                    self.send_header("location", receiver.location)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                return

        return Handler

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.free.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)


@contextmanager
def receivers(*answers: int) -> Iterator[Receiver]:
    receiver = Receiver(*answers)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
