"""The demonstration's broker: on loopback, for who knows the password, and gone with its parent."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from anchong import broker as demo
from controller.clock import RealClock
from firmware_bridge.transports.mqtt import MqttSettings, MqttTransport
from firmware_bridge.wire import Message
from tests.house import answers, eventually

pytest.importorskip("amqtt")

# A shell's background job is born deaf to Ctrl-C; this parent hears it wherever the tests run.
PARENT = """
import signal
from anchong.broker import start_broker
signal.signal(signal.SIGINT, signal.default_int_handler)
b = start_broker()
print(b.pid, b.port, flush=True)
input()
"""


@pytest.fixture
def broker() -> Iterator[demo.DemoBroker]:
    started = demo.start_broker()
    yield started
    started.stop()


def settings(broker: demo.DemoBroker, name: str, password: str | None = None) -> MqttSettings:
    word = broker.password if password is None else password
    return MqttSettings(
        host=broker.host, port=broker.port, user=broker.user if word else "", password=word, client_id=name
    )


def test_it_carries_messages_between_two_who_know_the_password(broker: demo.DemoBroker) -> None:
    heard: list[Message] = []
    gateway, twin = (MqttTransport(settings(broker, name), RealClock()) for name in ("gateway", "twin"))
    links: list[bool] = []
    gateway.listen("tele/+/STATE")
    gateway.start(heard.append, links.append)
    twin.start(lambda _: None, links.append)
    eventually(lambda: links == [True, True])

    assert twin.send(Message("tele/plug1/STATE", b"{}"))
    eventually(lambda: heard == [Message("tele/plug1/STATE", b"{}")])

    gateway.stop()
    twin.stop()


@pytest.mark.parametrize("password", ["", "wrong"])
def test_it_refuses_strangers(broker: demo.DemoBroker, password: str) -> None:
    links: list[bool] = []
    stranger = MqttTransport(settings(broker, "stranger", password), RealClock())
    stranger.start(lambda _: None, links.append)

    eventually(lambda: stranger.refusals > 0)

    assert links == []
    stranger.stop()


def test_only_loopback_is_bound(broker: demo.DemoBroker) -> None:
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", broker.port), timeout=2).close()


def test_stop_ends_it_and_may_be_said_twice(broker: demo.DemoBroker) -> None:
    broker.stop()
    broker.stop()

    assert not broker.alive()
    assert not answers(broker.port)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_it_dies_with_its_parent_and_says_nothing(end: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert parent.stdout is not None
    pid, port = (int(word) for word in parent.stdout.readline().split())

    os.killpg(parent.pid, end)
    parent.wait(10)

    eventually(lambda: not Path(f"/proc/{pid}").exists() or _defunct(pid), within_s=10)
    assert not answers(port)
    said, complained = parent.communicate(timeout=10)
    assert said == ""
    assert "amqtt" not in complained


def _defunct(pid: int) -> bool:
    """Dead, and waiting for whoever inherited it to notice."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    return True


def test_a_taken_port_is_said_in_one_line(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)), pytest.raises(demo.BrokerFailed) as failed:
        demo.start_broker(free_port)

    assert "\n" not in str(failed.value)
    assert "in use" in str(failed.value)


def test_a_missing_package_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", nothing)

    with pytest.raises(demo.BrokerFailed, match=r"anchong\[demo\]"):
        demo.start_broker()
