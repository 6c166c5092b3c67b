"""Serial readers of M1 (Mifare Classic) cards: frames to bytes and back, as their host or as the reader."""

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs.framing import Finder

BUZZER, FIELD_ON, FIELD_OFF, ACTIVATE = 0x3113, 0x3190, 0x3191, 0x3224
AUTHENTICATE, READ_BLOCK, WRITE_BLOCK = 0xC202, 0xC203, 0xC204
PAYLOAD_MAX = 512
FRAME_MAX = PAYLOAD_MAX + 5
_START, _END = 0x02, 0x03
# What belongs to each command: a time with a count; nothing; a time; key and UID; a block; a block with its bytes.
_SIZES = {BUZZER: 3, FIELD_ON: 0, FIELD_OFF: 0, ACTIVATE: 2, AUTHENTICATE: 12, READ_BLOCK: 1, WRITE_BLOCK: 17}


class Frame(msgspec.Struct, frozen=True):
    code: int  # of a request the command, of an answer the status: 0 is well
    data: bytes = b""


def measure(head: bytes) -> int:
    """How long the frame is that begins with these bytes; 0 while that is not told yet."""
    if head[0] != _START:
        raise BadFrame("malformed", f"begins with {head[0]:02X}")
    if len(head) < 3:
        return 0
    size = int.from_bytes(head[1:3], "big")
    if not 2 <= size <= PAYLOAD_MAX:
        raise BadFrame("length", f"{size} bytes of payload")
    return size + 5


def read(payload: bytes) -> Frame:
    size = measure(payload) if payload else 0
    if not size or size != len(payload):
        raise BadFrame("length", f"{len(payload)} bytes where {size or 'more'} are declared")
    if payload[-1] != _END:
        raise BadFrame("malformed", f"ends with {payload[-1]:02X}")
    body, expected = payload[3:-2], _xor(payload[3:-2])
    if payload[-2] != expected:
        raise BadFrame("checksum", f"{payload[-2]:02X} where {expected:02X} is right")
    return Frame(int.from_bytes(body[:2], "big"), body[2:])


def read_request(payload: bytes) -> Frame:
    """Commands that are not known here pass: makers have more of them."""
    frame = read(payload)
    if len(frame.data) != _SIZES.get(frame.code, len(frame.data)):
        raise BadFrame("length", f"{len(frame.data)} bytes for command {frame.code:04X}")
    return frame


def finder() -> Finder[Frame]:
    return Finder(measure, read, FRAME_MAX)


def _xor(data: bytes) -> int:
    result = 0
    for byte in data:
        result ^= byte
    return result


def encode(frame: Frame) -> bytes:
    body = frame.code.to_bytes(2, "big") + frame.data
    if len(body) > PAYLOAD_MAX:
        raise ValueError(f"{len(body)} bytes are too many for a frame")
    return bytes((_START, *len(body).to_bytes(2, "big"))) + body + bytes((_xor(body), _END))


def activate(timeout_ms: int) -> Frame:
    """Look for a card this long."""
    return Frame(ACTIVATE, timeout_ms.to_bytes(2, "big"))


def buzz(on_ms: int, times: int = 1) -> Frame:
    return Frame(BUZZER, on_ms.to_bytes(2, "big") + bytes((times,)))


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    frame = read(payload) if direction == "up" else read_request(payload)
    means: dict[str, object] = {"status_code" if direction == "up" else "command": f"{frame.code:04X}"}
    return means | ({"data": frame.data.hex(" ").upper()} if frame.data else {})
