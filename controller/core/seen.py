"""What an outlet has last shown, taken over from its messages. Pure, and called for every reading."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from controller.core import events as ev
from controller.core.reading import is_late
from controller.core.state import Seen


def saw(seen: Seen, event: ev.Event) -> Seen | None:
    """None: this event shows nothing."""
    handler = _HANDLERS.get(type(event))
    return None if handler is None else handler(seen, event)


def _saw_reading(seen: Seen, event: ev.Reading) -> Seen:
    counter_wh, behind = _counter(seen, event.energy_wh)
    seen = replace(seen, power_w=event.power_w, counter_wh=counter_wh, reading_s=event.steady_s)
    return replace(seen, behind=behind, linked=True)


def _counter(seen: Seen, energy_wh: float | None) -> tuple[float | None, int]:
    """A late message must not lower the mark from which the next session is billed; a reset counter may."""
    if energy_wh is None:
        return seen.counter_wh, seen.behind
    if is_late(seen.counter_wh, energy_wh, seen.behind):
        return seen.counter_wh, seen.behind + 1
    return energy_wh, 0


def _saw_relay(seen: Seen, event: ev.RelayReported) -> Seen:
    return replace(seen, relay_on=event.on, linked=True)


_HANDLERS: dict[type, Callable[[Seen, Any], Seen]] = {
    ev.Reading: _saw_reading,
    ev.RelayReported: _saw_relay,
    ev.LinkUp: lambda seen, event: replace(seen, linked=True),
    ev.LinkLost: lambda seen, event: replace(seen, linked=False),
}
