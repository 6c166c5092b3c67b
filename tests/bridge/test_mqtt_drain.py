"""Our own reading of PUBLISHes against paho's, over whatever a broker may send, cut wherever a network may cut it."""

import contextlib
import select
import socket
import struct
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from controller.clock import RealClock
from firmware_bridge.transports import mqtt_link
from firmware_bridge.transports.mqtt_client import MqttSettings
from firmware_bridge.transports.mqtt_drain import READ_BYTES, DrainingClient, paho_fits, take_published
from firmware_bridge.wire import Message

VERSIONS = pytest.mark.parametrize("five", [False, True])
Heard = tuple[list[object], str, bytes]


def framed(head: int, body: bytes, spare: int = 0) -> bytes:
    """A packet, its length written with `spare` bytes more than needed."""
    length, left = b"", len(body)
    while left > 127:
        length, left = length + bytes([left & 127 | 128]), left >> 7
    length += bytes([left | 128] + [128] * (spare - 1) + [0]) if spare else bytes([left])
    return bytes([head]) + length + body


def published(
    topic: bytes, payload: bytes, flags: int = 0, mid: int = 7, properties: bytes | None = None, spare: int = 0
) -> bytes:
    number = struct.pack(">H", mid) if flags & 6 else b""
    body = struct.pack(">H", len(topic)) + topic + number + (properties or b"") + payload
    return framed(0x30 | flags, body, spare)


TOPICS = st.sampled_from([b"t", b"tele/plug/SENSOR", "关".encode(), b"\xc3\x28", b"", b"a" * 300, b"nul\0"])
PAYLOADS = st.one_of(st.binary(max_size=40), st.sampled_from([bytes(200), bytes(16_379), bytes(16_400), bytes(70_000)]))
PROPERTIES = st.sampled_from([b"\0", b"\x02\x01\x01", b"\x05\x02\0\0\0\x09", b"\x01\x01", b"\x80\0", b"\xff", b""])


@st.composite
def publishes(draw: st.DrawFn, five: bool) -> bytes:
    flags = draw(st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 4, 8, 6, 10]))
    properties = draw(PROPERTIES) if five else None
    return published(
        draw(TOPICS), draw(PAYLOADS), flags, draw(st.integers(0, 3)), properties, draw(st.sampled_from([0, 0, 0, 1, 2]))
    )


def packets(five: bool) -> st.SearchStrategy[bytes]:
    others = [
        framed(0xD0, b""),
        framed(0x62, b"\0\1"),
        framed(0x90, b"\0\1\0" if not five else b"\0\1\0\0"),
        framed(0x40, b"\0\1"),
        framed(0x30, b"\xff\xff"),
        framed(0x30, b"\0"),
        framed(0x30, b""),
        framed(0xE0, b""),
        b"\x30\xff\xff\xff\xff\x7f",
    ]
    plain = st.builds(published, st.just(b"tele/plug/SENSOR"), st.binary(max_size=300), st.integers(0, 1))
    plain_five = plain.map(lambda packet: published(b"t", packet[2:60], 0, 0, b"\0"))
    usual = plain_five if five else plain
    return st.one_of(usual, usual, usual, publishes(five), st.sampled_from(others), st.binary(max_size=6))


@st.composite
def streams(draw: st.DrawFn, five: bool) -> list[bytes]:
    whole = b"".join(draw(st.lists(packets(five), min_size=1, max_size=12)))
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True) if end > start]


class Line:
    """A client at one end of a pair of sockets, and what came of the bytes that were put in at the other."""

    def __init__(self, kind: type[paho.Client], five: bool) -> None:
        version = paho.MQTTv5 if five else paho.MQTTv311
        self.here, self.there = socket.socketpair()
        self.here.setblocking(False)
        self.there.setblocking(False)
        self.heard: list[Any] = []
        self.end = ""
        self.five = five
        self.client = kind(CallbackAPIVersion.VERSION2, client_id="c", protocol=version)
        self.client._sock = self.here
        self.client.on_socket_register_write = lambda *_: None
        self.client.on_message = self._on_message
        self.client.on_disconnect = self._on_disconnect

    def _on_message(self, _client: object, _userdata: object, message: Any) -> None:
        try:
            self.heard.append(Message(message.topic, message.payload, message.retain))
        except UnicodeDecodeError:
            self.heard.append("unreadable")

    def _on_disconnect(self, *_: object) -> None:
        self.end = "disconnected"

    def hears(self, chunks: Sequence[bytes]) -> Heard:
        """All of it, chunk by chunk, as the link's loop would; what was heard, how it ended, what was answered."""
        for chunk in chunks:
            self._put_in(chunk)
        if self.client.socket() is not None:
            self.client.loop_write()
        self.client._reset_sockets()
        answered = self._answered()
        self.there.close()
        return self.heard, self.end, answered

    def _put_in(self, chunk: bytes) -> None:
        while chunk and not self.end:
            chunk = chunk[self.there.send(chunk) :]
            self._read_all()

    def _answered(self) -> bytes:
        with contextlib.suppress(ConnectionResetError):  # told once where the client closed with bytes unread
            return self.there.recv(1 << 20)
        return self.there.recv(1 << 20)

    def _read_all(self) -> None:
        while not self.end and self.client.socket() is not None and select.select([self.here], [], [], 0)[0]:
            try:
                self._read()
            except Exception as error:  # noqa: BLE001 - what paho makes of nonsense is its own; it must be the same
                self.end = type(error).__name__

    def _read(self) -> None:
        if isinstance(self.client, DrainingClient):
            self.client.drain(self.heard, self.five)
        else:
            self.client.loop_read()


def differ(chunks: Sequence[bytes], five: bool) -> None:
    assert Line(DrainingClient, five).hears(chunks) == Line(paho.Client, five).hears(chunks)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams(five=False))
@example([published(b"t", b"x")[:3], published(b"t", b"x")[3:]])
@example([published(b"t", b"x", 1), b"\x30"])
def test_a_3_1_1_stream_means_the_same_to_both_readings(chunks: list[bytes]) -> None:
    differ(chunks, five=False)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams(five=True))
@example([published(b"t", b"", properties=b""), published(b"t", b"", properties=b"\0")])
def test_a_5_stream_means_the_same_to_both_readings(chunks: list[bytes]) -> None:
    differ(chunks, five=True)


@VERSIONS
def test_a_burst_longer_than_one_read_is_heard_in_its_order(five: bool) -> None:
    sent = [Message(f"t/{number}", bytes(number % 200)) for number in range(2_000)]
    properties = b"\0" if five else None
    burst = b"".join(published(m.address.encode(), m.payload, 0, 0, properties) for m in sent)
    assert len(burst) > 2 * READ_BYTES

    heard, end, answered = Line(DrainingClient, five).hears([burst])

    assert (heard, end, answered) == (sent, "", b"")


@VERSIONS
def test_plain_readings_never_pass_through_paho(five: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paho.Client, "_packet_read", lambda client: pytest.fail("paho was asked"))
    readings = b"".join(published(b"tele/plug/SENSOR", bytes(250), 0, 0, b"\0" if five else None) for _ in range(100))

    heard, _, _ = Line(DrainingClient, five).hears([readings])

    assert len(heard) == 100


@given(st.binary(max_size=64), st.booleans())
def test_no_bytes_are_beyond_the_taker(data: bytes, five: bool) -> None:
    into: list[Message] = []
    at = take_published(data, 0, five, into)

    assert 0 <= at <= len(data)
    assert (at == 0) == (not into)


def test_the_paho_that_is_installed_fits() -> None:
    assert paho_fits()


@pytest.mark.parametrize("lost", ["_in_packet", "_sock_recv", "_packet_read"])
def test_where_paho_has_changed_its_own_read_serves(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise AttributeError(lost)

    monkeypatch.setattr(paho.Client, lost, property(gone) if lost == "_in_packet" else gone, raising=False)
    paho_fits.cache_clear()
    try:
        assert not paho_fits()
    finally:
        paho_fits.cache_clear()


def test_a_link_takes_paho_s_own_read_where_ours_does_not_fit(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setattr(mqtt_link, "paho_fits", lambda: False)
    link = mqtt_link.Link(MqttSettings(host="127.0.0.1", port=free_port), "-read", RealClock(), lambda: None, [])
    try:
        assert type(link.client) is paho.Client
    finally:
        link.stop()


def test_only_the_reading_link_drains(free_port: int) -> None:
    made_from = MqttSettings(host="127.0.0.1", port=free_port)
    reading = mqtt_link.Link(made_from, "-read", RealClock(), lambda: None, [])
    commanding = mqtt_link.Link(made_from, "-send", RealClock(), lambda: None)
    try:
        assert (type(reading.client), type(commanding.client)) == (DrainingClient, paho.Client)
    finally:
        reading.stop()
        commanding.stop()
