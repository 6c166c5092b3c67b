"""What a decision on an outlet without a session may look at, and what comes of it. Pure."""

from collections.abc import Callable
from typing import Any

import msgspec

from controller.core import effects as fx
from controller.core.errors import Refused
from controller.core.state import Outlet, Rules, Seen


class Beside(msgspec.Struct, frozen=True):
    """Another outlet of the same pile, while this one is proven; `reading_s` is steady."""

    id: str
    number: str
    power_w: float
    reading_s: float
    charging: bool
    step: str = ""  # of its own commissioning


class Context(msgspec.Struct, frozen=True):
    """`dead` is why this outlet may not be energised (`dead.py`), or None; `model` is its pile's, as far as is known.

    `charging`: it has a live session. Only what everybody may decide all the same comes here then.
    """

    rules: Rules
    seen: Seen
    generation: int
    dead: Refused | None = None
    model: str = ""
    charging: bool = False
    besides: tuple[Beside, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    outlet: Outlet
    effects: tuple[fx.Effect, ...] = ()
    alarmed: bool | None = None


Handler = Callable[[Outlet, Any, Context], Outcome]


def changed(outlet: Outlet) -> Outcome:
    return Outcome(outlet, (fx.SaveOutlet(outlet),))
