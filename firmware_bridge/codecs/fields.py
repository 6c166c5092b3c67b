"""The data of a pile's frame as a table of fields, the lowest byte first: shared by the families that speak so."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from controller.core.errors import BadFrame

Value = Callable[[bytes], object]


class Field(NamedTuple):
    name: str  # "" where the bytes mean nothing
    size: int
    value: Value


def whole(data: bytes) -> int:
    return int.from_bytes(data, "little")


def scaled(divisor: int) -> Value:
    return lambda data: whole(data) / divisor


def times(factor: int) -> Value:
    return lambda data: whole(data) * factor


def hex_(data: bytes) -> str:
    return data.hex().upper()


def digits(data: bytes) -> str:
    """Of a number that is written two digits a byte, the first pair first."""
    return data.hex().upper()


def text(data: bytes) -> str:
    """Padded with zeros behind; what is no printable ASCII is a frame of something else."""
    said, _, rest = data.partition(b"\0")
    if any(rest) or not said.isascii() or not said.decode("ascii").isprintable():
        raise BadFrame("malformed", "no text where one belongs")
    return said.decode("ascii")


def moment(data: bytes) -> str | None:
    """Two digits a byte, from the year to the second; None while the device has no time."""
    year, month, day, hour, minute, second = (f"{byte:02X}" for byte in data)
    return f"20{year}-{month}-{day} {hour}:{minute}:{second}" if any(data) else None


def whole_list(size: int, value: Value = whole) -> Value:
    return lambda data: [value(data[at : at + size]) for at in range(0, len(data), size)]


def byte(name: str, value: Value = whole) -> Field:
    return Field(name, 1, value)


def word(name: str, value: Value = whole) -> Field:
    return Field(name, 2, value)


def long(name: str, value: Value = whole) -> Field:
    return Field(name, 4, value)


def blank(size: int) -> Field:
    return Field("", size, whole)


def size_of(fields: Iterable[Field]) -> int:
    return sum(field.size for field in fields)


def read_fields(data: bytes, fields: Iterable[Field]) -> dict[str, object]:
    """As many as there are: older firmware ends earlier, newer goes on. What ends within one is cut."""
    values: dict[str, object] = {}
    for field in fields:
        if not data and field.size:
            break
        if len(data) < field.size:
            raise BadFrame("length", f"{len(data)} bytes of {field.name or 'what is reserved'}")
        if field.name:
            values[field.name] = field.value(data[: field.size])
        data = data[field.size :]
    return values


def replaced(data: bytes, fields: Iterable[Field], put: Mapping[str, Callable[[bytes], bytes]]) -> bytes:
    """The same data with the bytes of some fields put otherwise, as many as they were."""
    made = bytearray(data)
    at = 0
    for field in fields:
        piece = data[at : at + field.size]
        if field.name in put and len(piece) == field.size:
            made[at : at + field.size] = put[field.name](piece)
        at += field.size
    return bytes(made)


def read_blocks(data: bytes, fields: tuple[Field, ...]) -> list[dict[str, object]]:
    """The same fields again and again to the end, none of them cut."""
    size = size_of(fields)
    if len(data) % size:
        raise BadFrame("length", f"{len(data)} bytes where {size} belong to one")
    return [read_fields(data[at : at + size], fields) for at in range(0, len(data), size)]
