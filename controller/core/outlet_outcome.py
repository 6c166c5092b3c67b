"""What a decision on an outlet without a session may look at, and what comes of it. Pure."""

from collections.abc import Callable
from typing import Any

import msgspec

from controller.core import effects as fx
from controller.core.errors import Refused
from controller.core.state import Outlet, Rules, Seen


class Context(msgspec.Struct, frozen=True):
    """`dead` is why this outlet may not be energised (`dead.py`), or None."""

    rules: Rules
    seen: Seen
    generation: int
    dead: Refused | None = None


class Outcome(msgspec.Struct, frozen=True):
    outlet: Outlet
    effects: tuple[fx.Effect, ...] = ()
    alarmed: bool | None = None


Handler = Callable[[Outlet, Any, Context], Outcome]


def changed(outlet: Outlet) -> Outcome:
    return Outcome(outlet, (fx.SaveOutlet(outlet),))
