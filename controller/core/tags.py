"""What stands of a thing that people edit, as one short word: who edits what they no longer see is refused. Pure.

Pages take the word from a row, the decider from its memory, so that of two edits begun alike only the first is done.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec


def site_tag(name: str, zone: str, tariff: str, power_w: float | None) -> str:
    return tag("site", name, zone, tariff, _watts(power_w))


def pile_tag(name: str, power_w: float | None, inputs: Mapping[str, Mapping[str, str]] | None = None) -> str:
    wired = [(number, sorted(wired.items())) for number, wired in sorted((inputs or {}).items())]
    return tag("pile", name, _watts(power_w), wired)


def outlet_tag(number: str, phase: str, latch: str | None, locked_by: str | None) -> str:
    return tag("outlet", number, str(phase), latch, locked_by)


def card_tag(printed: str, frozen: bool) -> str:
    return tag("card", printed, frozen)


def merchant_tag(name: str) -> str:
    return tag("merchant", name)


def staff_tag(person: Mapping[str, Any]) -> str:
    return tag("staff", *(person.get(name) for name in ("login", "name", "password_hash", "role")), *_rights(person))


def _rights(person: Mapping[str, Any]) -> tuple[object, ...]:
    return sorted(person.get("sites") or ()), bool(person.get("disabled"))


def tag(*seen: object) -> str:
    return hashlib.sha256(msgspec.json.encode(seen)).hexdigest()[:24]


def _watts(power_w: float | None) -> float | None:
    return None if power_w is None else float(power_w)
