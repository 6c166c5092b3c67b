"""The 0xEE frame of pile boards on a serial line, and of their relatives on TCP (DC589, WSD)."""

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs.framing import Finder

ASKS, ANSWERS = 0xEE, 0x66  # on TCP both sides begin with the first
NO_SESSION = bytes(6)
DATA_MAX = 0xFF - 8
FRAME_MAX = 0xFF + 2


class Frame(msgspec.Struct, frozen=True):
    command: int
    session: bytes = NO_SESSION  # an answer repeats its request's
    data: bytes = b""
    start: int = ASKS


def measure(head: bytes) -> int:
    """How long the frame is that begins with these bytes; 0 while that is not told yet."""
    if head[0] not in (ASKS, ANSWERS):
        raise BadFrame("malformed", f"begins with {head[0]:02X}")
    if len(head) < 2:
        return 0
    if head[1] < 8:
        raise BadFrame("length", f"{head[1]} bytes have no room for command, session and checksum")
    return head[1] + 2


def read(payload: bytes) -> Frame:
    size = measure(payload) if payload else 0
    if not size or size != len(payload):
        raise BadFrame("length", f"{len(payload)} bytes where {size or 'more'} are declared")
    expected = _xor(payload[1:-1])
    if payload[-1] != expected:
        raise BadFrame("checksum", f"{payload[-1]:02X} where {expected:02X} is right")
    return Frame(payload[2], payload[3:9], payload[9:-1], payload[0])


def finder() -> Finder[Frame]:
    return Finder(measure, read, FRAME_MAX)


def _xor(data: bytes) -> int:
    result = 0
    for byte in data:
        result ^= byte
    return result


def encode(frame: Frame) -> bytes:
    if len(frame.session) != 6 or len(frame.data) > DATA_MAX:
        raise ValueError(f"a session of {len(frame.session)} bytes with {len(frame.data)} of data is no frame")
    body = bytes((8 + len(frame.data), frame.command)) + frame.session + frame.data
    return bytes((frame.start,)) + body + bytes((_xor(body),))


def answer(request: Frame, data: bytes) -> Frame:
    """On a serial line: a board's, or the host's to what a board says by itself."""
    return Frame(request.command, request.session, data, ANSWERS)
