"""What a pile's inputs are wired to, and what was last heard of each. Values only; `inputs.py` decides.

A loop that is normally closed is an alarm when it opens, so a broken wire is one as well.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec

from controller.core.errors import Refused
from controller.core.reasons import StopReason

INPUTS_MAX = 28  # the most that one device has


class Kind(StrEnum):
    SMOKE = "smoke"
    FLOOD = "flood"
    EMERGENCY = "emergency"


REASONS: dict[Kind, StopReason] = {
    Kind.SMOKE: StopReason.SMOKE,
    Kind.FLOOD: StopReason.FLOOD,
    Kind.EMERGENCY: StopReason.SITE_CUT,
}


KINDS = {why: kind for kind, why in REASONS.items()}
LATCHES = frozenset((Kind.SMOKE, Kind.FLOOD))  # an emergency button is of its site


class Wired(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What hangs on one input, what it cuts, and how its loop stands while all is well."""

    kind: Kind
    scope: Literal["pile", "site"] = "site"
    normally: Literal["open", "closed"] = "open"

    def is_active(self, on: bool) -> bool:
        return on is (self.normally == "open")


class Contact(msgspec.Struct, frozen=True, gc=False):
    """Closed (`on`) or open, and when (steady) it was last heard."""

    on: bool
    heard_s: float


def input_key(pile: str, number: int) -> str:
    """Names one input where others name an outlet, a site or a pile; also who cut."""
    return f"input:{pile}:{number}"


def wired_of(values: object) -> dict[int, Wired]:
    """By number, in order; refuses what is no setting."""
    try:
        found = msgspec.convert(values, dict[int, Wired], strict=False)
    except msgspec.ValidationError as error:
        raise Refused("invalid", f"inputs: {error}") from error
    for number, wired in found.items():
        if not 1 <= number <= INPUTS_MAX:
            raise Refused("invalid", f"inputs count from 1 to {INPUTS_MAX}")
        if wired.kind is Kind.EMERGENCY and wired.scope != "site":
            raise Refused("invalid", "an emergency button cuts its whole site")
    return dict(sorted(found.items()))


def plain(wired: Mapping[int, Wired]) -> dict[str, dict[str, str]]:
    """As it is kept in the pile's row."""
    return {str(number): msgspec.to_builtins(one) for number, one in sorted(wired.items())}
