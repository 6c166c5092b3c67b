"""The demonstration's broker from inside: reads its wish from standard input, says "ready", ends with its input."""

import asyncio
import contextlib
import hmac
import json
import logging
import os
import sys
from dataclasses import dataclass
from typing import Any

from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin


class OneUser(BaseAuthPlugin):  # type: ignore[misc]  # amqtt is not followed by the type checker
    """One user, one password. amqtt's own password file costs 64 MiB and a tenth of a second a connection."""

    async def authenticate(self, *, session: Any) -> bool:
        """True for who knows both."""
        given = f"{session.username or ''}\n{session.password or ''}".encode()
        return hmac.compare_digest(given, f"{self.config.user}\n{self.config.password}".encode())

    @dataclass
    class Config:
        user: str
        password: str


async def serve(wish: dict[str, Any]) -> None:
    broker = Broker(_config(wish))
    await broker.start()
    print("ready", flush=True)
    await _end_of_input()
    with contextlib.suppress(Exception, asyncio.CancelledError):  # it holds nothing worth a clean end
        await asyncio.wait_for(broker.shutdown(), 2)


def _config(wish: dict[str, Any]) -> dict[str, Any]:
    knows = {"user": wish["user"], "password": wish["password"]}
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{wish['port']}"}},
        "plugins": {"anchong.broker_child.OneUser": knows},
    }


async def _end_of_input() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _read_on, ended)
    await ended.wait()


def _read_on(ended: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        ended.set()


def main() -> None:
    logging.disable(logging.CRITICAL)  # the terminal belongs to the demonstration
    wish = json.loads(sys.stdin.readline())
    try:
        asyncio.run(serve(wish))
    except Exception as failure:  # noqa: BLE001 - one line for the parent, whatever it was
        print(f"{failure.__cause__ or failure}".replace("\n", " "), flush=True)
        sys.exit(1)
    os._exit(0)  # amqtt leaves tasks behind that would hold the interpreter


if __name__ == "__main__":
    main()
