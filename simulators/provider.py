"""The sandbox provider as a process of its own: its books and its clock, and the desk from which webhooks leave."""

import argparse
import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import msgspec
import uvicorn
from fastapi import FastAPI

from controller.clock import FastClock
from simulators.provider_books import Books, Notice
from simulators.provider_routes import add_routes
from simulators.provider_wire import RequestCheck, webhook_headers

MIN_KEY = 16  # shorter could be guessed
ANSWER_WITHIN_S = 5.0  # a merchant that takes longer has not accepted


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Time runs `factor` times real from `origin` (unix s), as in the gateway; no `token`, no control plane."""

    key_id: str
    key: bytes
    public_url: str = ""
    token: str = ""
    factor: float = 1.0
    origin: float = 0.0


class Provider:
    """The books, the clock and the desk from which webhooks leave."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.books = Books()
        self.clock = FastClock(settings.factor, settings.origin or time.time())
        self.check = RequestCheck(settings.key_id, settings.key)
        self.news = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    def at(self) -> float:
        return self.clock.now().at

    async def deliver(self) -> None:
        """Runs until cancelled; wakes for what is due and for what has just happened."""
        timeout = httpx2.Timeout(ANSWER_WITHIN_S)
        async with httpx2.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False) as client:
            while True:
                self.news.clear()
                for notice in self.books.due(self.at()):
                    self._start(self._send(client, notice))
                await self._rest()

    def _start(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(sending)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, client: httpx2.AsyncClient, notice: Notice) -> None:
        headers = webhook_headers(notice, self.settings.key_id, self.settings.key, self.at())
        headers["Content-Type"] = "application/json"
        with suppress(httpx2.RequestError, httpx2.InvalidURL):  # the schedule tries again
            answer = await client.post(notice.url, content=notice.body, headers=headers)
            if answer.is_success:
                self.books.accepted(notice.event_id)

    async def _rest(self) -> None:
        due_at = self.books.next_due_at()
        wait_s = None if due_at is None else self.clock.wait_s(max(0.0, due_at - self.at()) + 0.01)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.news.wait(), wait_s)


def app(settings: Settings) -> FastAPI:
    provider = Provider(settings)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        delivering = asyncio.create_task(provider.deliver())
        yield
        delivering.cancel()

    web = FastAPI(title="Sandbox provider", lifespan=life, openapi_url=None)
    add_routes(web, provider)
    return web


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 0) -> None:
    """Runs until stopped; says where it listens, once it does, in one line on stdout. Port 0 takes any free one."""
    with socket.create_server((host, port)) as listening:
        here = f"http://{host}:{listening.getsockname()[1]}"
        web = app(msgspec.structs.replace(settings, public_url=settings.public_url or here))
        print(f"sandbox provider on {here}", flush=True)
        config = uvicorn.Config(web, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listening])


def main(argv: list[str] | None = None) -> None:
    parser = _flags()
    flags = parser.parse_args(argv)
    if len(flags.key) < MIN_KEY or flags.factor <= 0 or not 0 <= flags.port <= 65_535:
        parser.error(f"--key has at least {MIN_KEY} characters, --factor is above 0, --port at most 65535")
    settings = Settings(
        key_id=flags.key_id,
        key=flags.key.encode(),
        token=flags.token,
        public_url=flags.public_url,
        factor=flags.factor,
        origin=flags.origin,
    )
    if flags.with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        serve(settings, flags.host, flags.port)
    except OSError as wrong:
        parser.error(f"cannot listen on {flags.host}:{flags.port}: {wrong}")


def _flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators.provider",
        description="A payment provider that moves no money.",
        epilog="example: python -m simulators.provider --port 8089 --key 0123456789abcdef --factor 30",
    )
    env = os.environ
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--public-url", default="", help="where a payer's phone reaches this process")
    parser.add_argument("--key-id", default="sandbox-1")
    parser.add_argument("--key", default=env.get("ANCHONG_SANDBOX_KEY"), required="ANCHONG_SANDBOX_KEY" not in env)
    parser.add_argument("--token", default=env.get("ANCHONG_SANDBOX_TOKEN", ""), help="opens the control plane")
    parser.add_argument("--factor", type=float, default=1.0, help="how many times faster than real time runs")
    parser.add_argument("--origin", type=float, default=0.0, help="unix s from which it runs faster; as the gateway's")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    return parser


def _end_with_parent() -> None:
    """A parent that was killed can't end us; its end of the pipe is closed all the same."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
