"""Commissioning's values: its steps, what was seen in the one under way, and what is kept of it. Nothing decides here.

`…_s` is steady, and of this process: a programme half run does not outlive it.
"""

from enum import StrEnum

import msgspec

CAN_T_SAY = -1.0  # `power_up_off`: what this device does when its supply comes back must be seen


class Step(StrEnum):
    PROVISION = "provision"  # safe settings, read back
    TURN = "turn"  # dark, and no other outlet of the pile is being proven: its load could be taken for this one's
    OBEY_ON = "obey_on"
    OBEY_OFF = "obey_off"
    LEASE = "lease"
    REARM = "rearm"
    POWER_CUT = "power_cut"


class CutBy(StrEnum):
    """How the lease was seen to cut: the relay said so by itself, or the load's power fell while it still said on."""

    TIMER = "timer"
    WATCHDOG = "watchdog"


class Proving(msgspec.Struct, frozen=True):
    """Commissioning under way. A step with an ON begins with it (`since_s`); `power_cut` may try it several times."""

    step: str
    since_s: float
    by: str
    settings: dict[str, float]
    measured: dict[str, float]
    step_s: float = 0.0
    lease_s: float = 0.0  # of its ON
    asked_s: float = -1e18
    on_s: float | None = None  # first seen on
    load_s: float | None = None  # first seen under power, by its meter
    lit_s: float | None = None  # last seen so
    renewed_s: float | None = None
    cut_s: float | None = None  # its lease was seen to cut, or a try to be over; OFF was sent, and dark is waited for
    cut_by: str = ""
    heard_s: float | None = None  # the relay's last word
    away_s: float | None = None  # its supply is gone, as far as that can be seen
    back_s: float | None = None  # it was heard again, and off
    tries: int = 0


class Proof(msgspec.Struct, frozen=True):
    """That it was proven: when, by whom, with which firmware and model, and what its lease was cut by."""

    at: float
    by: str
    firmware: str
    model: str
    cut_by: str


class Failure(msgspec.Struct, frozen=True):
    """Why the last commissioning failed, or why the one before counts no longer."""

    at: float
    step: str
    why: str
    evidence: dict[str, float | str] = {}
    steps: tuple[str, ...] = ()  # of its programme, as far as was known


def steps_of(settings: dict[str, float]) -> tuple[Step, ...]:
    """What a device with these settings has to show, in order."""
    seen = settings.get("power_up_off") == CAN_T_SAY or "away_s" in settings
    return tuple(step for step in Step if seen or step is not Step.POWER_CUT)


def lease_left_s(proving: Proving, now_s: float) -> float | None:
    """Of the ON of this step; None: nothing is under power."""
    if not proving.lease_s or proving.cut_s is not None or proving.away_s is not None:
        return None
    began_s = proving.since_s if proving.renewed_s is None else proving.renewed_s
    return max(0.0, began_s + proving.lease_s - now_s)


def todo(proving: Proving | None) -> str:
    """What a person has to do now; "": nothing but wait."""
    if proving is None:
        return ""
    if proving.step == Step.OBEY_ON and proving.lit_s is None:
        return "plug_load"
    if proving.step != Step.POWER_CUT or proving.back_s is not None:
        return ""
    if proving.away_s is not None:
        return "give_back"
    if proving.cut_s is not None or proving.on_s is None:
        return "wait_on"
    return "take_away"
