"""What a reading changes in a session, and which readings are old news. Pure."""

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.bikes import Course
from controller.core.danger import DangerState
from controller.core.finish import FinishState
from controller.core.state import Session
from controller.core.tariff import MAX_STEP_WH, band_ending_at, metered, next_edge

STEP_WH = 500.0  # whatever a counter's step, and however seldom it is told: an outlet gives so much in half an hour
MOST_W = 4_000.0  # no outlet for bikes gives more
MINUTE_S = 60.0  # by which it is known that a counter stands still
RESET_AFTER = 3  # readings in a row below the mark: no longer late messages, but a counter that was reset


def is_late(mark_wh: float | None, energy_wh: float | None, behind: int) -> bool:
    """A counter below the mark was read before the last one, unless that has been said too often."""
    below = mark_wh is not None and energy_wh is not None and energy_wh < mark_wh
    return below and behind < RESET_AFTER


def old_news(session: Session, event: ev.Reading) -> bool:
    """Taking over a late reading would bill the difference twice."""
    return is_late(session.meter.counter_wh, event.energy_wh, session.behind)


def jump(session: Session, event: ev.Reading) -> dict[str, float] | None:
    """Figures of a counter that rose by more than can have flowed since it last moved: another one's, or broken."""
    before_wh, counter_wh = session.meter.counter_wh, event.energy_wh
    if before_wh is None or counter_wh is None or counter_wh - before_wh <= STEP_WH:  # so it is with nearly all
        return None
    limit_wh = before_wh + _most_wh(session, event)
    return {"counter_wh": counter_wh, "limit_wh": round(limit_wh, 1)} if counter_wh > limit_wh else None


def _most_wh(session: Session, event: ev.Reading) -> float:
    counter = None if session.danger is None else session.danger.meter
    heard_s = session.opened_s if session.reading_s is None else session.reading_s
    known_s = session.opened_s if counter is None else heard_s - counter.still_s - MINUTE_S
    return min(MAX_STEP_WH, STEP_WH + MOST_W * max(0.0, event.steady_s - known_s) / 3600)


def with_reading(
    session: Session,
    event: ev.Reading,
    finish: FinishState | None = None,
    danger: DangerState | None = None,
    course: Course | None = None,
) -> Session:
    """Meter, band, last and peak power taken over from a reading; and what was made of it, if it was judged."""
    meter, band_until = session.meter, session.band_until
    if event.energy_wh is not None:
        name = meter.band
        if event.at > band_until:
            name, band_until = band_ending_at(session.tariff, event.at).name, next_edge(session.tariff, event.at)
        most_wh = MAX_STEP_WH if jump(session, event) is None else 0.0
        meter, _absurd = metered(meter, event.energy_wh, name, max_step_wh=most_wh)
    return replace(
        session,
        behind=session.behind if event.energy_wh is None else 0,
        meter=meter,
        band_until=band_until,
        reading_s=event.steady_s,
        reading_at=event.at,
        power_now_w=event.power_w,
        peak_w=max(session.peak_w, event.power_w),
        finish=finish or session.finish,
        danger=danger or session.danger,
        course=course or session.course,
    )


def sampled(session: Session, event: ev.Reading) -> fx.Sampled:
    return fx.Sampled(session.id, event.at, event.power_w, round(session.meter.used_wh, 3))
