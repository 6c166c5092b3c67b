"""The demonstration's own broker, seen from its parent: a child process on loopback that ends when the parent does.

For the demonstration only: amqtt lets a stranger end another's session and hands retained messages to who never asked.
"""

import contextlib
import importlib.util
import json
import secrets
import select
import socket
import subprocess
import sys
from typing import Any

READY_S = 30.0  # a small board compiling on its first start needs ten
STOP_S = 5.0
USER = "demo"


class BrokerFailed(RuntimeError):
    """The child could not start; the text says why."""


class DemoBroker:
    host = "127.0.0.1"

    def __init__(self, port: int, password: str, child: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.user = USER
        self.password = password
        self._child = child

    @property
    def pid(self) -> int:
        return self._child.pid

    def alive(self) -> bool:
        return self._child.poll() is None

    def stop(self) -> None:
        """Ends the child by the end of its input, and by force if that is not enough. May be called again."""
        with contextlib.suppress(OSError):
            _end(self._child.stdin)
        try:
            self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        _end(self._child.stdout)


def start_broker(port: int = 0) -> DemoBroker:
    """Returns when it takes connections; a port of 0 means a free one. BrokerFailed says what is missing."""
    if importlib.util.find_spec("amqtt") is None:
        raise BrokerFailed("the demonstration's broker is not installed: pip install 'anchong[demo]'")
    broker = DemoBroker(port or _free_port(), secrets.token_urlsafe(16), _spawn())
    wish = {"port": broker.port, "user": broker.user, "password": broker.password}
    try:
        _wait_ready(broker._child, wish)
    except BaseException:
        broker.stop()
        raise
    return broker


def _spawn() -> subprocess.Popen[bytes]:
    """A session of its own keeps Ctrl-C to the parent; the pipe is what ends it, however the parent goes."""
    return subprocess.Popen(
        [sys.executable, "-m", "anchong.broker_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait_ready(child: subprocess.Popen[bytes], wish: dict[str, object]) -> None:
    """The password goes by the pipe, as anybody may read a command line."""
    _tell(child.stdin, wish)
    said: Any = child.stdout
    ready, _, _ = select.select([said], [], [], READY_S)
    answer = said.readline().decode().strip() if ready else "no answer in time"
    if answer != "ready":
        raise BrokerFailed(f"the demonstration's broker did not start: {answer or 'it ended at once'}")


def _tell(pipe: Any, wish: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):  # it ended already; its output says why
        pipe.write(json.dumps(wish).encode() + b"\n")
        pipe.flush()


def _end(pipe: Any) -> None:
    if pipe is not None:
        pipe.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
