"""DL/T 645-2007: frames of Chinese electricity meters to bytes and back, as their master or as the meter."""

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs.framing import Finder

ANY, EVERY = "aaaaaaaaaaaa", "999999999999"  # whoever is alone on the bus; all of them, and none answers
READ, READ_ADDRESS, WRITE, RELAY, SET_TIME = 0x11, 0x13, 0x14, 0x1C, 0x08
ANSWERED, FAILED, MORE = 0x80, 0x40, 0x20  # what a meter adds to the control code
FUNCTIONS = frozenset((0x03, SET_TIME, *range(READ, 0x1E)))
DATA_MAX = 200
PREAMBLE, _PREAMBLE_MAX = b"\xfe", 8  # four in the standard; converters add some
_START, _END, _OFFSET = 0x68, 0x16, 0x33
_EMPTY = 12  # a frame without data
FRAME_MAX = _EMPTY + DATA_MAX


class Frame(msgspec.Struct, frozen=True):
    address: str  # twelve digits, as on the meter's plate
    control: int
    data: bytes  # as meant: without the 33H that the wire adds

    @property
    def function(self) -> int:
        return self.control & 0x1F

    @property
    def answered(self) -> bool:
        return bool(self.control & ANSWERED)

    @property
    def failed(self) -> bool:
        return bool(self.control & FAILED)


# -- bytes to frames ----------------------------------------------------------------------------------------------


def measure(head: bytes) -> int:
    """By its length, as a byte of data may be 68H or 16H too; 0 while it is not told yet."""
    if head[0] != _START or (len(head) > 7 and head[7] != _START):
        raise BadFrame("malformed", "no 68H where a frame has it")
    if len(head) < 10:
        return 0
    if head[9] > DATA_MAX:
        raise BadFrame("length", f"{head[9]} bytes of data: no meter sends that")
    return _EMPTY + head[9]


def read(payload: bytes) -> Frame:
    """Exactly one frame, with or without the FEH before it."""
    body = payload.lstrip(PREAMBLE)
    if len(payload) - len(body) > _PREAMBLE_MAX:
        raise BadFrame("malformed", f"{len(payload) - len(body)} times FEH")
    if len(body) < _EMPTY:
        raise BadFrame("length", f"{len(body)} bytes are no frame")
    size = measure(body)
    if size != len(body):
        raise BadFrame("length", f"{len(body)} bytes where {size} are declared")
    if body[-1] != _END:
        raise BadFrame("malformed", f"ends with {body[-1]:02X}")
    if body[-2] != checksum(body[:-2]):
        raise BadFrame("checksum", f"{body[-2]:02X} where {checksum(body[:-2]):02X} is right")
    frame = Frame(_address(body[1:7]), body[8], bytes(byte - _OFFSET & 0xFF for byte in body[10:-2]))
    if frame.function not in FUNCTIONS:
        raise BadFrame("unknown", f"control code {frame.control:02X}")
    return frame


def read_request(payload: bytes) -> Frame:
    frame = read(payload)
    if frame.control & ~0x1F:
        raise BadFrame("malformed", f"control code {frame.control:02X} is an answer's")
    return frame


def read_reply(payload: bytes) -> Frame:
    frame = read(payload)
    if not frame.answered:
        raise BadFrame("malformed", f"control code {frame.control:02X} is a request's")
    return frame


def finder() -> Finder[Frame]:
    return Finder(measure, read, FRAME_MAX)


def checksum(data: bytes) -> int:
    return sum(data) & 0xFF


def _address(wire: bytes) -> str:
    """Digits, or A for any."""
    text = wire[::-1].hex()
    if not set(text) <= set("0123456789a"):
        raise BadFrame("malformed", f"{text} is no meter's address")
    return text


# -- frames to bytes ----------------------------------------------------------------------------------------------


def encode(frame: Frame, preamble: int = 4) -> bytes:
    head = bytes((_START, *address_bytes(frame.address), _START, frame.control, len(frame.data)))
    body = head + bytes(byte + _OFFSET & 0xFF for byte in frame.data)
    return PREAMBLE * preamble + body + bytes((checksum(body), _END))


def address_bytes(address: str) -> bytes:
    if len(address) != 12 or not set(address) <= set("0123456789a"):
        raise ValueError(f"{address!r} is no meter's address")
    return bytes.fromhex(address)[::-1]


def ask(address: str, di: str) -> Frame:
    return Frame(address, READ, di_bytes(di))


def ask_address() -> Frame:
    """For the one meter on the bus."""
    return Frame(ANY, READ_ADDRESS, b"")


def answer(address: str, function: int, data: bytes = b"") -> Frame:
    return Frame(address, ANSWERED | function, data)


def refusal(address: str, function: int, error: int) -> Frame:
    return Frame(address, ANSWERED | FAILED | function, bytes((error,)))


def di_bytes(di: str) -> bytes:
    """An identifier as it is printed, high byte first, to the order of the wire."""
    wire = bytes.fromhex(di)[::-1]
    if len(wire) != 4:
        raise ValueError(f"{di!r} is no identifier of the 2007 edition")
    return wire
