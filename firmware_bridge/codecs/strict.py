"""JSON from the wire, typed at once: what does not fit its type or its limits is a BadFrame, never a surprise."""

import json
from typing import Any, TypeVar

import msgspec

from controller.core.errors import BadFrame

T = TypeVar("T")
KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
TEXT = msgspec.json.Decoder(str)
_RANGE_SIGNS = ("out of range", ">=", "<=")  # how msgspec words a number beyond its limits


def parsed(decoder: msgspec.json.Decoder[T], payload: bytes | msgspec.Raw) -> T:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        kind = "range" if any(sign in str(error) for sign in _RANGE_SIGNS) else "malformed"
        raise BadFrame(kind, str(error)) from error


def read_text(payload: bytes) -> str:
    if not payload:
        raise BadFrame("length", "empty payload")
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise BadFrame("malformed", "not UTF-8") from error


def read_once(payload: bytes) -> None:
    """Refuses an object that says one thing twice: which of the two counts would be anybody's guess."""
    try:
        json.loads(payload, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise BadFrame("malformed", str(error)) from error


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) != len({name for name, _ in pairs}):
        raise BadFrame("malformed", f"said twice: {', '.join(name for name, _ in pairs)[:80]}")
