"""Reads what a broker sends in whole buffers: plain QoS 0 PUBLISHes are taken apart here, all else is left to paho.

paho asks the kernel for the first byte of a packet, for its length and for its body one after another; at thousands
of readings a second that is most of what the reading thread does. It hangs on three private members of paho, so it is
tried out once in each process; where paho has changed, its own read serves.
"""

import socket
import time
from functools import cache

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion

from firmware_bridge.wire import Message

READ_BYTES = 64 * 1024  # some 250 readings: then others have their turn
SMALLEST = 5  # the head of a PUBLISH with a length of two bytes

log = structlog.get_logger(__name__)


class DrainingClient(paho.Client):
    """`drain` takes the place of `loop_read`; the order of messages is the wire's, by whichever way each one came."""

    _ahead = b""  # read from the socket and not yet taken
    _at = 0

    def drain(self, into: list[Message], five: bool) -> None:
        """One read of the socket. Plain PUBLISHes are put `into`; the others come by `on_message`, as from paho."""
        try:
            self._ahead = super()._sock_recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._ahead = b""
        if not self._ahead:
            self.loop_read()  # which meets the end itself, and says so
            return
        self._last_bytes_received = time.monotonic()
        try:
            self._share_out(into, five)
        finally:
            self._ahead, self._at = b"", 0

    def _share_out(self, into: list[Message], five: bool) -> None:
        while self._at < len(self._ahead) and self.socket() is not None:  # after an end nothing counts
            if self._in_packet["command"] == 0:  # paho is not in the middle of a packet
                self._at = take_published(self._ahead, self._at, five, into)
            if self._at < len(self._ahead):
                self.loop_read()

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._at >= len(self._ahead):
            return super()._sock_recv(bufsize)
        taken = self._ahead[self._at : self._at + bufsize]
        self._at += len(taken)
        return taken


def take_published(data: bytes, at: int, five: bool, into: list[Message]) -> int:
    """Takes the PUBLISHes that are whole and plain, and returns where the first other packet begins.

    Plain: QoS 0, under 16 KiB, a topic in UTF-8, in MQTT 5 no properties. What is malformed is never plain.
    """
    end = len(data)
    while at + SMALLEST <= end and data[at] & 0xFE == 0x30:
        length, body = data[at + 1], at + 2
        if length & 0x80:
            length += data[body] * 128 - 128
            body += 1
        topic = body + 2
        payload, after = topic + data[body] * 256 + data[body + 1], body + length
        plain = topic < payload <= after <= end and length < 16_384
        if five and plain:
            plain = payload < after and data[payload] == 0
            payload += 1
        if not plain:
            return at
        try:
            address = str(data[topic : payload - five], "utf-8")
        except UnicodeDecodeError:
            return at
        into.append(Message(address, data[payload:after], data[at] == 0x31))
        at = after
    return at


@cache
def paho_fits() -> bool:
    """Whether paho still reads by way of what is overridden here."""
    try:
        fits = _tried_out()
    except Exception as error:  # noqa: BLE001 - whatever has changed, it is no reason not to start
        log.warning("paho_has_changed", error=repr(error))
        return False
    if not fits:
        log.warning("paho_has_changed", error="a packet took another way")
    return fits


def _tried_out() -> bool:
    """An answer for paho, a PUBLISH for us, one that is cut in two for paho again."""
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        client = DrainingClient(CallbackAPIVersion.VERSION2, client_id="trial")
        client._sock = here
        before_s = client._last_bytes_received
        ours, theirs = list[Message](), list[bytes]()
        client.on_message = lambda _client, _userdata, message: theirs.append(bytes(message.payload))
        for sent in (b"\xd0\x00\x30\x04\x00\x01ab\x30\x04\x00", b"\x01ac"):
            there.sendall(sent)
            client.drain(ours, five=False)
    return ours == [Message("a", b"b")] and theirs == [b"c"] and client._last_bytes_received >= before_s
