"""DNY (AP3000) e-bike piles on TCP: frames to bytes and back, as their server or as the pile."""

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs.framing import Finder

FRAME_MAX = 261  # 256 that its length counts
LINK = b"link"  # every half minute, between the frames
_START = b"DNY"
_EMPTY = 9  # what the length counts of a frame without data: both numbers, the command, the checksum
ICCID_SIZE = 20  # said once, at connecting


class Frame(msgspec.Struct, frozen=True):
    pile: int  # the number printed on it, with its kind in the top byte
    message: int  # an answer repeats it, and so does a repetition
    command: int
    data: bytes = b""


def measure(head: bytes) -> int:
    """How long the frame is that begins with these bytes; 0 while that is not told yet."""
    if not _START.startswith(head[:3]):
        raise BadFrame("malformed", "no DNY where a frame begins")
    if len(head) < 5:
        return 0
    size = 5 + int.from_bytes(head[3:5], "little")
    if not 5 + _EMPTY <= size <= FRAME_MAX:
        raise BadFrame("length", f"a frame of {size} bytes")
    return size


def read(payload: bytes) -> Frame:
    size = measure(payload)
    if size != len(payload) or not size:
        raise BadFrame("length", f"{len(payload)} bytes where {size or 'more'} are declared")
    expected = checksum(payload[:-2])
    if payload[-2:] != expected:
        raise BadFrame("checksum", f"{payload[-2:].hex(' ').upper()} where {expected.hex(' ').upper()} is right")
    pile, message = int.from_bytes(payload[5:9], "little"), int.from_bytes(payload[9:11], "little")
    return Frame(pile, message, payload[11], payload[12:-2])


def read_iccid(payload: bytes) -> str:
    if len(payload) != ICCID_SIZE or not payload.isalnum():
        raise BadFrame("malformed", "no number of a SIM card")
    return payload.decode()


def finder() -> Finder[Frame]:
    """What is said between the frames (ICCID, link) is passed over."""
    return Finder(measure, read, FRAME_MAX)


def checksum(data: bytes) -> bytes:
    return (sum(data) & 0xFFFF).to_bytes(2, "little")


def encode(frame: Frame) -> bytes:
    size = _EMPTY + len(frame.data)
    if size + 5 > FRAME_MAX:
        raise ValueError(f"{len(frame.data)} bytes of data are too many for a frame")
    numbers = frame.pile.to_bytes(4, "little") + frame.message.to_bytes(2, "little")
    body = _START + size.to_bytes(2, "little") + numbers + bytes((frame.command,)) + frame.data
    return body + checksum(body)


def answer(request: Frame, data: bytes = b"\x00") -> Frame:
    """An acknowledgement, unless something else is given."""
    return Frame(request.pile, request.message, request.command, data)
