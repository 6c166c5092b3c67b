"""Does the meter tell the truth? A counter that stands while power flows, or runs while none does. Pure."""

import msgspec

from controller.core.danger_rules import DangerRules


class Counter(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """`fed_wh` is what the power says has flowed since the counter last moved, `still_s` how long that is."""

    wh: float
    still_s: float = 0.0
    fed_wh: float = 0.0
    ghost_wh: float = 0.0  # what it has counted in a row while no power was told
    told: bool = True  # at the last minute's end; else nothing is known of it


def counted(
    counter: Counter | None, wh: float | None, fed_wh: float, power_w: float, minute_s: float, rules: DangerRules
) -> Counter | None:
    """After one minute. A counter that goes backwards was reset, and is begun anew."""
    if counter is None or (wh is not None and wh < counter.wh):
        return None if wh is None else Counter(wh)
    still_s, fed_wh = counter.still_s + minute_s, round(counter.fed_wh + fed_wh, 3)
    if wh is None or wh == counter.wh:
        return Counter(counter.wh, still_s, fed_wh, counter.ghost_wh, wh is not None)
    dark = power_w <= rules.ghost_w and fed_wh * 3600 <= rules.ghost_w * still_s
    return Counter(wh, 0.0, 0.0, round(counter.ghost_wh + wh - counter.wh, 3) if dark else 0.0)


def disbelieved(counter: Counter | None, rules: DangerRules) -> dict[str, float] | None:
    """The figures that show that power and counter can't both be true."""
    if counter is None or not counter.told:
        return None
    if counter.ghost_wh >= rules.frozen_wh:
        return {"counted_wh": counter.ghost_wh, "power_w": 0.0}
    if counter.still_s >= rules.frozen_s and counter.fed_wh >= rules.frozen_wh:
        return {"expected_wh": counter.fed_wh, "counter_wh": counter.wh, "still_s": round(counter.still_s, 1)}
    return None
