"""A web program on a real port, and whoever listens to its streams over a plain socket."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from fastapi import FastAPI

from anchong.web import Server
from tests.house import eventually, free_port


class Served:
    def __init__(self, app: FastAPI) -> None:
        self.port = free_port()
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="error", timeout_graceful_shutdown=2)
        self.server = Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self._listeners: list[Listener] = []

    def listen(self, path: str, token: str, last: int | None = None) -> "Listener":
        listener = Listener(self.port, path, token, last)
        self._listeners.append(listener)
        return listener

    def start(self) -> None:
        self.thread.start()
        eventually(lambda: self.server.started, within_s=20)

    def stop(self, within_s: float = 10.0) -> None:
        self.server.should_exit = True
        self.thread.join(within_s)

    def left(self) -> None:
        for listener in self._listeners:
            listener.cut()
        self.stop()


@contextmanager
def served(app: FastAPI) -> Iterator[Served]:
    made = Served(app)
    made.start()
    try:
        yield made
    finally:
        made.left()


class Listener:
    """Reads messages one by one; `last` is where it would go on."""

    def __init__(self, port: int, path: str, token: str, last: int | None = None, within_s: float = 10.0) -> None:
        self.last = last
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=within_s)
        headers = {"accept": "text/event-stream", "authorization": f"Bearer {token}"}
        headers |= {} if last is None else {"last-event-id": str(last)}
        self._connection.request("GET", path, headers=headers)
        self.answer = self._connection.getresponse()

    @property
    def status(self) -> int:
        return self.answer.status

    def block(self) -> dict[str, str]:
        """One block of lines; {} when the stream has ended."""
        fields: dict[str, str] = {}
        while line := self.answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        if "id" in fields:
            self.last = int(fields["id"])
        return fields

    def message(self) -> dict[str, Any]:
        """The next one with data."""
        while "data" not in (fields := self.block()):
            if not fields:
                raise EOFError
        return {"event": fields.get("event", ""), **json.loads(fields["data"])}

    def cut(self) -> None:
        with suppress(OSError):
            self._connection.close()
            self.answer.close()
