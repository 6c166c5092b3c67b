"""Modbus RTU: frames to bytes and back, as their master or as their slave; what registers mean is the families'."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs.framing import Finder

READ_COILS, READ_INPUTS, READ_HOLDING, READ_REGISTERS = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 5, 6, 15, 16
FAILED = 0x80  # set in the function of an exception
ON, OFF = 0xFF00, 0x0000
FRAME_MAX = 256
BITS_MAX, REGISTERS_MAX = 2000, 125  # of one read; the byte count has no room for more
_WRITE_MAX = {WRITE_COILS: 1968, WRITE_REGISTERS: 123}
_SHORTEST = 4  # unit, function, checksum
_READS_BITS, _READS_REGISTERS = (READ_COILS, READ_INPUTS), (READ_HOLDING, READ_REGISTERS)

# Function → the bytes that are always there, and where a byte says how many more there are (or nothing does).
Layout = Mapping[int, tuple[int, int | None]]
REQUESTS: Layout = dict.fromkeys(range(1, 7), (8, None)) | {15: (9, 6), 16: (9, 6)}
REPLIES: Layout = (
    dict.fromkeys(range(1, 5), (5, 2))
    | dict.fromkeys((5, 6, 15, 16), (8, None))
    | {FAILED | function: (5, None) for function in (1, 2, 3, 4, 5, 6, 15, 16)}
)


class Frame(msgspec.Struct, frozen=True):
    unit: int
    function: int
    data: bytes  # between function and checksum

    @property
    def address(self) -> int:
        """Of a request, and of an answer that repeats it."""
        return word(self.data, 0)

    @property
    def value(self) -> int:
        """What is written to one coil or register, or else how many are read or written."""
        return word(self.data, 2)

    @property
    def failure(self) -> int | None:
        return self.data[0] if self.function & FAILED else None


def word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


# -- the checksum -------------------------------------------------------------------------------------------------


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC = tuple(map(_crc_of_byte, range(256)))


def crc16(data: bytes) -> bytes:
    """In the order of the wire, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


# -- bytes to frames ----------------------------------------------------------------------------------------------


def measure(head: bytes, layout: Layout, unit: int | None = None) -> int:
    """How long the frame is that begins with these bytes; 0 while that is not told yet."""
    if unit is not None and head and head[0] != unit:
        raise BadFrame("unknown", f"of unit {head[0]}, not {unit}")
    if len(head) < 2:
        return 0
    if head[1] not in layout:
        raise BadFrame("unknown", f"function {head[1]:02X} is not known")
    fixed, counted = layout[head[1]]
    if counted is None:
        return fixed
    return fixed + head[counted] if len(head) > counted else 0


def read(payload: bytes, layout: Layout) -> Frame:
    """Exactly one frame: its declared length first, as the checksum alone also holds where zeros follow."""
    if not _SHORTEST <= len(payload) <= FRAME_MAX:
        raise BadFrame("length", f"{len(payload)} bytes are no frame")
    known = payload[1] in layout
    size = measure(payload, layout) if known else len(payload)
    if size != len(payload):
        raise BadFrame("length", f"{len(payload)} bytes where {size or 'more'} are declared")
    expected = crc16(payload[:-2])
    if payload[-2:] != expected:
        raise BadFrame("crc", f"{payload[-2:].hex(' ').upper()} where {expected.hex(' ').upper()} is right")
    if not known:
        raise BadFrame("unknown", f"function {payload[1]:02X} is not known")
    frame = Frame(payload[0], payload[1], payload[2:-2])
    _check(frame, layout[frame.function])
    return frame


def read_request(payload: bytes) -> Frame:
    return read(payload, REQUESTS)


def read_reply(payload: bytes) -> Frame:
    return read(payload, REPLIES)


def finder(layout: Layout, unit: int | None = None) -> Finder[Frame]:
    """Frames of one unit, or of all, out of the noise of a line."""
    return Finder(lambda head: measure(head, layout, unit), lambda frame: read(frame, layout), FRAME_MAX)


def _check(frame: Frame, layout: tuple[int, int | None]) -> None:
    """What a right checksum does not vouch for: counts that fit what they count."""
    fixed, counted = layout
    if fixed == 5 and counted is not None:
        _check_listed(frame)
    elif fixed == 9:
        _check_written(frame)
    elif fixed == 8 and frame.function not in (WRITE_COIL, WRITE_REGISTER):
        _check_span(frame)


def _check_listed(frame: Frame) -> None:
    count = frame.data[0]
    most = REGISTERS_MAX * 2 if frame.function in _READS_REGISTERS else BITS_MAX // 8
    if not 0 < count <= most or (frame.function in _READS_REGISTERS and count % 2):
        raise BadFrame("length", f"{count} bytes are no answer to function {frame.function:02X}")


def _check_written(frame: Frame) -> None:
    _check_span(frame)
    needed = frame.value * 2 if frame.function == WRITE_REGISTERS else (frame.value + 7) // 8
    if frame.data[4] != needed:
        raise BadFrame("length", f"{frame.data[4]} bytes for {frame.value} values")


def _check_span(frame: Frame) -> None:
    most = _WRITE_MAX.get(frame.function, REGISTERS_MAX if frame.function in _READS_REGISTERS else BITS_MAX)
    if not 0 < frame.value <= most or frame.address + frame.value > 0x10000:
        raise BadFrame("range", f"{frame.value} from address {frame.address}")


def registers_of(frame: Frame) -> tuple[int, ...]:
    """Of an answer to a read, or of a request that writes several."""
    data = frame.data[5:] if frame.function == WRITE_REGISTERS else frame.data[1:]
    return tuple(word(data, at) for at in range(0, len(data), 2))


def bits_of(frame: Frame) -> tuple[bool, ...]:
    """Of an answer to a read, padding and all, or of a request that writes several."""
    data = frame.data[5:] if frame.function == WRITE_COILS else frame.data[1:]
    bits = tuple(bool(byte >> bit & 1) for byte in data for bit in range(8))
    return bits[: frame.value] if frame.function == WRITE_COILS else bits


# -- frames to bytes ----------------------------------------------------------------------------------------------


def encode(frame: Frame) -> bytes:
    body = bytes((frame.unit, frame.function)) + frame.data
    return body + crc16(body)


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def _packed(bits: Sequence[bool]) -> bytes:
    value = sum(1 << at for at, bit in enumerate(bits) if bit)
    return value.to_bytes((len(bits) + 7) // 8, "little")


def ask(unit: int, function: int, address: int, count: int) -> Frame:
    """A read."""
    return Frame(unit, function, _words(address, count))


def write_one(unit: int, function: int, address: int, value: int) -> Frame:
    """To a coil or a register; its answer is the same bytes."""
    return Frame(unit, function, _words(address, value))


def write_coils(unit: int, address: int, bits: Sequence[bool]) -> Frame:
    packed = _packed(bits)
    return Frame(unit, WRITE_COILS, _words(address, len(bits)) + bytes((len(packed),)) + packed)


def write_registers(unit: int, address: int, values: Sequence[int]) -> Frame:
    return Frame(unit, WRITE_REGISTERS, _words(address, len(values)) + bytes((2 * len(values),)) + _words(*values))


def answer_bits(unit: int, function: int, bits: Sequence[bool]) -> Frame:
    packed = _packed(bits)
    return Frame(unit, function, bytes((len(packed),)) + packed)


def answer_registers(unit: int, function: int, values: Sequence[int]) -> Frame:
    return Frame(unit, function, bytes((2 * len(values),)) + _words(*values))


def answer_written(request: Frame) -> Frame:
    """To a write: the address with the value, or with how many were written."""
    return Frame(request.unit, request.function, request.data[:4])


def failed(request: Frame, code: int) -> Frame:
    return Frame(request.unit, request.function | FAILED, bytes((code,)))


# -- one frame, for people ----------------------------------------------------------------------------------------


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    """Everything that the frame says whatever device it belongs to."""
    return means(read_request(payload)) if direction == "down" else means(read_reply(payload), reply=True)


def means(frame: Frame, reply: bool = False) -> dict[str, object]:
    if frame.failure is not None:
        return {"exception": frame.failure}
    if frame.function in (WRITE_COIL, WRITE_REGISTER):
        return {"address": frame.address, "value": frame.value}
    if reply and frame.function in _READS_BITS:
        return {"bits": as_text(bits_of(frame))}
    if reply and frame.function in _READS_REGISTERS:
        return {"registers": list(registers_of(frame))}
    span: dict[str, object] = {"address": frame.address, "count": frame.value}
    if not reply and frame.function == WRITE_COILS:
        span["coils"] = as_text(bits_of(frame))
    if not reply and frame.function == WRITE_REGISTERS:
        span["registers"] = list(registers_of(frame))
    return span


def as_text(bits: Iterable[bool]) -> str:
    """The first bit first."""
    return "".join("01"[bit] for bit in bits)
