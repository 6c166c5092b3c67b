"""What tests of every part share: waiting without sleeping, free ports, a real broker, a network that ends at home."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

REQUIRE_SERVICES = os.environ.get("ANCHONG_REQUIRE_SERVICES") == "1"
# Debian keeps daemons where only root's PATH looks, and PostgreSQL's programs where nobody's does
POSTGRESQL = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), key=lambda path: int(path.split("/")[4]))
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", *POSTGRESQL[-1:]))
PACKAGES = {
    "mosquitto_pub": "mosquitto-clients",
    "mosquitto_sub": "mosquitto-clients",
    "initdb": "postgresql",
    "postgres": "postgresql",
}
HOME_HOSTS = frozenset({"localhost", "::1", "0", ""})


def needs(program: str) -> str:
    """The path of a program the test can't do without: skipped where it is missing, failed where it is required."""
    found = shutil.which(program, path=SEARCH_PATH)
    if found is None:
        package = PACKAGES.get(program, program.partition("_")[0])
        reason = f"{program} is not installed (apt-get install {package})"
        (pytest.fail if REQUIRE_SERVICES else pytest.skip)(reason)
    return found


def eventually(condition: Callable[[], object], within_s: float = 5.0, every_s: float = 0.01) -> None:
    """Returns as soon as the condition holds; fails if it does not within the time."""
    end_s = time.monotonic() + within_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end_s:
            pytest.fail(f"not within {within_s} s: {getattr(condition, '__qualname__', condition)}")
        pause.wait(every_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Broker:
    """A mosquitto on loopback that can be stopped, killed and started again on the same port."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, users: Mapping[str, str], acl: str) -> None:
        self.port = free_port()
        self.log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self._program = needs("mosquitto")
        self._config.write_text(_broker_config(self.port, folder, users, acl), encoding="utf-8")

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", self._config], stdout=log, stderr=log)
        eventually(self._up_or_dead, within_s=10)
        if self._process.poll() is not None:
            pytest.fail(f"mosquitto did not start: {self.log.read_text(encoding='utf-8', errors='replace')}")

    def _up_or_dead(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None or answers(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None

    def kill(self) -> None:
        """As a power cut would: no goodbye to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None


def _broker_config(port: int, folder: Path, users: Mapping[str, str], acl: str) -> str:
    lines = [f"listener {port} 127.0.0.1", "set_tcp_nodelay true", "persistence false", "log_type all"]
    lines.append("log_dest stderr")
    lines.append(f"allow_anonymous {'false' if users else 'true'}")
    if os.geteuid() == 0:
        lines.append("user root")  # or it could not read its own files in the test's folder
    if users:
        lines.append(f"password_file {_password_file(folder, users)}")
    if acl:
        (folder / "acl").write_text(acl, encoding="utf-8")
        lines.append(f"acl_file {folder / 'acl'}")
    return "\n".join(lines) + "\n"


def _password_file(folder: Path, users: Mapping[str, str]) -> Path:
    passwords = folder / "passwords"
    passwords.write_text("".join(f"{name}:{word}\n" for name, word in users.items()), encoding="utf-8")
    passwords.chmod(0o600)
    subprocess.run([needs("mosquitto_passwd"), "-U", passwords], check=True, capture_output=True)
    return passwords


@contextmanager
def brokers(folder: Path) -> Iterator[Callable[..., Broker]]:
    """Hands out started brokers, each in a folder of its own, and stops them all at the end."""
    started: list[Broker] = []

    def start(users: Mapping[str, str] | None = None, acl: str = "") -> Broker:
        own = folder / f"broker{len(started)}"
        own.mkdir()
        broker = Broker(own, users or {}, acl)
        broker.start()
        started.append(broker)
        return broker

    try:
        yield start
    finally:
        for broker in started:
            broker.stop()


class LeftHomeError(RuntimeError):
    """A test tried to speak with another machine, or to be heard by one."""


def stay_at_home() -> None:
    """From here on this process connects to, binds and resolves nothing but loopback."""
    sys.addaudithook(_refuse_the_world)


def _refuse_the_world(event: str, args: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.bind", "socket.sendto"):
        address = args[1]
        if isinstance(address, tuple) and not _at_home(str(address[0]), binds=event == "socket.bind"):
            raise LeftHomeError(f"{event} {address!r}")
    elif event == "socket.getaddrinfo" and args[0] and not _at_home(_text(args[0]), binds=False):
        raise LeftHomeError(f"{event} {args[0]!r}")


def _text(host: object) -> str:
    return host.decode() if isinstance(host, bytes) else str(host)


def _at_home(host: str, *, binds: bool) -> bool:
    if binds and host in ("", "0", "0.0.0.0", "::"):
        return False
    return host in HOME_HOSTS or host.startswith("127.")
