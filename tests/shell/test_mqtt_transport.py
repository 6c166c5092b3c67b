"""The MQTT transport against a real broker: nothing leaves late, nothing is said in another's name."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import paho.mqtt.client as paho
import pytest
import structlog.testing
from paho.mqtt.enums import CallbackAPIVersion

from controller.clock import RealClock
from firmware_bridge.transports import mqtt_link
from firmware_bridge.transports.mqtt import (
    URGENT_BYTES_MAX,
    URGENT_MESSAGES_MAX,
    MqttSettings,
    MqttTransport,
    clear_retained,
)
from firmware_bridge.transports.mqtt_client import PAYLOAD_MAX, new_client
from firmware_bridge.wire import Message, Transport
from simulators.proxy import Proxy, Way
from tests.house import Broker, eventually, needs

Mosquitto = Callable[..., Broker]
SAMPLE_ACL = Path(__file__).parents[2] / "deploy" / "mosquitto.acl"
USERS = {name: f"{name}-word" for name in ("gateway", "plug1", "plug2", "+", "#")}
VERSIONS = pytest.mark.parametrize("version", ["3.1.1", "5"])


class Side:
    """A started transport and all it was told."""

    def __init__(self, settings: MqttSettings, patterns: tuple[str, ...] = ()) -> None:
        self.heard: list[Message] = []
        self.links: list[bool] = []
        self.transport = MqttTransport(settings, RealClock())
        for pattern in patterns:
            self.transport.listen(pattern)
        self.transport.start(self.heard.append, self.links.append)

    def linked(self) -> bool:
        return self.links[-1:] == [True]

    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.heard]


Open = Callable[..., Side]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_link, "BACKOFF_S", (0.05, 0.2))


@pytest.fixture
def side() -> Iterator[Open]:
    with ExitStack() as stack:

        def start(port: int, name: str, *patterns: str, version: str = "3.1.1", user: str = "", **more: object) -> Side:
            settings = MqttSettings(
                host="127.0.0.1",
                port=port,
                client_id=name,
                version=version,  # type: ignore[arg-type]  # one of the two, by the tests' table
                user=user,
                password=USERS.get(user, ""),
                **more,  # type: ignore[arg-type]  # the tests' own keywords
            )
            made = Side(settings, patterns)
            stack.callback(made.transport.stop)
            return made

        yield start


@pytest.fixture
def proxied() -> Iterator[Callable[[int], Proxy]]:
    with ExitStack() as stack:

        def start(port: int) -> Proxy:
            proxy = Proxy(port)
            proxy.start()
            stack.callback(proxy.stop)
            return proxy

        yield start


def quick(port: int, name: str, user: str = "", client_id: str | None = None) -> MqttSettings:
    return MqttSettings(
        host="127.0.0.1", port=port, client_id=client_id or name, user=user, password=USERS.get(user, "")
    )


@VERSIONS
def test_what_one_sends_the_other_hears(mosquitto: Mosquitto, side: Open, version: str) -> None:
    port = mosquitto().port
    gateway = side(port, "gateway", "tele/+/STATE", version=version)
    plug = side(port, "plug", "cmnd/plug/#", version=version)
    eventually(lambda: gateway.linked() and plug.linked())
    sender: Transport = gateway.transport

    assert sender.send(Message("cmnd/plug/POWER", b"ON"))
    assert plug.transport.send(Message("tele/plug/STATE", b"{}"))

    eventually(lambda: plug.heard == [Message("cmnd/plug/POWER", b"ON")])
    eventually(lambda: gateway.heard == [Message("tele/plug/STATE", b"{}")])


def test_linked_means_subscribed(mosquitto: Mosquitto, side: Open) -> None:
    port = mosquitto().port
    patterns = [f"tele/plug{number}/STATE" for number in range(1000)]
    gateway = side(port, "gateway", *patterns)
    plug = side(port, "plug")
    eventually(lambda: gateway.linked() and plug.linked())

    for pattern in patterns:
        assert plug.transport.send(Message(pattern, b"x"), urgent=True)

    eventually(lambda: len(gateway.heard) == 1000)


def test_a_pattern_may_be_added_by_any_thread_at_any_time(mosquitto: Mosquitto, side: Open) -> None:
    port = mosquitto().port
    gateway, plug = side(port, "gateway"), side(port, "plug")
    eventually(lambda: gateway.linked() and plug.linked())

    threads = [threading.Thread(target=gateway.transport.listen, args=(f"t/{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def all_heard() -> bool:
        for number in range(8):
            plug.transport.send(Message(f"t/{number}", b"x"))
        return len({message.address for message in gateway.heard}) == 8

    eventually(all_heard)


@VERSIONS
def test_nothing_is_queued_while_offline(mosquitto: Mosquitto, side: Open, version: str) -> None:
    broker = mosquitto()
    gateway = side(broker.port, "gateway", version=version)
    plug = side(broker.port, "plug", "cmnd/#", version=version)
    eventually(lambda: gateway.linked() and plug.linked())
    broker.kill()
    eventually(lambda: not gateway.linked() and not plug.linked())

    for urgent in (False, True):
        assert not gateway.transport.send(Message("cmnd/plug/POWER", b"stale"), urgent=urgent)
    broker.start()
    eventually(lambda: gateway.linked() and plug.linked())
    assert gateway.transport.send(Message("cmnd/plug/POWER", b"fresh"))

    eventually(lambda: plug.payloads() == [b"fresh"])
    assert gateway.links == [True, False, True]
    assert gateway.transport.not_sent == 2


def test_before_the_start_nothing_leaves(free_port: int) -> None:
    transport = MqttTransport(quick(free_port, "gateway"), RealClock())

    assert not transport.send(Message("cmnd/plug/POWER", b"ON"))
    transport.stop()


def test_either_link_down_is_down(mosquitto: Mosquitto, side: Open) -> None:
    port = mosquitto().port
    gateway = side(port, "gateway")
    eventually(gateway.linked)

    thief = new_client(quick(port, "gateway-read", client_id="gateway"), "-read")  # the reading link's id
    gateway.transport._reading._stopping.set()  # so that it does not come back
    thief.reconnect()
    thief.loop_start()

    eventually(lambda: not gateway.linked())
    assert gateway.transport._commanding.up
    assert not gateway.transport.send(Message("cmnd/plug/POWER", b"ON"))
    thief.disconnect()
    thief.loop_stop()


@VERSIONS
def test_the_will_speaks_when_the_gateway_is_gone(mosquitto: Mosquitto, side: Open, version: str) -> None:
    port = mosquitto().port
    watcher = side(port, "watcher", "anchong/alive")
    gateway = side(port, "gateway", version=version, will_topic="anchong/alive", will_payload=b"gone")
    eventually(lambda: watcher.linked() and gateway.linked())

    gateway.transport._commanding.client.socket().shutdown(2)  # type: ignore[union-attr]  # as a dead network would

    eventually(lambda: watcher.payloads() == [b"gone"])


def test_a_failing_handler_is_counted_and_the_rest_is_heard(mosquitto: Mosquitto, side: Open) -> None:
    port = mosquitto().port
    plug = side(port, "plug")
    heard: list[bytes] = []

    def fails(message: Message) -> None:
        heard.append(message.payload)
        raise KeyError(message.address)

    gateway = MqttTransport(quick(port, "gateway"), RealClock())
    gateway.listen("t")
    up: list[bool] = []
    with structlog.testing.capture_logs() as logs:
        gateway.start(fails, up.append)
        eventually(lambda: plug.linked() and up == [True])
        for number in range(20):
            plug.transport.send(Message("t", b"%d" % number), urgent=True)
        eventually(lambda: len(heard) == 20 and gateway.handler_errors == 20)
    gateway.stop()

    assert [entry["event"] for entry in logs].count("handler_failed") == 1


def test_too_large_is_dropped_and_counted(mosquitto: Mosquitto, side: Open) -> None:
    port = mosquitto().port
    gateway, plug = side(port, "gateway", "t"), side(port, "plug")
    eventually(lambda: gateway.linked() and plug.linked())

    plug.transport.send(Message("t", bytes(PAYLOAD_MAX + 1)), urgent=True)
    plug.transport.send(Message("t", bytes(PAYLOAD_MAX)), urgent=True)

    eventually(lambda: len(gateway.heard) == 1)
    assert gateway.transport.oversized == 1


@VERSIONS
def test_t44_a_retained_command_is_found_and_cleared(mosquitto: Mosquitto, side: Open, version: str) -> None:
    port = mosquitto(users=USERS, acl=SAMPLE_ACL.read_text(encoding="utf-8")).port
    settings = MqttSettings(
        host="127.0.0.1",
        port=port,
        user="gateway",
        password=USERS["gateway"],
        version=version,  # type: ignore[arg-type]
    )
    attacker = new_client(settings, "-attacker")
    attacker.reconnect()
    attacker.loop_start()
    attacker.publish("cmnd/plug1/POWER", b"ON", qos=1, retain=True).wait_for_publish(5)
    attacker.disconnect()
    attacker.loop_stop()

    topics = [f"cmnd/plug{number}/POWER" for number in range(250)]
    assert clear_retained(settings, topics) == ("cmnd/plug1/POWER",)

    assert clear_retained(settings, topics) == ()
    plug = side(port, "plug1", "cmnd/plug1/#", user="plug1")
    gateway = side(port, "gateway", user="gateway")
    eventually(lambda: plug.linked() and gateway.linked())
    gateway.transport.send(Message("cmnd/plug1/POWER", b"OFF"))
    eventually(lambda: plug.payloads() == [b"OFF"])


def test_clearing_says_when_the_broker_is_not_there(free_port: int) -> None:
    with pytest.raises(OSError, match="refused"):
        clear_retained(quick(free_port, "gateway"), ["cmnd/plug1/POWER"])


def test_t41_one_plug_never_hears_or_speaks_as_another(mosquitto: Mosquitto, side: Open) -> None:
    port = mosquitto(users=USERS, acl=SAMPLE_ACL.read_text(encoding="utf-8")).port
    gateway = side(port, "gateway", "#", user="gateway")
    plug1 = side(port, "dev1", "cmnd/plug1/#", user="plug1")
    grabs = ("cmnd/plug1/POWER", "cmnd/plug1/#", "cmnd/+/POWER", "cmnd/#", "+/plug1/#", "#", "plug1/rpc", "tele/#")
    thieves = [
        side(port, "by-topic", *grabs, user="plug2"),
        side(port, "plug1", *grabs, user="plug2"),  # by client id
        side(port, "plus", *grabs, user="+"),
        side(port, "hash", *grabs, user="#"),
    ]
    for thief in thieves:
        thief.transport.send(Message("t", b""))
    eventually(lambda: gateway.linked() and plug1.linked())
    eventually(lambda: all(thief.linked() for thief in thieves[:2]))

    for thief in thieves:
        for topic in ("tele/plug1/SENSOR", "stat/plug1/RESULT", "plug1/events/rpc", "cmnd/plug1/POWER", "cmnd/plug2/X"):
            thief.transport.send(Message(topic, b"forged"), urgent=True)
    for topic in ("cmnd/plug1/POWER", "plug1/rpc"):
        assert gateway.transport.send(Message(topic, b"OFF"), urgent=True)
    thieves[0].transport.send(Message("tele/plug2/SENSOR", b"own"))

    eventually(lambda: b"own" in gateway.payloads() and plug1.payloads() == [b"OFF"])
    assert b"forged" not in gateway.payloads()
    assert [thief.payloads() for thief in thieves] == [[], [], [], []]


def test_an_on_that_a_stalled_link_delivers_late_is_followed_by_its_off(
    mosquitto: Mosquitto, side: Open, proxied: Callable[[int], Proxy]
) -> None:
    broker = mosquitto()
    proxy = proxied(broker.port)
    plug = side(broker.port, "plug", "cmnd/plug/POWER")
    gateway = side(proxy.port, "gateway")
    eventually(lambda: plug.linked() and gateway.linked())

    proxy.stall(Way.UP)
    assert gateway.transport.send(Message("cmnd/plug/POWER", b"ON"))  # the kernel took it: nobody can tell yet
    assert gateway.transport.send(Message("cmnd/plug/POWER", b"OFF"), urgent=True)
    assert plug.heard == []
    proxy.resume(Way.UP)

    eventually(lambda: plug.payloads() == [b"ON", b"OFF"])


def test_a_full_socket_refuses_ons_takes_offs_in_order_and_never_blocks(
    mosquitto: Mosquitto, side: Open, proxied: Callable[[int], Proxy]
) -> None:
    broker = mosquitto()
    proxy = proxied(broker.port)
    plug = side(broker.port, "plug", "cmnd/plug/POWER")
    gateway = side(proxy.port, "gateway")
    eventually(lambda: plug.linked() and gateway.linked())
    proxy.stall(Way.UP)
    _fill(gateway)

    assert not gateway.transport.send(Message("cmnd/plug/POWER", b"ON"))
    assert gateway.transport.send(Message("cmnd/plug/POWER", b"OFF"), urgent=True)
    assert not gateway.transport.send(Message("cmnd/plug/POWER", b"ON"))
    proxy.resume(Way.UP)

    eventually(lambda: plug.payloads() == [b"OFF"])
    assert gateway.transport.send(Message("cmnd/plug/POWER", b"ON"))
    eventually(lambda: plug.payloads() == [b"OFF", b"ON"])


def test_what_a_stalled_link_holds_is_thrown_away_with_it(
    mosquitto: Mosquitto, side: Open, proxied: Callable[[int], Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_link, "STALLED_S", 0.3)
    monkeypatch.setattr(mqtt_link, "HOUSEKEEPING_S", 0.1)
    broker = mosquitto()
    proxy = proxied(broker.port)
    plug = side(broker.port, "plug", "cmnd/plug/POWER")
    gateway = side(proxy.port, "gateway")
    eventually(lambda: plug.linked() and gateway.linked())
    proxy.stall(Way.UP)
    _fill(gateway)
    gateway.transport.send(Message("cmnd/plug/POWER", b"late"), urgent=True)

    eventually(lambda: not gateway.linked())
    proxy.cut()
    proxy.resume(Way.UP)
    eventually(gateway.linked)
    gateway.transport.send(Message("cmnd/plug/POWER", b"fresh"))

    eventually(lambda: plug.payloads() == [b"fresh"])


def test_even_offs_have_a_bound(mosquitto: Mosquitto, side: Open, proxied: Callable[[int], Proxy]) -> None:
    proxy = proxied(mosquitto().port)
    gateway = side(proxy.port, "gateway")
    eventually(gateway.linked)
    proxy.stall(Way.UP)
    _fill(gateway)

    while gateway.transport.send(Message("t", b"OFF"), urgent=True):
        pass

    link = gateway.transport._commanding
    assert len(link.waiting) <= URGENT_MESSAGES_MAX
    assert link.waiting_bytes <= URGENT_BYTES_MAX + PAYLOAD_MAX


def test_stop_does_not_wait_for_a_stalled_socket(
    mosquitto: Mosquitto, side: Open, proxied: Callable[[int], Proxy]
) -> None:
    proxy = proxied(mosquitto().port)
    gateway = side(proxy.port, "gateway")
    eventually(gateway.linked)
    proxy.stall(Way.UP)
    _fill(gateway)

    stopper = threading.Thread(target=gateway.transport.stop)
    stopper.start()
    stopper.join(3)

    assert not stopper.is_alive()
    assert gateway.links == [True, False]


def test_a_lost_link_comes_back_by_itself(mosquitto: Mosquitto, side: Open, proxied: Callable[[int], Proxy]) -> None:
    broker = mosquitto()
    proxy = proxied(broker.port)
    gateway = side(proxy.port, "gateway", "t")
    plug = side(broker.port, "plug")
    eventually(lambda: gateway.linked() and plug.linked())

    proxy.refuse()
    proxy.cut()
    eventually(lambda: gateway.links == [True, False])
    proxy.refuse(False)
    eventually(lambda: gateway.links == [True, False, True])
    plug.transport.send(Message("t", b"again"))

    eventually(lambda: gateway.payloads() == [b"again"])


def test_a_handler_may_command_while_others_do(mosquitto: Mosquitto, side: Open) -> None:
    port = mosquitto().port
    plug = side(port, "plug", "cmnd/#")
    gateway = MqttTransport(quick(port, "gateway"), RealClock())
    gate, up = threading.Lock(), list[bool]()

    def switch(message: Message) -> None:
        with gate:
            gateway.send(Message("cmnd/plug/POWER", message.payload), urgent=True)

    gateway.listen("tele/plug/SENSOR")
    gateway.start(switch, up.append)
    eventually(lambda: plug.linked() and up == [True])
    for number in range(500):
        plug.transport.send(Message("tele/plug/SENSOR", b"hot"), urgent=True)
        with gate:
            gateway.listen(f"t/{number}")
            gateway.send(Message("cmnd/plug/POWER", b"OFF"), urgent=True)

    eventually(lambda: len(plug.heard) == 1000)
    assert plug.payloads().count(b"hot") == 500
    gateway.stop()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x20\x02\x00\x05",  # CONNACK: not authorised
        b"\x20\x02\x00\x00\x90\x00",  # a SUBACK that acknowledges nothing
        b"\x20\x02\x00\x00\x30\x02\xff\xff",  # a PUBLISH whose topic is longer than itself
        b"\x20\x02\x00\x00\x30\x04\x00\x02\xc3\x28",  # a topic that is not UTF-8
        b"\xff" * 64,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_a_broker_that_talks_nonsense_is_tried_again_and_again(answer: bytes) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(5)
    gateway = MqttTransport(quick(server.getsockname()[1], "gateway"), RealClock())
    gateway.start(lambda _: None, lambda _: None)

    for _ in range(6):  # both links, three times
        caller, _ = server.accept()
        with caller:
            caller.settimeout(5)
            caller.recv(256)
            caller.sendall(answer)

    gateway.stop()
    server.close()
    assert gateway.handler_errors == 0


def test_what_came_before_something_beyond_us_is_told_then_and_not_as_new_at_the_next_connection() -> None:
    arrived: list[Message] = []
    heard: list[Message] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        link = mqtt_link.Link(quick(server.getsockname()[1], "gateway"), "-read", RealClock(), lambda: None, arrived)
        link.client.on_message = _beyond_us
        link.start(lambda: heard.extend(arrived))
        caller, _ = server.accept()
    with caller:  # and nobody listens there any more
        caller.sendall(b"\x20\x02\x00\x00" + b"\x30\x04\x00\x01tx" + b"\x32\x06\x00\x01t\x00\x01y")
        eventually(lambda: Message("t", b"x") in heard)

    link.stop()


def _beyond_us(*_: object) -> None:
    raise RuntimeError


def test_stop_does_not_wait_for_a_broker_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        gateway = Side(quick(server.getsockname()[1], "gateway"))
        callers = [server.accept()[0] for _ in range(2)]
        stopper = threading.Thread(target=gateway.transport.stop)
        stopper.start()
        stopper.join(3)
        for caller in callers:
            caller.close()

    assert not stopper.is_alive()
    assert gateway.links == []


# paho leaves a socket whose handshake failed to the collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@VERSIONS
def test_tls_carries_whole_bursts_and_refuses_a_stranger_s_certificate(
    mosquitto: Mosquitto, side: Open, tmp_path: Path, version: str
) -> None:
    broker = mosquitto()
    own = _certify(broker, tmp_path)
    gateway = side(broker.port, "gateway", "t", version=version, tls=True, ca_file=str(own))
    plug = side(broker.port, "plug", version=version, tls=True, ca_file=str(own))
    stranger = side(broker.port, "stranger", version=version, tls=True)
    eventually(lambda: gateway.linked() and plug.linked())

    for _ in range(500):  # many in one record: what TLS has decrypted already, poll does not show
        assert plug.transport.send(Message("t", bytes(500)), urgent=True)

    eventually(lambda: len(gateway.heard) == 500)
    assert stranger.links == []


def _certify(broker: Broker, folder: Path) -> Path:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    named: list[str | Path] = [
        "-keyout",
        key,
        "-out",
        certificate,
        "-subj",
        "/CN=broker",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    subprocess.run([needs("openssl"), *made, *named], check=True, capture_output=True)
    broker.stop()
    with broker._config.open("a", encoding="utf-8") as config:
        config.write(f"certfile {certificate}\nkeyfile {key}\n")
    broker.start()
    return certificate


def test_paho_hands_a_publish_to_the_writer_of_our_choice() -> None:
    """What the bound on waiting messages stands on: publish() queues, loop_write() writes, on_publish says gone."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    asked: list[object] = []
    client.on_socket_register_write = lambda *_: asked.append(1)

    assert client.publish("t", b"x").rc == paho.MQTT_ERR_NO_CONN
    assert not client.want_write()
    assert asked == []


def _fill(side: Side) -> None:
    """Until the kernels on the way take no more; the first few they may still take by and by."""
    for _ in range(12):
        assert side.transport.send(Message("filler", bytes(60_000)), urgent=True)
    assert len(side.transport._commanding.waiting) > 5
