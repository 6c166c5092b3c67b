"""What is remembered of one bike: how its charges usually go, as a few running numbers; never a curve, never a place.

Energies here are of the wall. How full a pack was when it was plugged in no meter can tell; where its power leaves the
plateau tells how full it is then. So what is counted from there on says the same of every charge: it is what *drift*
and *stop at about 80 or 90 %* go by.
"""

import msgspec
from msgspec.structs import replace

from controller.core.finish import FinishState, Usual

PLATEAU = 0.9  # of the peak: above it a charger pushes all it can
TAIL = 0.35  # of the peak: below it only the last few per cent come
WINDOW_S = 180.0  # between two looks at a falling power: three times as long as it is smoothed over
FALLS = 2  # looks in a row at which it had fallen: a throttled charger falls, and then is level
FELL_LEAST, FELL_MOST = 0.02, 0.6  # of itself in a window: tails halve in 4 to 100 minutes
FELL_WELL = 0.05  # in the first window; with no step before it, that is enough
STEP = 0.07  # so much below the smoothed power is no taper, but a charger that was throttled, or rests
SETTLED_S = 600.0  # chargers sag a little while they warm up
LATER = 0.7  # of the peak: measured lithium charges are 91 to 95 % full there, 85 to 92 % where it begins to fall
LEAST_WH = 10.0  # less is a pack that came full, and teaches nothing
GAP_S = 900.0  # a charge that nobody saw for so long is none to learn from
KNOWN = 3  # charges before memory is believed
FIRST = 5  # charges that make the norm a bike is later held against
SHARE = 0.1  # of the newest charge in a norm: about its last ten count
SPREADS = 3.0  # what is farther out is an accident, and moves a norm no more than this
BEYOND = 1.25  # a quarter above the norm, and three spreads: then it is told
FADES = 0.99  # a capacity not seen again for seventy charges is halved
STRANGE = 0.25  # a peak that far from the usual is of another charger
STRANGERS = 3  # ... and so many in a row are a new one: what was known is of the old
KEPT_S = 400 * 86_400.0  # who has not come for more than a year is forgotten
STOPS = (80, 90, 100)  # what a rider may choose; 100 is "until full"
WISHED = "wished"  # the rule of a verdict that such a choice has made


class Norm(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A running mean that one odd charge moves little, how far single charges lie from it, and how it was at first."""

    count: int = 0
    mean: float = 0.0
    spread: float = 0.0
    first: float = 0.0
    first_spread: float = 0.0


class Memory(msgspec.Struct, frozen=True, gc=False):
    """Of charges that ran to their end undisturbed; some hundred bytes."""

    charges: int = 0
    strangers: int = 0  # in a row, by another charger than usual
    capacity_wh: float = 0.0  # the most that a charge took: no less fits into the pack
    peak_w: Norm = Norm()
    idle_w: Norm = Norm()
    energy_wh: Norm = Norm()
    after_wh: Norm = Norm()  # from leaving the plateau to the end
    bulk_min: Norm = Norm()
    absorption_min: Norm = Norm()
    tail_min: Norm = Norm()


class Course(msgspec.Struct, frozen=True, gc=False):
    """Where a charge under way is: when and at which energy it was last on its plateau, and last above its tail."""

    seen_s: float = 0.0
    knee_s: float = 0.0
    knee_wh: float = 0.0
    turn_s: float = 0.0
    gap: bool = False
    window_s: float | None = None  # since when it is looked whether it falls; None: on its plateau, or in its tail
    window_w: float = 0.0
    falls: int = 0  # looks in a row; under 0: it left its plateau by a step, and what follows is the smoothing's
    smooth: bool = False


class Aim(msgspec.Struct, frozen=True, gc=False):
    """At about how full to stop, and what the bike's memory knows of that; zeros: nothing."""

    percent: int
    capacity_wh: float = 0.0
    after_wh: float = 0.0


class Figures(msgspec.Struct, frozen=True):
    """One whole charge, as memory takes it in."""

    peak_w: float
    idle_w: float
    energy_wh: float
    after_wh: float
    bulk_min: float
    absorption_min: float
    tail_min: float


class Drift(msgspec.Struct, frozen=True):
    """What was beyond the bike's norm. `what` is energy_wh, after_wh, absorption_min or tail_min."""

    what: str
    now: float
    usual: float


# -- a charge under way -------------------------------------------------------------------------------------------


def followed(course: Course | None, finish: FinishState) -> Course:
    """After one reading, which the finish detector has taken in already."""
    now_s, power_w, peak_w = finish.elapsed_s, finish.recent_w, finish.peak_w
    before = course or Course(seen_s=now_s)
    gap = before.gap or now_s - before.seen_s > GAP_S
    if power_w >= PLATEAU * peak_w:
        return Course(now_s, now_s, finish.energy_wh, now_s, gap)
    if power_w >= TAIL * peak_w:
        return _between(before, finish, gap)
    return Course(now_s, before.knee_s, before.knee_wh, before.turn_s, gap, None, 0.0, before.falls, before.smooth)


def _between(before: Course, finish: FinishState, gap: bool) -> Course:
    """Off the plateau, and not yet in the tail: does it fall, and go on falling?"""
    window_s, window_w, falls, smooth = _window(before, finish)
    now_s = finish.elapsed_s
    return Course(now_s, before.knee_s, before.knee_wh, now_s, gap, window_s, window_w, falls, smooth)


def _window(before: Course, finish: FinishState) -> tuple[float, float, int, bool]:
    now_s, power_w = finish.elapsed_s, finish.recent_w
    if before.window_s is None:
        smooth = finish.last_w > (1 - STEP) * power_w
        return now_s, power_w, 0 if smooth else -1, smooth
    if now_s - before.window_s < WINDOW_S:
        return before.window_s, before.window_w, before.falls, before.smooth
    fell = 1 - power_w / before.window_w
    counts = FALLS if before.smooth and fell >= FELL_WELL else 1
    falls = before.falls + counts if FELL_LEAST <= fell <= FELL_MOST else 0
    return now_s, power_w, falls, False


def aim(percent: int, memory: Memory | None) -> Aim:
    if memory is None or memory.after_wh.count < KNOWN:
        return Aim(percent)
    return Aim(percent, memory.capacity_wh, memory.after_wh.mean)


def reached(wish: Aim, course: Course, finish: FinishState) -> dict[str, float] | None:
    """The figures that show it, once the pack is about as full as was wished; None before, and in a pause.

    Nothing is promised before the plateau is left: the pack may have come empty or half full.
    """
    if wish.percent >= 100 or not _tapers(course, finish):
        return None
    after_wh = finish.energy_wh - course.knee_wh
    if not (after_wh >= _wait_wh(wish) if wish.after_wh else _late_enough(wish, finish)):
        return None
    figures = {
        "stop_at_percent": float(wish.percent),
        "power_w": finish.recent_w,
        "peak_w": finish.peak_w,
        "percent_of_peak": 100 * finish.recent_w / finish.peak_w,
        "off_plateau_s": finish.elapsed_s - course.knee_s,
        "after_plateau_wh": after_wh,
        "energy_wh": finish.energy_wh,
    }
    known = {"usual_after_wh": wish.after_wh, "capacity_wh": wish.capacity_wh} if wish.after_wh else {}
    return {name: round(value, 2) for name, value in {**figures, **known}.items()}


def _tapers(course: Course, finish: FinishState) -> bool:
    """It has left its plateau as a pack does that fills up: gradually, and for some minutes."""
    if finish.elapsed_s < SETTLED_S or finish.recent_w >= PLATEAU * finish.peak_w:
        return False
    return course.falls >= FALLS


def _wait_wh(wish: Aim) -> float:
    """What this bike takes beyond its plateau before only the rest is missing that its rider wants missing."""
    return wish.after_wh - wish.capacity_wh * (100 - wish.percent) / 100


def _late_enough(wish: Aim, finish: FinishState) -> bool:
    """The same of a bike that nobody knows: from where lithium packs usually are."""
    return wish.percent <= 80 or finish.recent_w <= LATER * finish.peak_w


# -- what is kept of it -------------------------------------------------------------------------------------------


def figures_of(finish: FinishState, course: Course) -> Figures | None:
    """None of what was no whole charge: too little, begun in its tail, or unseen for a while."""
    if course.gap or course.knee_s < SETTLED_S or finish.energy_wh < LEAST_WH:
        return None
    return Figures(
        peak_w=finish.peak_w,
        idle_w=finish.recent_w,
        energy_wh=finish.energy_wh,
        after_wh=finish.energy_wh - course.knee_wh,
        bulk_min=course.knee_s / 60,
        absorption_min=(course.turn_s - course.knee_s) / 60,
        tail_min=(finish.elapsed_s - course.turn_s) / 60,
    )


def learned(memory: Memory, charge: Figures) -> Memory:
    if is_strange(memory, charge):
        if memory.strangers + 1 < STRANGERS:
            return replace(memory, strangers=memory.strangers + 1)
        memory = Memory()
    norms = {name: _taken_in(getattr(memory, name), getattr(charge, name)) for name in Figures.__struct_fields__}
    capacity_wh = round(max(charge.energy_wh, memory.capacity_wh * FADES), 2)
    return replace(memory, charges=memory.charges + 1, strangers=0, capacity_wh=capacity_wh, **norms)


def usual_of(memory: Memory) -> Usual | None:
    """For the finish detector; None while too little is known."""
    if memory.charges < KNOWN:
        return None
    return Usual(memory.energy_wh.mean, memory.peak_w.mean, memory.idle_w.mean)


def is_strange(memory: Memory, charge: Figures) -> bool:
    """Charged by another charger, or another bike under this one's name."""
    usual_w = memory.peak_w.mean
    return memory.peak_w.count >= KNOWN and abs(charge.peak_w - usual_w) > STRANGE * usual_w


def _taken_in(norm: Norm, value: float) -> Norm:
    """Robust: what lies far out counts as if it lay three spreads out."""
    count = norm.count + 1
    share = max(1 / count, SHARE)
    far = SPREADS * max(norm.spread, 0.05 * abs(norm.mean)) if norm.count >= KNOWN else float("inf")
    off = max(-far, min(far, value - norm.mean))
    mean = norm.mean + share * off
    spread = norm.spread + (share * (abs(off) - norm.spread) if norm.count else 0.0)
    first, first_spread = (mean, spread) if count <= FIRST else (norm.first, norm.first_spread)
    return Norm(count, round(mean, 3), round(spread, 3), round(first, 3), round(first_spread, 3))


_HELD_AGAINST = ("after_wh", "absorption_min", "tail_min")  # how empty the bike came changes none of these


def drifts(memory: Memory, charge: Figures) -> tuple[Drift, ...]:
    """What was beyond the norm of the bike's first charges: slow ageing moves a running mean along with it."""
    if memory.charges < FIRST or is_strange(memory, charge):
        return ()
    found = [
        Drift(name, now, norm.first)
        for name in _HELD_AGAINST
        for norm, now in [(getattr(memory, name), getattr(charge, name))]
        if now > norm.first * BEYOND and now > norm.first + SPREADS * norm.first_spread and norm.first > 0
    ]
    if charge.energy_wh > memory.capacity_wh * BEYOND:
        found.append(Drift("energy_wh", charge.energy_wh, memory.capacity_wh))
    return tuple(found)


# -- whose it is --------------------------------------------------------------------------------------------------


class Bike(msgspec.Struct, frozen=True):
    """`id` is a card's party, or the hash of a token that only its rider's phone has. Not `kept`: told otherwise."""

    id: str
    site: str
    party: str
    name: str
    charger: str | None
    at: float  # of its last whole charge
    memory: Memory = Memory()
    kept: bool = True
