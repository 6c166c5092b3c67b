"""`anchong run` as systemd and Prometheus meet it: a real process and broker, a notify socket, signals, JSON lines."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from controller.core import effects as fx
from controller.core.state import Rules
from controller.store import Store
from tests.api.stand import staff_values
from tests.databases import url_of
from tests.house import Broker, eventually, free_port
from tests.shell.rig import seed

SECRET = "f00dcafe12345678" * 3
WORD = "gateway-word"


class Running:
    def __init__(self, folder: Path, broker: Broker) -> None:
        self.port = free_port()
        self.config = folder / "anchong.toml"
        self.config.write_text(self._toml(folder, broker), encoding="utf-8")
        self.config.chmod(0o600)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(folder / "notify"))
        self.notified.settimeout(30.0)
        self.errors = folder / "stderr"
        environ = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "800000"}
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "anchong", "run", "-c", self.config],
                env=environ,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def _toml(self, folder: Path, broker: Broker) -> str:
        return (
            f'secret = "{SECRET}"\ndatabase = "{url_of(folder / "a.sqlite3")}"\njournal = "{folder / "trips"}"\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\nuser = "gateway"\npassword = "{WORD}"\n'
            f'[web]\nport = {self.port}\n[log]\nformat = "json"\n'
        )

    def heard(self) -> list[str]:
        return self.notified.recv(4096).decode().split("\n")

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.errors.read_text(encoding="utf-8").splitlines()]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.notified.close()


@pytest.fixture
def running(mosquitto: Callable[..., Broker], tmp_path: Path) -> Iterator[tuple[Running, Broker]]:
    store = Store(url_of(tmp_path / "a.sqlite3"))
    store.create()
    places = [row for row in seed([], 1.0, Rules()) if not _is_pile(row)]
    store.write("seed", [*places, fx.Put("staff", staff_values("owner"))])
    store.close()
    broker = mosquitto({"gateway": WORD}, "topic readwrite #\n")
    made = Running(tmp_path, broker)
    yield made, broker
    made.end()


def _is_pile(row: fx.Effect) -> bool:
    return isinstance(row, fx.Put) and row.table == "pile"


def test_it_says_when_it_is_ready_lives_and_stops_and_is_watched_meanwhile(running: tuple[Running, Broker]) -> None:
    run, broker = running
    while "READY=1" not in (heard := run.heard()):
        assert run.process.poll() is None, run.errors.read_text(encoding="utf-8")
    assert heard[1] == "WATCHDOG=1"

    eventually(lambda: run.get("/readyz")[0] == 200, within_s=20)
    assert run.get("/healthz")[0] == 200
    names = {family.name for family in text_string_to_metric_families(run.get("/metrics")[1])}
    assert {"anchong_step_seconds", "anchong_link_up", "process_open_fds"} <= names

    os.kill(run.process.pid, signal.SIGUSR1)
    eventually(
        lambda: any(line["event"] == "log level" and line["new"] == "debug" for line in run.lines()), within_s=20
    )

    broker.kill()
    eventually(lambda: run.get("/readyz")[0] == 503, within_s=20)
    (bad,) = [check for check in json.loads(run.get("/readyz")[1])["checks"] if not check["ok"]]
    assert bad["name"] == "link"
    assert run.get("/healthz")[0] == 200

    run.process.terminate()
    while "STOPPING=1" not in run.heard():
        pass
    assert run.process.wait(20) == 0
    for line in run.lines():
        assert {"timestamp", "level", "event"} <= set(line)
        assert WORD not in json.dumps(line)


def test_a_process_that_stands_still_is_silent_to_systemd(running: tuple[Running, Broker]) -> None:
    run, _ = running
    while "READY=1" not in run.heard():
        assert run.process.poll() is None

    os.kill(run.process.pid, signal.SIGSTOP)
    run.notified.settimeout(1.6)  # twice as long as it may be silent
    with pytest.raises(TimeoutError):
        _heard_all(run)

    os.kill(run.process.pid, signal.SIGCONT)
    run.notified.settimeout(30.0)
    assert "WATCHDOG=1" in run.heard()


def _heard_all(run: Running) -> None:
    for _ in range(100):
        run.heard()
