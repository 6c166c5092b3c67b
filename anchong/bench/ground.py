"""What figures are taken on: a mosquitto on loopback, a temporary folder, and child processes that end with us."""

import contextlib
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.status import Status

from anchong.logs import plain

SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
BROKER_S = 10.0
STOP_S = 5.0
LEASH = Path(__file__).with_name("leash.py")  # run by itself, without all that the package imports
ROOT = Path(__file__).resolve().parents[2]


class NoGround(Exception):
    """A figure can't be taken here; one line says why."""


class Child:
    """A process of ours that is told lines of JSON and answers with lines of JSON; it ends with its input."""

    def __init__(self, module: str, log: Path, *arguments: str) -> None:
        self.module = module
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                start_new_session=True,  # Ctrl-C is for the parent, which ends its children
            )
        self._said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        output: Any = self.process.stdout
        with output:
            for line in output:
                self._said.put(line)
        self._said.put(b"")

    def tell(self, wish: object) -> None:
        """Raises NoGround if it has ended."""
        pipe: Any = self.process.stdin
        try:
            pipe.write(msgspec.json.encode(wish) + b"\n")
            pipe.flush()
        except OSError as error:
            raise NoGround(self._why()) from error

    def hear(self, within_s: float) -> dict[str, Any]:
        try:
            line = self._said.get(timeout=within_s)
        except queue.Empty:
            raise NoGround(f"{self.module} did not answer in {within_s:.0f} s") from None
        if not line:
            raise NoGround(self._why())
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer

    def ask(self, wish: object, within_s: float) -> dict[str, Any]:
        self.tell(wish)
        return self.hear(within_s)

    def _why(self) -> str:
        said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{self.module} ended: {said[-1] if said else 'without a word'}"

    def kill(self) -> None:
        """As kill -9 does it: nothing of it has a chance to say goodbye."""
        self.process.kill()
        self.process.wait(STOP_S)

    def stop(self, within_s: float = STOP_S) -> None:
        with contextlib.suppress(OSError):
            self._close(self.process.stdin)
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._listener.join(STOP_S)

    def _close(self, pipe: Any) -> None:
        pipe.close()


class Ground:
    """A folder, a broker's port, and children; everything ends with the `with` that made it."""

    def __init__(self, folder: Path, port: int, stack: ExitStack, status: Status | None) -> None:
        self.folder = folder
        self.port = port
        self._stack = stack
        self._status = status
        self._children = 0

    def child(self, module: str, *arguments: str) -> Child:
        self._children += 1
        child = Child(module, self.folder / f"{module}-{self._children}.log", *arguments)
        self._stack.callback(child.stop)
        return child

    def say(self, text: str) -> None:
        """Progress, on a terminal alone."""
        if self._status is not None:
            self._status.update(text)


@contextmanager
def ground() -> Iterator[Ground]:
    """NoGround says in one line what is missing."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="anchong-bench-")))
        stack.enter_context(_ended_by_sigterm())
        status = _status(stack)
        port = _broker(folder, stack)
        yield Ground(folder, port, stack, status)


@contextmanager
def spoken() -> Iterator[None]:
    """NoGround as a command says it: one line, exit code 2. Logs would cost what is measured."""
    plain("error")
    try:
        yield
    except NoGround as missing:
        typer.echo(str(missing), err=True)
        raise typer.Exit(2) from missing


def _status(stack: ExitStack) -> Status | None:
    console = Console(stderr=True)
    return stack.enter_context(console.status("starting")) if console.is_terminal else None


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM as Ctrl-C, so that children are ended; tests may run us outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# -- the broker ---------------------------------------------------------------------------------------------------


def mosquitto() -> str:
    found = shutil.which("mosquitto", path=SEARCH_PATH)
    if found is None:
        raise NoGround("mosquitto is not installed, and figures need a real broker: apt-get install mosquitto")
    return found


def _broker(folder: Path, stack: ExitStack) -> int:
    port, config, log = free_port(), folder / "mosquitto.conf", folder / "mosquitto.log"
    config.write_text(_config(port), encoding="utf-8")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(LEASH), mosquitto(), "-c", str(config)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            start_new_session=True,
        )
    stack.callback(_end, process)
    _wait_for(process, port, log)
    return port


def _config(port: int) -> str:
    """As the sample of the project, without passwords; devices by the thousand need more files than connections."""
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "set_tcp_nodelay true", "persistence false"]
    lines += ["max_queued_messages 100", "max_packet_size 131072", "log_dest stderr", "log_type error"]
    if os.geteuid() == 0:
        lines.append("user root")  # or it could not read its own file in our folder
    return "\n".join(lines) + "\n"


def _wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end_s = time.monotonic() + BROKER_S
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > end_s:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise NoGround(f"mosquitto did not start: {said[-1] if said else 'no answer in time'}")
        time.sleep(0.02)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Its leash is our pipe."""
    pipe: Any = process.stdin
    pipe.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
