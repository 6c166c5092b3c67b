"""Does the meter tell the truth? A counter that stands while power flows, or runs while none does. Pure."""

import msgspec

from controller.core.danger_rules import DangerRules


class Counter(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """`fed_wh` is what the power says has flowed since the counter last moved, `still_s` how long that is."""

    wh: float
    still_s: float = 0.0
    fed_wh: float = 0.0
    ghost_wh: float = 0.0  # what it has counted in a row while no power was told


def counted(
    counter: Counter | None, wh: float, before_w: float, power_w: float, known_s: float, rules: DangerRules
) -> Counter:
    """After one reading. A counter that goes backwards was reset, and is begun anew."""
    if counter is None or wh < counter.wh:
        return Counter(wh)
    if wh == counter.wh:
        fed_wh = round(counter.fed_wh + before_w * known_s / 3600, 3)
        return Counter(wh, counter.still_s + known_s, fed_wh, counter.ghost_wh)
    dark = before_w <= rules.ghost_w and power_w <= rules.ghost_w
    return Counter(wh, 0.0, 0.0, round(counter.ghost_wh + wh - counter.wh, 3) if dark else 0.0)


def disbelieved(counter: Counter | None, rules: DangerRules) -> dict[str, float] | None:
    """The figures that show that power and counter can't both be true."""
    if counter is None:
        return None
    if counter.ghost_wh >= rules.frozen_wh:
        return {"counted_wh": counter.ghost_wh, "power_w": 0.0}
    if counter.still_s >= rules.frozen_s and counter.fed_wh >= rules.frozen_wh:
        return {"expected_wh": counter.fed_wh, "counter_wh": counter.wh, "still_s": counter.still_s}
    return None
