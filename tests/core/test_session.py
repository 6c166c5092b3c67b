"""One charge's table: every cell answers, power comes before rows, and each way a session goes, as a sentence."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import moves
from controller.core.draw import Draw, Left
from controller.core.due import next_deadline
from controller.core.errors import Refused
from controller.core.finish import begin
from controller.core.moves import Outcome
from controller.core.reasons import StopReason
from controller.core.session import EVENTS, TABLE, decide
from controller.core.state import Pause, Phase, Session, Why
from controller.core.tariff import Band, Meter, Tariff
from tests.core import made
from tests.core.made import NOW_AT, NOW_S, RULES, ctx, deadline, one, reading, relay, seen, session, stop

CELLS = [(phase, event) for phase in Phase for event in EVENTS]
ENDED = (Phase.CLOSING, Phase.SETTLED)
DRAW = Draw(NOW_S - 60, 95.0, 98.0, 0.6, Left(NOW_S - 50, Meter(used_wh=40.0, counter_wh=1040.0, band="all")))
DARK: list[dict[str, Any]] = [
    {"off_s": NOW_S - 5, "off_sent_s": NOW_S - 5, "off_at": NOW_AT - 5},
    {"off_s": NOW_S - 700, "off_sent_s": NOW_S - 5, "off_at": NOW_AT - 700},
    {"off_s": NOW_S - 5, "off_sent_s": NOW_S - 5, "off_at": NOW_AT - 5, "proof": "measured"},
]


# -- the table ----------------------------------------------------------------------------------------------------


def test_every_cell_is_filled() -> None:
    assert set(TABLE) == set(Phase)
    assert all(set(TABLE[phase]) == set(EVENTS) for phase in Phase)


@pytest.mark.parametrize(("phase", "kind"), CELLS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_cell_answers_or_refuses_and_never_raises_anything_else(phase: Phase, kind: type[ev.Event]) -> None:
    for event in made.every(kind):
        for before in _ages(phase):
            for context in (ctx(), ctx(seen=seen(linked=False)), ctx(seen=seen(relay_on=True)), ctx(resumes=False)):
                try:
                    outcome = decide(before, event, context)
                except Refused:
                    assert kind is ev.PlugAnswered or (phase, kind) == (Phase.SETTLED, ev.StopAsked)
                else:
                    _check(before, outcome)


def _ages(phase: Phase) -> list[Session]:
    """Early and late in the phase, with and without what may be missing."""
    return [
        session(phase),
        session(phase, confirmed_s=NOW_S - 1),
        session(phase, confirmed_s=None, renewed_s=None, on_s=None),
        session(phase, started_at=None),
        session(phase, card="c1", order=None),
        session(phase, since_s=NOW_S - 500, renewed_s=NOW_S - 130, reading_s=NOW_S - 100, off_s=NOW_S - 700),
        session(phase, meter=Meter(band="all")),
        session(phase, max_s=1.0, max_wh=0),
        *(
            session(phase, pause=Pause(why, NOW_S - 5, Meter(band="all")), draw=DRAW, **age)
            for why in Why
            for age in DARK
        ),
    ]


def _check(before: Session, outcome: Outcome) -> None:
    after, effects = outcome.session, outcome.effects
    _power_first(effects)
    if before.phase is Phase.SETTLED:
        assert after == before
        assert effects == ()
    if before.phase is Phase.CLOSING:
        assert after.phase in ENDED
        assert fx.SwitchOn not in made.kinds(effects)
        assert fx.Renew not in made.kinds(effects)
    if after.phase is Phase.CLOSING and before.phase is not Phase.CLOSING:
        assert fx.SwitchOff in made.kinds(effects)
        assert after.reason is not None
    if after.phase is Phase.SETTLED and before.phase is not Phase.SETTLED:
        _settled_once(after, effects)


def _power_first(effects: tuple[fx.Effect, ...]) -> None:
    """Off never waits, an ON waits for all: its session is among the rows that come before it."""
    kinds = made.kinds(effects)
    for kind in (fx.SwitchOff, fx.Renew):
        if kind in kinds:
            first_row = next((at for at, effect in enumerate(kinds) if effect not in fx.NOW), len(kinds))
            assert kinds.index(kind) < first_row
    if fx.SwitchOn in kinds:
        assert fx.SaveSession in kinds[: kinds.index(fx.SwitchOn)]
        assert fx.SwitchOff not in kinds


def _settled_once(after: Session, effects: tuple[fx.Effect, ...]) -> None:
    entry = one(effects, fx.Post).entry
    assert sum(leg.amount_fen for leg in entry.transfers) == after.hold_fen
    assert all(leg.debit == f"session:{after.id}:hold" for leg in entry.transfers)
    assert made.bill_fen(after) + after.returned_fen == after.hold_fen
    assert made.bill_fen(after) <= after.hold_fen
    assert one(effects, fx.Receipt).session == after == one(effects, fx.SaveSession).session
    assert after.proof is not None
    assert next_deadline(after, RULES) is None


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.SETTLED])
def test_every_live_session_has_a_deadline(phase: Phase) -> None:
    for live in _ages(phase):
        assert next_deadline(live, RULES) is not None


# -- opening ------------------------------------------------------------------------------------------------------


def test_an_on_waits_for_its_rows_and_carries_generation_lease_limits_and_expiry() -> None:
    outcome = decide(session(Phase.QUEUED), made.grant(), ctx(generation=9, seen=seen(counter_wh=1000.0)))

    assert outcome.session.phase is Phase.OPENING
    assert made.kinds(outcome.effects) == [fx.SaveSession, fx.Moment, fx.SwitchOn]
    on = one(outcome.effects, fx.SwitchOn)
    assert (on.generation, on.lease_s, on.expires_s) == (9, 120.0, NOW_S + RULES.on_expires_s)
    assert (on.limits.power_w, on.limits.counter_wh) == (800.0, 3341.0)


def test_a_stop_before_the_on_costs_nothing_and_needs_no_proof() -> None:
    outcome = decide(session(Phase.QUEUED), stop(), ctx())

    assert (outcome.session.phase, outcome.session.reason) == (Phase.SETTLED, StopReason.CANCELLED)
    assert outcome.session.returned_fen == 200
    assert fx.SwitchOff not in made.kinds(outcome.effects)


def test_an_on_unconfirmed_in_time_is_followed_by_an_off() -> None:
    waiting = session(Phase.OPENING)
    assert decide(waiting, deadline(after_s=6.9), ctx()).effects == ()

    outcome = decide(waiting, deadline(after_s=7.0), ctx())

    assert (outcome.session.phase, outcome.session.reason) == (Phase.CLOSING, StopReason.START_FAILED)
    assert isinstance(outcome.effects[0], fx.SwitchOff)


def test_a_relay_that_says_on_confirms_it_once() -> None:
    confirmed = decide(session(Phase.OPENING), relay(True), ctx())
    assert confirmed.session.confirmed_s == NOW_S

    again = decide(confirmed.session, relay(True, after_s=5), ctx())
    assert again.session.confirmed_s == NOW_S
    assert again.effects == ()


def test_off_before_the_on_is_confirmed_is_old_news() -> None:
    assert decide(session(Phase.OPENING), relay(False), ctx()).session.phase is Phase.OPENING


def test_off_after_the_on_was_confirmed_is_the_devices_own_stop() -> None:
    outcome = decide(session(Phase.OPENING, confirmed_s=NOW_S - 1), relay(False), ctx())

    assert (outcome.session.phase, outcome.session.reason) == (Phase.CLOSING, StopReason.DEVICE_STOP)


def test_power_confirms_the_on_and_begins_the_charge() -> None:
    outcome = decide(session(Phase.OPENING), reading(60.0, 1000.0), ctx())

    charging = outcome.session
    assert (charging.phase, charging.confirmed_s, charging.started_at) == (Phase.CHARGING, NOW_S, NOW_AT)
    assert charging.finish is not None
    assert made.kinds(outcome.effects) == [fx.SaveSession, fx.Moment, fx.Sampled]


def test_a_bike_never_plugged_in_gets_everything_back() -> None:
    waiting = session(Phase.OPENING, confirmed_s=NOW_S, renewed_s=NOW_S + 100, reading_s=NOW_S + 110)
    closing = decide(waiting, deadline(after_s=120), ctx())
    assert closing.session.reason is StopReason.NEVER_PLUGGED
    assert isinstance(closing.effects[0], fx.SwitchOff)

    settled = decide(closing.session, reading(0.0, 1001.0, after_s=125), ctx()).session

    assert (settled.phase, settled.returned_fen, made.bill_fen(settled)) == (Phase.SETTLED, 200, 0)


def test_while_nobody_plugs_in_the_lease_is_renewed() -> None:
    waiting = session(Phase.OPENING, confirmed_s=NOW_S, since_s=NOW_S, renewed_s=NOW_S, reading_s=NOW_S + 35)

    outcome = decide(waiting, deadline(after_s=40), ctx())

    assert one(outcome.effects, fx.Renew).generation == 7
    assert outcome.session.renewed_s == NOW_S + 40


def test_a_link_lost_while_opening_gives_up() -> None:
    (lost,) = made.every(ev.LinkLost)
    assert decide(session(Phase.OPENING), lost, ctx()).session.reason is StopReason.START_FAILED


def test_a_late_reading_while_opening_does_not_lower_the_mark() -> None:
    opening = session(Phase.OPENING, meter=Meter(counter_wh=1000.0, band="all"))

    late = decide(opening, reading(60.0, 950.0), ctx()).session
    after = decide(late, reading(60.0, 1001.0, after_s=1), ctx()).session

    assert late.phase is Phase.OPENING
    assert after.meter.used_wh == 1.0


# -- charging -----------------------------------------------------------------------------------------------------


def test_the_lease_is_renewed_when_a_third_is_gone() -> None:
    charging = session(renewed_s=NOW_S - 39)
    assert decide(charging, deadline(), ctx()).effects == ()

    outcome = decide(charging, deadline(after_s=1), ctx())

    assert made.kinds(outcome.effects) == [fx.Renew]  # no row: a renewal waits for no disk
    assert one(outcome.effects, fx.Renew).limits.counter_wh == 1050.0 - 50.0 + 2341


@pytest.mark.parametrize(
    ("linked", "reading_s", "why"),
    [(True, NOW_S - 61, "nothing was heard for a minute"), (False, NOW_S - 1, "the link is gone")],
)
def test_silence_is_not_renewed_on_trust(linked: bool, reading_s: float, why: str) -> None:
    silent = session(renewed_s=NOW_S - 60, reading_s=reading_s)

    assert decide(silent, deadline(), ctx(seen=seen(linked=linked))).effects == (), why


def test_an_outlet_whose_meter_is_silent_ends_with_its_lease() -> None:
    outcome = decide(session(renewed_s=NOW_S - 120, reading_s=NOW_S - 110), deadline(), ctx())

    assert (outcome.session.phase, outcome.session.reason) == (Phase.CLOSING, StopReason.METER_FAULT)
    assert isinstance(outcome.effects[0], fx.SwitchOff)


def test_an_outlet_out_of_reach_waits_dark_when_its_lease_is_over_for_it_may_be_without_mains() -> None:
    silent = session(renewed_s=NOW_S - 120, reading_s=NOW_S - 110)

    outcome = decide(silent, deadline(), ctx(seen=seen(linked=False)))

    assert outcome.session.pause is not None
    assert (outcome.session.phase, outcome.session.pause.why) == (Phase.SUSPENDED, Why.MAINS)
    assert isinstance(outcome.effects[0], fx.SwitchOff)
    nobody = decide(replace(silent, started_at=None), deadline(), ctx(seen=seen(linked=False)))
    assert nobody.session.reason is StopReason.LINK_LOST


def test_a_charge_ends_at_its_time_limit() -> None:
    outcome = decide(session(max_s=600.0), deadline(), ctx())

    assert outcome.session.reason is StopReason.TIME_LIMIT
    assert outcome.session.evidence == {"spent_s": 600.0}


def test_a_charge_ends_when_its_credit_is_used_and_never_bills_more_than_was_held() -> None:
    nearly = session(meter=Meter(used_wh=2300.0, counter_wh=3300.0, band="all"))
    closing = decide(nearly, reading(60.0, 3341.0), ctx())
    assert closing.session.reason is StopReason.CREDIT_USED

    settled = decide(closing.session, reading(0.0, 3400.0, after_s=10), ctx()).session

    assert made.bill_fen(settled) == 200
    assert settled.returned_fen == 0


def test_a_charge_that_is_full_ends_as_finished_with_its_evidence() -> None:
    live, power_w, wh, at_s = session(finish=begin(0.0), opened_s=NOW_S, max_wh=10_000), 180.0, 1050.0, 0.0
    for at_s in range(10, 30_000, 10):
        power_w = 180.0 if at_s < 3600 else power_w * 0.97
        wh += power_w / 360
        live = decide(live, reading(power_w, round(wh, 1), after_s=float(at_s)), ctx()).session
        if live.phase is Phase.CLOSING:
            break

    assert live.reason is StopReason.FINISHED
    assert live.evidence["peak_w"] > 170
    assert at_s < 3 * 3600


def test_readings_are_sampled_not_written_one_by_one() -> None:
    live, rows = session(finish=begin(600.0)), 0
    for at_s in range(0, 300, 10):
        outcome = decide(live, reading(180.0, 1051.0 + at_s / 20, after_s=float(at_s)), ctx())
        live, rows = outcome.session, rows + bool(outcome.effects)

    assert rows == 10  # one each sample_s


def test_a_late_reading_bills_nothing_twice() -> None:
    live = session()
    ahead = decide(live, reading(60.0, 1060.0), ctx()).session
    late = decide(ahead, reading(60.0, 1055.0, after_s=1), ctx()).session
    on = decide(late, reading(60.0, 1061.0, after_s=2), ctx()).session

    assert on.meter.used_wh == 61.0


def test_a_counter_that_was_reset_is_believed_after_a_few_readings() -> None:
    live = session()
    for number in range(4):
        live = decide(live, reading(60.0, float(number), after_s=float(number)), ctx()).session
    live = decide(live, reading(60.0, 5.0, after_s=9.0), ctx()).session

    assert live.meter.used_wh == 52.0  # 3 → 5; what was counted before it was believed is nobody's


def test_a_relay_that_opens_by_itself_is_the_devices_stop() -> None:
    assert decide(session(), relay(False), ctx()).session.reason is StopReason.DEVICE_STOP
    assert decide(session(), relay(True), ctx()).effects == ()


def test_a_device_that_booted_before_anything_was_drawn_has_lost_its_mains() -> None:
    (booted,) = made.every(ev.DeviceRestarted)
    outcome = decide(session(Phase.OPENING), booted, ctx())

    assert outcome.session.reason is StopReason.POWER_LOSS
    assert isinstance(outcome.effects[0], fx.SwitchOff)


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.CHARGING, Phase.SUSPENDED])
@pytest.mark.parametrize("event", [made.hazard(StopReason.FLOOD), made.tripped(StopReason.OVERHEAT)])
def test_hazards_and_trips_close_with_their_own_reason(phase: Phase, event: Any) -> None:
    closing = decide(session(phase), event, ctx()).session

    assert (closing.phase, closing.reason) == (Phase.CLOSING, event.reason)
    assert closing.evidence == getattr(event, "evidence", {})


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.CHARGING, Phase.SUSPENDED])
def test_a_stop_keeps_who_asked(phase: Phase) -> None:
    closing = decide(session(phase), stop(StopReason.STOPPED_BY_STAFF, "staff:m"), ctx()).session

    assert (closing.reason, closing.stopped_by) == (StopReason.STOPPED_BY_STAFF, "staff:m")


def test_a_stop_before_any_load_is_a_change_of_mind_and_costs_nothing() -> None:
    closing = decide(session(Phase.OPENING, confirmed_s=NOW_S), stop(), ctx()).session
    settled = decide(closing, reading(0.0, 1001.0, after_s=5), ctx()).session

    assert settled.reason is StopReason.CANCELLED
    assert settled.returned_fen == 200


def test_a_price_change_in_the_evening_bills_each_band_its_own_watt_hours() -> None:
    eight_at = 1_800_014_400.0  # 20:00 in Shanghai
    bands = (Band("day", 0, 1200, 10_000, 0), Band("night", 1200, 1440, 0, 10_000))
    day = Tariff("t2", "two", "Asia/Shanghai", bands)
    live = session(tariff=day, meter=Meter(used_wh=0.0, counter_wh=1000.0, band="day"), finish=begin(600.0))
    for after_s, wh in ((0.0, 1000.0), (eight_at - NOW_AT, 1040.5), (eight_at - NOW_AT + 60, 1100.0)):
        live = decide(live, reading(180.0, wh, after_s=after_s), ctx()).session
    closing = decide(live, stop(), ctx()).session
    closing = msgspec.structs.replace(closing, off_s=NOW_S + 4460)
    settled = decide(closing, reading(0.0, 1100.0, after_s=4470.0), ctx()).session

    assert settled.bill is not None
    assert [(line.band, line.kind, line.wh, line.amount_fen) for line in settled.bill.lines if line.amount_fen] == [
        ("day", "energy", 40, 4),
        ("night", "service", 60, 6),
    ]


# -- suspended ----------------------------------------------------------------------------------------------------


def test_after_a_restart_nothing_is_renewed_until_the_outlet_has_spoken() -> None:
    outcome = moves.suspended(session(), deadline())

    assert outcome.session.phase is Phase.SUSPENDED
    assert fx.AskNow in made.kinds(outcome.effects)
    assert {fx.Renew, fx.SwitchOn}.isdisjoint(made.kinds(outcome.effects))


@pytest.mark.parametrize("event", [relay(True), reading(60.0, 1070.0)])
def test_an_outlet_still_on_is_taken_up_again_under_a_lease_of_this_process(event: Any) -> None:
    outcome = decide(session(Phase.SUSPENDED), event, ctx(generation=2))

    assert outcome.session.phase is Phase.CHARGING
    assert one(outcome.effects, fx.TakeUp).order.generation == 2
    assert fx.SwitchOn not in made.kinds(
        outcome.effects
    )  # that would wait for a commit, and expire behind ten thousand
    assert one(outcome.effects, fx.SaveSession).session == outcome.session


def test_what_was_used_while_we_were_away_is_billed() -> None:
    resumed = decide(session(Phase.SUSPENDED), reading(60.0, 1070.0), ctx()).session

    assert resumed.meter.used_wh == 70.0


@pytest.mark.parametrize(
    ("away_s", "reason"), [(50.0, StopReason.DEVICE_STOP), (1801.0, StopReason.POWER_LOSS), (500.0, None)]
)
def test_found_off_it_goes_on_only_between_a_lease_and_half_an_hour(away_s: float, reason: StopReason | None) -> None:
    outcome = decide(session(Phase.SUSPENDED, renewed_s=NOW_S - away_s), relay(False), ctx())

    assert outcome.session.reason is reason
    assert (outcome.session.phase is Phase.QUEUED) is (reason is None)


def test_found_off_it_is_never_energised_again_when_the_trip_journal_cannot_be_read() -> None:
    outcome = decide(session(Phase.SUSPENDED, renewed_s=NOW_S - 500), relay(False), ctx(resumes=False))

    assert outcome.session.reason is StopReason.POWER_LOSS
    assert fx.SwitchOn not in made.kinds(outcome.effects)


def test_an_outlet_that_stays_silent_after_a_restart_is_asked_and_then_ended() -> None:
    asked = decide(session(Phase.SUSPENDED), deadline(), ctx())
    assert made.kinds(asked.effects) == [fx.AskNow]

    ended = decide(session(Phase.SUSPENDED), deadline(after_s=55), ctx())
    assert ended.session.reason is StopReason.LINK_LOST


# -- closing ------------------------------------------------------------------------------------------------------


def test_a_reading_without_power_after_the_off_is_the_proof() -> None:
    settled = decide(session(Phase.CLOSING), reading(2.9, 1051.0), ctx())

    assert (settled.session.phase, settled.session.proof) == (Phase.SETTLED, "measured")
    assert (made.bill_fen(settled.session), settled.session.returned_fen) == (3, 197)  # 51 Wh: 2.8 and 1.5 fen
    assert settled.latch is None


def test_a_reading_from_before_the_off_proves_nothing() -> None:
    outcome = decide(session(Phase.CLOSING), reading(0.0, 1051.0, after_s=-10), ctx())

    assert outcome.session.phase is Phase.CLOSING


def test_nothing_drawn_proves_nothing_while_the_relay_says_on() -> None:
    outcome = decide(session(Phase.CLOSING), reading(0.0, 1051.0), ctx(seen=seen(relay_on=True)))

    assert outcome.session.phase is Phase.CLOSING


def test_a_relay_that_says_off_is_not_believed_where_there_is_a_meter() -> None:
    assert decide(session(Phase.CLOSING), relay(False), ctx()).session.phase is Phase.CLOSING


def test_off_is_repeated_until_it_is_proven() -> None:
    closing = session(Phase.CLOSING, off_sent_s=NOW_S - 4)
    assert decide(closing, deadline(), ctx()).effects == ()

    again = decide(closing, deadline(after_s=1), ctx())

    assert made.kinds(again.effects) == [fx.SwitchOff, fx.AskNow]
    assert again.session.off_sent_s == NOW_S + 1
    assert again.session.off_s == closing.off_s  # the first OFF is the one that counts


def test_power_after_the_off_raises_one_alarm_and_keeps_the_session_open() -> None:
    early = decide(session(Phase.CLOSING), reading(60.0, 1051.0, after_s=4), ctx())
    assert early.effects == ()

    late = decide(session(Phase.CLOSING), reading(60.0, 1051.0, after_s=6), ctx())
    assert one(late.effects, fx.RaiseAlarm).kind == "relay_fault"
    assert late.session.phase is Phase.CLOSING

    again = decide(late.session, reading(60.0, 1052.0, after_s=16), ctx(seen=seen(alarmed=True)))
    assert again.effects == ()


def test_unproven_it_is_latched_and_billed_by_the_meter_at_the_first_off() -> None:
    closing = session(Phase.CLOSING, off_s=NOW_S - 600, meter=Meter(used_wh=90.0, counter_wh=1090.0, band="all"))

    outcome = decide(closing, deadline(), ctx())

    assert (outcome.session.phase, outcome.session.proof, outcome.latch) == (Phase.SETTLED, "none", "relay_fault")
    assert outcome.session.meter.used_wh == 50.0
    assert isinstance(outcome.effects[0], fx.SwitchOff)
    assert one(outcome.effects, fx.RaiseAlarm).kind == "relay_fault"


def test_on_a_silent_link_the_lease_that_ended_is_the_proof_and_the_outlet_is_latched_all_the_same() -> None:
    closing = session(Phase.CLOSING, off_s=NOW_S - 600, renewed_s=NOW_S - 650)

    outcome = decide(closing, deadline(), ctx(seen=seen(reading_s=NOW_S - 601)))

    assert (outcome.session.proof, outcome.latch) == ("lease_expired", "link_lost")


def test_what_is_left_goes_back_to_the_card_it_came_from() -> None:
    settled = decide(session(Phase.CLOSING, order=None, card="c1"), reading(0.0, 1050.0), ctx())

    assert [leg.credit for leg in one(settled.effects, fx.Post).entry.transfers] == [
        "revenue:energy:m",
        "revenue:service:m",
        "card:c1",
    ]


def test_a_refunds_number_is_a_function_of_its_order() -> None:
    settled = decide(session(Phase.CLOSING), reading(0.0, 1050.0), ctx()).session

    refunds = [moves.refund_of(settled, "sandbox", "T1", at) for at in (NOW_AT, NOW_AT + 99)]

    assert [refund.id if refund else None for refund in refunds] == ["O1R", "O1R"]
    assert moves.refund_of(msgspec.structs.replace(settled, returned_fen=0), "sandbox", "T1", NOW_AT) is None


def test_a_session_survives_its_way_to_disk_and_back() -> None:
    for phase in Phase:
        before = session(phase)
        assert msgspec.json.decode(msgspec.json.encode(before), type=Session) == before
