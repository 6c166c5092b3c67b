"""MQTT 3.1.1 at QoS 0 by hand, both ways: for fleets whose own cost must not be what is measured."""

import struct
from collections.abc import Iterable, Iterator

CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK, PINGREQ = 0x10, 0x20, 0x30, 0x82, 0x90, 0xC0
RETAIN = 0x01
PING = bytes((PINGREQ, 0))
PATTERNS_A_PACKET = 100


def connect(client_id: str, keepalive_s: int = 0, will: tuple[str, bytes] | None = None) -> bytes:
    """A clean session; the will is retained, as the devices' own is."""
    flags = 0x02 | (0x24 if will else 0)
    body = _text("MQTT") + bytes((4, flags)) + struct.pack(">H", keepalive_s) + _text(client_id)
    if will is not None:
        body += _text(will[0]) + struct.pack(">H", len(will[1])) + will[1]
    return _packet(CONNECT, body)


def subscribe(patterns: Iterable[str]) -> bytes:
    """One or more packets."""
    wanted = [_text(pattern) + b"\x00" for pattern in patterns]
    chunks = [wanted[first : first + PATTERNS_A_PACKET] for first in range(0, len(wanted), PATTERNS_A_PACKET)]
    return b"".join(_packet(SUBSCRIBE, struct.pack(">H", mid) + b"".join(c)) for mid, c in enumerate(chunks, 1))


def publish(topic: str, payload: bytes, retain: bool = False) -> bytes:
    return _packet(PUBLISH | (RETAIN if retain else 0), _text(topic) + payload)


def _packet(head: int, body: bytes) -> bytes:
    return bytes((head,)) + _length(len(body)) + body


def _length(number: int) -> bytes:
    digits = bytearray()
    while True:
        number, digit = divmod(number, 128)
        digits.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(digits)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


class Arrivals:
    """Bytes in, whole packets out: (first byte, body)."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        self._held += data
        at = 0
        while (end := self._end(at)) is not None:
            start, stop = end
            yield self._held[at], bytes(self._held[start:stop])
            at = stop
        del self._held[:at]

    def _end(self, at: int) -> tuple[int, int] | None:
        """Where the body of the packet at `at` starts and stops; None while it is not all here."""
        size = shift = 0
        for place in range(at + 1, min(at + 5, len(self._held))):
            size |= (self._held[place] & 0x7F) << shift
            shift += 7
            if self._held[place] < 0x80:
                stop = place + 1 + size
                return (place + 1, stop) if stop <= len(self._held) else None
        return None


def published(body: bytes) -> tuple[str, bytes]:
    """Topic and payload of a PUBLISH at QoS 0."""
    size = int.from_bytes(body[:2], "big")
    return body[2 : 2 + size].decode(), body[2 + size :]
