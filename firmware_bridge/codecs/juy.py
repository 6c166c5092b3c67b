"""JUY's pile boards (5A A5), over TCP or MQTT with the same bytes: frames to bytes and back."""

import re

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs.framing import Finder

LOGIN, HEARTBEAT, START, STOP, SETTLEMENT = 0x81, 0x82, 0x83, 0x84, 0x85
FRAME_MAX = 1024
_START = b"\x5a\xa5"
_IMEI = re.compile(rb"\d{15}")
_AROUND = 4 + 3  # what begins it and tells its length; command, result and checksum


class Frame(msgspec.Struct, frozen=True):
    command: int
    result: int = 0
    data: bytes = b""
    imei: str = ""  # newer boards put it into every frame


def measure(head: bytes) -> int:
    """How long the frame is that begins with these bytes; 0 while that is not told yet."""
    if not _START.startswith(head[:2]):
        raise BadFrame("malformed", "no 5A A5 where a frame begins")
    if len(head) < 4:
        return 0
    size = 4 + int.from_bytes(head[2:4], "little")
    if not _AROUND <= size <= FRAME_MAX:
        raise BadFrame("length", f"a frame of {size} bytes")
    return size


def read(payload: bytes) -> Frame:
    size = measure(payload)
    if size != len(payload) or not size:
        raise BadFrame("length", f"{len(payload)} bytes where {size or 'more'} are declared")
    expected = sum(payload[2:-1]) & 0xFF
    if payload[-1] != expected:
        raise BadFrame("checksum", f"{payload[-1]:02X} where {expected:02X} is right")
    data = payload[6:-1]
    imei = _IMEI.match(data)
    return Frame(payload[4], payload[5], data[imei.end() :] if imei else data, imei[0].decode() if imei else "")


def finder() -> Finder[Frame]:
    return Finder(measure, read, FRAME_MAX)


def encode(frame: Frame) -> bytes:
    if frame.imei and not _IMEI.fullmatch(frame.imei.encode()):
        raise ValueError(f"{frame.imei!r} is no IMEI")
    body = bytes((frame.command, frame.result)) + frame.imei.encode() + frame.data
    size = len(body) + 1
    if size + 4 > FRAME_MAX:
        raise ValueError(f"{size} bytes are too many for a frame")
    counted = size.to_bytes(2, "little") + body
    return _START + counted + bytes((sum(counted) & 0xFF,))
