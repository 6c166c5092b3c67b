"""The rules that others cut by, each a few lines: what ours is measured against.

A rule is told of each reading and says when it has cut, which may be before this reading: rules with a timer need no
reading to go off. Left out are rules that stop before full on purpose: 90 % by a charger's own watts, or so many kWh.
"""

from collections import deque
from collections.abc import Callable

Judge = Callable[[float, float], float | None]
Maker = Callable[[], Judge]

DNY_LATE_S = 3 * 3600.0


def below(limit_w: float, for_s: float) -> Judge:
    since_s: float | None = None

    def judge(at_s: float, power_w: float) -> float | None:
        nonlocal since_s
        if since_s is not None and at_s - since_s >= for_s:
            return since_s + for_s
        if power_w >= limit_w:
            since_s = None
        elif since_s is None:
            since_s = at_s
            return at_s if for_s == 0.0 else None
        return None

    return judge


def armed(over_w: float, over_s: float, then: Judge) -> Judge:
    """Only after the power was above for so long."""
    since_s: float | None = None
    begun = False

    def judge(at_s: float, power_w: float) -> float | None:
        nonlocal since_s, begun
        if begun:
            return then(at_s, power_w)
        begun = since_s is not None and at_s - since_s >= over_s
        since_s = (at_s if since_s is None else since_s) if power_w > over_w else None
        return then(at_s, power_w) if begun else None

    return judge


def mean_below(limit_w: float, over_s: float) -> Judge:
    """The mean of the last so many seconds; each value holds until the next."""
    kept: deque[tuple[float, float, float]] = deque()  # from, to, W
    last_s, last_w, sum_ws = 0.0, 0.0, 0.0

    def judge(at_s: float, power_w: float) -> float | None:
        nonlocal last_s, last_w, sum_ws
        kept.append((last_s, at_s, last_w))
        sum_ws += (at_s - last_s) * last_w
        last_s, last_w = at_s, power_w
        while kept[0][1] <= at_s - over_s:
            start_s, end_s, gone_w = kept.popleft()
            sum_ws -= (end_s - start_s) * gone_w
        outside_ws = max(0.0, at_s - over_s - kept[0][0]) * kept[0][2]
        return at_s if at_s >= over_s and sum_ws - outside_ws < limit_w * over_s else None

    return judge


def share_below(share: float, for_s: float, late_s: float | None = None, late_for_s: float = 0.0) -> Judge:
    """Of its own peak; after `late_s` the shorter time does."""
    since_s: float | None = None
    peak_w = 0.0

    def judge(at_s: float, power_w: float) -> float | None:
        nonlocal since_s, peak_w
        needed_s = late_for_s if late_s is not None and at_s >= late_s else for_s
        if since_s is not None and at_s - since_s >= needed_s:
            return max(since_s + needed_s, late_s if late_s is not None and needed_s < for_s else 0.0)
        peak_w = max(peak_w, power_w)
        since_s = (at_s if since_s is None else since_s) if power_w < share * peak_w else None
        return None

    return judge


def steady_below(limit_w: float, for_s: float, move_w: float) -> Judge:
    """Begins anew whenever the power has moved."""
    since_s: float | None = None
    from_w = 0.0

    def judge(at_s: float, power_w: float) -> float | None:
        nonlocal since_s, from_w
        if since_s is not None and at_s - since_s >= for_s:
            return since_s + for_s
        if power_w >= limit_w:
            since_s = None
        elif since_s is None or abs(power_w - from_w) > move_w:
            since_s, from_w = at_s, power_w
        return None

    return judge


def first(*judges: Judge) -> Judge:
    """Whichever cuts first."""

    def judge(at_s: float, power_w: float) -> float | None:
        cuts = [cut for cut in [judge(at_s, power_w) for judge in judges] if cut is not None]
        return min(cuts) if cuts else None

    return judge


def later(judge_first: Judge, by_s: float) -> Judge:
    """So long after the other has said so; whatever comes in between."""
    due_s: float | None = None

    def judge(at_s: float, power_w: float) -> float | None:
        nonlocal due_s
        if due_s is None:
            said_s = judge_first(at_s, power_w)
            due_s = None if said_s is None else said_s + by_s
        return due_s if due_s is not None and at_s >= due_s else None

    return judge


# Names say the rule; the reference's first eight, then the vendors' of the field with their removal times.
PUBLISHED: dict[str, Maker] = {
    "evcc: < 15 W at once": lambda: below(15.0, 0.0),
    "Home Assistant: < 5 W 5 min": lambda: armed(5.0, 300.0, below(5.0, 300.0)),
    "< 5 W 2 min": lambda: below(5.0, 120.0),
    "< 5 W 10 min": lambda: below(5.0, 600.0),
    "Tapo: < 2 W 30 min": lambda: below(2.0, 1800.0),
    "20-min mean < 20 W": lambda: mean_below(20.0, 1200.0),
    "WashData-like: < 2 W 10 min": lambda: below(2.0, 600.0),
    "< 8 % of own peak 10 min": lambda: share_below(0.08, 600.0),
}
VENDORS: dict[str, Maker] = {
    "DNY: 20 % of peak 30 min": lambda: first(_dny(), below(1.0, 300.0)),
    "DNY with float: + 60 min": lambda: first(later(_dny(), 3600.0), below(1.0, 300.0)),
    "DC589: < 10 W 30 min": lambda: first(below(10.0, 1800.0), below(1.0, 300.0)),
    "JUY: < 15 W 120 min": lambda: first(below(15.0, 7200.0), below(1.0, 120.0)),
    "LVCC: < 20 W 30 min": lambda: below(20.0, 1800.0),
    "X10P: < 45 W steady 45 min": lambda: first(steady_below(45.0, 2700.0, 6.0), below(1.5, 600.0)),
}
BASELINES = PUBLISHED | VENDORS


def _dny() -> Judge:
    return share_below(0.2, 1800.0, DNY_LATE_S, 300.0)
