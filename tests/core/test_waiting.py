"""Who waits for room on a pile or a site: paid, dead, free to leave, never for ever, and nothing of it is billed."""

from typing import Any

import pytest
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.due import next_deadline
from controller.core.reasons import StopReason
from controller.core.session import decide
from controller.core.state import Phase, Session
from controller.core.tariff import Meter
from tests.core import made
from tests.core.made import (
    NOW_S,
    RULES,
    ctx,
    deadline,
    grant,
    hazard,
    one,
    reading,
    relay,
    seen,
    stop,
    tripped,
    withdrawn,
)


def waiting(**other: Any) -> Session:
    """Paid two minutes ago, never on."""
    return made.session(Phase.QUEUED, opened_s=NOW_S - 120, since_s=NOW_S - 120, queued_s=NOW_S - 120, **other)


def paused(**other: Any) -> Session:
    """Charged for an hour, taken off for the load five minutes ago, and proven off."""
    values: dict[str, Any] = {"opened_s": NOW_S - 3900, "since_s": NOW_S - 300, "started_at": made.NOW_AT - 3900}
    values |= {"meter": Meter(used_wh=50.0, counter_wh=1050.0, band="all"), "proof": "measured"}
    return made.session(Phase.QUEUED, **{**values, **other})


# -- its turn -----------------------------------------------------------------------------------------------------


def test_time_spent_waiting_is_no_time_of_the_charge() -> None:
    started = decide(waiting(), grant(), ctx()).session
    went_on = decide(paused(), grant(), ctx()).session

    assert (started.phase, started.opened_s) == (Phase.OPENING, NOW_S)
    assert went_on.opened_s == NOW_S - 3600


def test_a_charge_that_waited_is_metered_from_what_stands_there_when_it_starts() -> None:
    first = decide(waiting(), grant(), ctx(seen=seen(counter_wh=1234.0))).session
    late = decide(waiting(), grant(), ctx(seen=seen(counter_wh=None))).session
    again = decide(paused(), grant(), ctx(seen=seen(counter_wh=1051.0))).session

    assert (first.meter.counter_wh, late.meter.counter_wh, again.meter.counter_wh) == (1234.0, 1000.0, 1050.0)


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.CHARGING, Phase.SUSPENDED, Phase.CLOSING])
def test_a_turn_that_comes_too_late_starts_nothing(phase: Phase) -> None:
    assert decide(made.session(phase), grant(), ctx()).effects == ()


# -- it stays dead ------------------------------------------------------------------------------------------------


def test_an_outlet_that_waits_is_kept_off() -> None:
    assert made.kinds(decide(waiting(), relay(True), ctx()).effects) == [fx.SwitchOff]
    assert decide(waiting(), relay(False), ctx()).effects == ()
    (up,) = made.every(ev.LinkUp)
    assert made.kinds(decide(waiting(), up, ctx()).effects) == [fx.SwitchOff, fx.AskNow]


def test_power_before_its_turn_is_cut_and_the_second_report_puts_the_outlet_out_of_service() -> None:
    first = decide(waiting(), reading(90.0), ctx())
    assert (first.session.phase, first.alarmed) == (Phase.QUEUED, True)
    assert made.kinds(first.effects) == [fx.SwitchOff, fx.RaiseAlarm]

    second = decide(first.session, reading(90.0, after_s=10), ctx(seen=seen(alarmed=True)))

    assert (second.session.phase, second.session.reason) == (Phase.SETTLED, StopReason.START_FAILED)
    assert (second.latch, second.session.returned_fen) == ("relay_fault", 200)
    assert isinstance(second.effects[0], fx.SwitchOff)


def test_a_single_stray_report_of_power_is_forgiven() -> None:
    assert decide(waiting(), reading(0.0), ctx(seen=seen(alarmed=True))).alarmed is False


def test_a_hazard_ends_the_waiting_and_off_is_proven() -> None:
    closing = decide(waiting(), hazard(), ctx())

    assert (closing.session.phase, closing.session.reason) == (Phase.CLOSING, StopReason.SMOKE)
    assert isinstance(closing.effects[0], fx.SwitchOff)


# -- leaving ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (stop(), StopReason.CANCELLED),
        (stop(StopReason.SITE_CUT, "staff:m"), StopReason.SITE_CUT),
        (stop(StopReason.STOPPED_BY_STAFF, "staff:m"), StopReason.STOPPED_BY_STAFF),
    ],
)
def test_who_leaves_the_line_gets_everything_back(asked: ev.StopAsked, reason: StopReason) -> None:
    gone = decide(waiting(), asked, ctx()).session

    assert (gone.phase, gone.reason, gone.stopped_by) == (Phase.SETTLED, reason, asked.by)
    assert (gone.returned_fen, made.bill_fen(gone), gone.proof) == (200, 0, "never_on")


def test_who_leaves_while_paused_pays_what_was_used_before() -> None:
    gone = decide(paused(), stop(), ctx()).session

    assert (gone.reason, gone.proof) == (StopReason.STOPPED_BY_RESIDENT, "measured")
    assert (made.bill_fen(gone), gone.returned_fen) == (3, 197)


def test_who_was_found_off_and_never_measured_is_measured_before_the_bill() -> None:
    closing = decide(paused(proof=None), stop(), ctx())

    assert closing.session.phase is Phase.CLOSING
    assert isinstance(closing.effects[0], fx.SwitchOff)


def test_nobody_waits_for_ever_and_then_everything_goes_back() -> None:
    live = waiting()
    due_s = next_deadline(live, RULES)
    assert due_s == live.since_s + RULES.queue_max_s
    assert decide(live, deadline(due_s - NOW_S - 1), ctx()).session == live

    given_up = decide(live, deadline(due_s - NOW_S), ctx()).session

    assert (given_up.phase, given_up.reason) == (Phase.SETTLED, StopReason.START_FAILED)
    assert given_up.evidence == {"queued_s": RULES.queue_max_s}
    assert given_up.returned_fen == 200


@pytest.mark.parametrize(("proof", "reason"), [("measured", StopReason.OVERLOAD), (None, StopReason.POWER_LOSS)])
def test_a_paused_charge_waits_no_longer_than_one_bike_can_be_trusted_to_stand_there(
    proof: str | None, reason: StopReason
) -> None:
    live = paused(proof=proof)
    assert next_deadline(live, RULES) == live.since_s + RULES.resume_max_s

    assert decide(live, deadline(RULES.resume_max_s - 300), ctx()).session.reason is reason


def test_time_without_power_before_the_line_is_part_of_the_pause() -> None:
    found_off = paused(proof=None, since_s=NOW_S, renewed_s=NOW_S - 1500)  # by a restart that took 25 minutes
    left_s = RULES.resume_max_s - 1500
    assert next_deadline(found_off, RULES) == NOW_S + left_s

    assert decide(found_off, deadline(left_s - 1), ctx()).session == found_off
    assert decide(found_off, deadline(left_s), ctx()).session.reason is StopReason.POWER_LOSS


# -- taken off for the load ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.CHARGING, Phase.SUSPENDED])
def test_who_came_last_is_off_at_once_and_back_in_line_when_off_is_measured(phase: Phase) -> None:
    closing = decide(made.session(phase, queued_s=NOW_S - 700), withdrawn(), ctx())
    assert isinstance(closing.effects[0], fx.SwitchOff)
    assert (closing.session.phase, closing.session.again) == (Phase.CLOSING, True)
    assert one(closing.effects, fx.Moment).what == "paused"

    still = decide(closing.session, reading(60.0, 1051.0, after_s=5), ctx()).session
    assert still.phase is Phase.CLOSING
    off = decide(still, reading(0.0, 1052.0, after_s=10), ctx()).session

    assert (off.phase, off.reason, off.queued_s, off.again) == (Phase.QUEUED, None, NOW_S - 700, False)
    assert off.meter.used_wh == closing.session.meter.used_wh + 1052.0 - (closing.session.meter.counter_wh or 0.0)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (stop(), StopReason.STOPPED_BY_RESIDENT),
        (hazard(), StopReason.SMOKE),
        (tripped(), StopReason.OVERLOAD),
    ],
)
def test_a_pause_that_is_not_over_yet_becomes_an_end(event: ev.Event, reason: StopReason) -> None:
    pausing = decide(made.session(), withdrawn(), ctx()).session

    ended = decide(pausing, event, ctx()).session
    settled = decide(ended, reading(0.0, 1051.0, after_s=5), ctx()).session

    assert (ended.phase, ended.reason, ended.again) == (Phase.CLOSING, reason, False)
    assert (settled.phase, settled.reason) == (Phase.SETTLED, reason)


def test_an_end_stays_the_first_one() -> None:
    closing = made.session(Phase.CLOSING)

    assert all(decide(closing, event, ctx()).session == closing for event in (stop(), hazard(), tripped()))


def test_a_relay_that_does_not_open_is_latched_and_settled_however_it_was_to_go_on() -> None:
    pausing = replace(decide(made.session(), withdrawn(), ctx()).session, reading_s=NOW_S)

    outcome = decide(pausing, deadline(RULES.proof_s), ctx(seen=seen(reading_s=NOW_S + 590, power_w=60.0)))

    assert (outcome.session.phase, outcome.latch) == (Phase.SETTLED, "relay_fault")
