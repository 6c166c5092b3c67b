"""A charge in doubt: dark at once, proven, asked about where somebody can know, and billed as it stood before."""

from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import moves
from controller.core.danger import begin as watched
from controller.core.due import next_deadline
from controller.core.errors import Refused
from controller.core.finish import FinishRules, begin
from controller.core.load import share
from controller.core.reasons import StopReason
from controller.core.restart import restored
from controller.core.session import decide
from controller.core.state import Phase, Session, Why
from tests.core import made
from tests.core.made import NOW_S, RULES, answer, ctx, deadline, grant, one, reading, relay, seen, stop, tripped

DARK = (Why.MAINS, Why.PLUG, Why.EMPTY, Why.PROBE)
VERDICT = {"power_w": 3.0, "peak_w": 98.0}


class Socket:
    """One session and its outlet, from event to event; its counter runs with its power."""

    def __init__(self, **other: Any) -> None:
        values: dict[str, Any] = {"finish": begin(0.0), "danger": watched(0.0), "opened_s": NOW_S, "since_s": NOW_S}
        self.live: Session = made.session(Phase.CHARGING, **{**values, **other})
        self.after_s = 0.0
        self.counter_wh = 1050.0
        self.on = True
        self.effects: list[fx.Effect] = []
        self.told: list[str] = []
        self.latch: str | None = None

    def does(self, event: Any, **shown: Any) -> list[fx.Effect]:
        outcome = decide(self.live, event, ctx(seen=seen(counter_wh=self.counter_wh, relay_on=self.on, **shown)))
        self.live, self.latch = outcome.session, outcome.latch
        self.effects = list(outcome.effects)
        self.told += [effect.what for effect in self.effects if isinstance(effect, fx.Moment)]
        if any(isinstance(effect, fx.SwitchOff) for effect in self.effects):
            self.on = False
        return self.effects

    def draws(self, *powers_w: float, every_s: float = 10.0) -> None:
        for power_w in powers_w:
            self.after_s += every_s
            self.counter_wh += power_w * every_s / 3600
            self.does(reading(power_w, round(self.counter_wh, 3), self.after_s))
            if self.live.phase is not Phase.CHARGING:
                return

    def proven(self) -> None:
        self.hears(0.0, 10.0)

    def hears(self, power_w: float, in_s: float) -> None:
        self.after_s += in_s
        self.does(reading(power_w, round(self.counter_wh, 3), self.after_s))

    def waits(self, seconds: float) -> None:
        self.after_s += seconds
        self.does(deadline(self.after_s))

    def goes_on(self, power_w: float = 95.0) -> None:
        """Its turn comes, the relay says so, and something draws."""
        self.does(grant(self.after_s))
        self.on = True
        self.does(relay(True, self.after_s + 1.0))
        self.hears(power_w, 10.0)

    def is_in(self, phase: Phase) -> bool:
        return self.live.phase is phase

    @property
    def why(self) -> Why | None:
        return None if self.live.pause is None else self.live.pause.why

    @property
    def billed_wh(self) -> int:
        assert self.live.bill is not None
        return sum(line.wh for line in self.live.bill.lines if line.kind == "energy")


def at_work(**other: Any) -> Socket:
    socket = Socket(**other)
    socket.draws(*[95.0] * 40)
    return socket


def swapped() -> tuple[Socket, float]:
    """Another charger twenty seconds after the first was pulled; and the meter at the drop."""
    socket = at_work()
    socket.draws(0.0)
    drop_wh = socket.live.meter.used_wh
    socket.draws(0.0, 190.0, 190.0, 190.0)
    return socket, drop_wh


def dark(why: Why, **other: Any) -> Socket:
    """At work, then paused for this reason."""
    socket = at_work(**other)
    outcome = moves.paused(socket.live, made.deadline(socket.after_s), why, dict(VERDICT))
    socket.live, socket.on = outcome.session, False
    return socket


# -- another plug -------------------------------------------------------------------------------------------------


def test_another_charger_is_cut_in_its_first_reports_and_nothing_of_it_is_billed_yet() -> None:
    socket, drop_wh = swapped()

    assert (socket.live.phase, socket.why) == (Phase.SUSPENDED, Why.PLUG)
    assert isinstance(socket.effects[0], fx.SwitchOff)
    assert socket.live.pause is not None
    assert socket.live.pause.meter.used_wh == drop_wh
    assert socket.live.pause.evidence["before_w"] == pytest.approx(95.0, abs=1.0)
    assert socket.told[-1] == "suspended:plug"
    assert fx.RaiseAlarm not in made.kinds(tuple(socket.effects))


def test_nobody_answers_and_it_ends_billed_as_it_stood_when_the_plug_was_pulled() -> None:
    socket, drop_wh = swapped()
    socket.proven()
    socket.waits(RULES.plug_answer_s - 60.0)
    assert socket.is_in(Phase.SUSPENDED)
    socket.waits(60.0)
    assert (socket.live.phase, socket.live.reason) == (Phase.CLOSING, StopReason.PLUG_SWAPPED)

    socket.proven()

    assert (socket.live.phase, socket.billed_wh) == (Phase.SETTLED, int(drop_wh))
    assert socket.live.evidence["now_w"] == pytest.approx(190.0)


def test_not_mine_ends_it_at_once() -> None:
    socket, drop_wh = swapped()
    socket.proven()
    socket.does(answer(mine=False, after_s=socket.after_s))
    assert (socket.live.reason, socket.live.stopped_by) == (StopReason.PLUG_SWAPPED, "party:p1")
    socket.proven()

    assert socket.billed_wh == int(drop_wh)


def test_mine_goes_on_in_its_turn_is_billed_whole_and_not_asked_about_again() -> None:
    socket, drop_wh = swapped()
    socket.proven()
    held_s = 300.0
    socket.after_s += held_s
    opened_s = socket.live.opened_s
    socket.does(answer(mine=True, after_s=socket.after_s))
    assert (socket.live.phase, socket.live.pause) == (Phase.QUEUED, None)
    assert socket.live.opened_s >= opened_s + held_s  # the time it was held is no time of the charge

    socket.goes_on(190.0)
    socket.draws(*[190.0] * 20)

    assert (socket.live.phase, socket.live.pause) == (Phase.CHARGING, None)
    socket.does(stop())
    socket.proven()
    assert socket.billed_wh > drop_wh + 5


def test_mine_before_off_is_proven_waits_for_the_proof() -> None:
    socket, _ = swapped()
    socket.does(answer(mine=True, after_s=socket.after_s))
    assert socket.is_in(Phase.SUSPENDED)

    socket.proven()

    assert socket.is_in(Phase.QUEUED)


def test_a_third_charger_after_the_answer_is_asked_about_again() -> None:
    socket, _ = swapped()
    socket.proven()
    socket.does(answer(mine=True, after_s=socket.after_s))
    socket.goes_on(190.0)
    socket.draws(*[190.0] * 20, 0.0, 0.0, *[95.0] * 8)

    assert (socket.live.phase, socket.why) == (Phase.SUSPENDED, Why.PLUG)


def test_the_same_bike_plugged_in_again_is_not_asked_about_and_billed_whole() -> None:
    socket = at_work()
    socket.draws(0.0, 0.0, *[95.0] * 10)
    assert (socket.live.phase, socket.live.pause, socket.told) == (Phase.CHARGING, None, [])

    socket.does(stop())
    socket.proven()

    assert socket.billed_wh == int(socket.counter_wh - 1000.0)
    assert socket.live.pause is None


def test_who_stops_while_it_is_not_known_whose_load_it_is_pays_for_nothing_of_it() -> None:
    socket = at_work()
    socket.draws(0.0)
    drop_wh = socket.live.meter.used_wh
    socket.draws(95.0, 95.0, 95.0)
    socket.does(stop())
    socket.proven()

    assert socket.billed_wh == int(drop_wh)
    assert socket.live.pause is not None  # says why it is less than was metered


@pytest.mark.parametrize("why", [Why.MAINS, Why.PROBE, Why.AWAY])
def test_what_nobody_asks_is_refused(why: Why) -> None:
    socket = at_work()
    asked = moves.suspended(socket.live, deadline()).session if why is Why.AWAY else dark(why).live
    for live in (asked, socket.live, replace(asked, phase=Phase.QUEUED), replace(asked, phase=Phase.CLOSING)):
        with pytest.raises(Refused) as refused:
            decide(live, answer(mine=True), ctx())
        assert refused.value.code == "not_asked"


def test_an_answer_by_staff_is_audited() -> None:
    socket, _ = swapped()
    audit = one(tuple(socket.does(answer(True, "staff:m", socket.after_s))), fx.Audit)

    assert (audit.by, audit.what, audit.values) == ("staff:m", "plug_answered", {"mine": True})


# -- nothing there ------------------------------------------------------------------------------------------------


def test_an_emptied_socket_is_dark_in_minutes() -> None:
    socket = at_work()
    socket.draws(*[0.0] * 30)

    assert (socket.live.phase, socket.why) == (Phase.SUSPENDED, Why.EMPTY)
    assert isinstance(socket.effects[0], fx.SwitchOff)
    assert socket.live.pause is not None
    assert socket.live.pause.evidence["no_power_s"] == RULES.removal_s


def test_a_charger_that_rests_draws_a_little_and_is_left_alone() -> None:
    socket = at_work()
    socket.draws(*[1.2] * 60)

    assert socket.is_in(Phase.CHARGING)


def emptied() -> Socket:
    socket = at_work()
    socket.draws(*[0.0] * 30)
    socket.proven()
    return socket


def test_at_the_end_of_the_window_it_is_looked_once_and_nothing_there_is_unplugged() -> None:
    socket = emptied()
    socket.waits(RULES.removal_window_s - RULES.removal_s)
    assert socket.is_in(Phase.QUEUED)
    socket.does(grant(socket.after_s))
    socket.does(relay(True, socket.after_s + 1.0))
    assert next_deadline(socket.live, RULES) is not None
    socket.after_s += 1.0
    socket.waits(RULES.probe_s)

    assert (socket.live.phase, socket.live.reason) == (Phase.CLOSING, StopReason.UNPLUGGED)
    socket.proven()
    assert socket.is_in(Phase.SETTLED)


def test_what_was_plugged_in_again_goes_on_when_it_is_looked_or_when_its_owner_says_so() -> None:
    for says in (True, False):
        socket = emptied()
        if says:
            socket.does(answer(mine=True, after_s=socket.after_s))
        else:
            socket.waits(RULES.removal_window_s)
        socket.goes_on()
        socket.draws(*[95.0] * 10)

        assert (socket.live.phase, socket.live.pause) == (Phase.CHARGING, None)
        assert socket.told[-1] == "known_again"


def test_who_took_it_away_may_say_so_and_need_not_wait() -> None:
    socket = emptied()
    socket.does(answer(mine=False, after_s=socket.after_s))

    assert socket.live.reason is StopReason.UNPLUGGED


def test_emptied_in_its_tail_it_was_nearly_full() -> None:
    socket = at_work()
    socket.draws(*[95.0 * 0.985**step for step in range(75)])
    socket.draws(*[0.0] * 30)
    socket.proven()
    socket.does(answer(mine=False, after_s=socket.after_s))

    assert socket.live.reason is StopReason.FINISHED


# -- a probe ------------------------------------------------------------------------------------------------------


def probed(**other: Any) -> Socket:
    """Dark for as long as a probe waits, on again, and the relay has said so."""
    socket = dark(Why.PROBE, **other)
    socket.proven()
    assert socket.is_in(Phase.SUSPENDED)
    socket.waits(RULES.probe_wait_s)
    assert socket.is_in(Phase.QUEUED)
    return socket


def test_a_finish_in_doubt_is_probed_only_where_the_settings_say_so() -> None:
    for allowed in (True, False):
        socket = at_work(finish_rules=FinishRules(probe=allowed))
        socket.draws(*[95.0] * 60)
        socket.draws(*[3.5] * 40)  # a charger at rest, or one that is done

        assert socket.is_in(Phase.SUSPENDED if allowed else Phase.CHARGING)
        assert socket.why is (Why.PROBE if allowed else None)


def test_a_charger_that_draws_again_after_a_probe_goes_on() -> None:
    socket = probed()
    socket.goes_on()
    socket.draws(95.0)

    assert (socket.live.phase, socket.live.pause, socket.live.probes) == (Phase.CHARGING, None, 1)


@pytest.mark.parametrize("power_w", [6.0, 40.0])
def test_less_than_half_of_its_peak_after_a_probe_is_full(power_w: float) -> None:
    socket = probed()
    socket.goes_on(power_w)
    socket.draws(*[power_w] * 12)

    assert (socket.live.phase, socket.live.reason) == (Phase.CLOSING, StopReason.FINISHED)
    assert socket.after_s <= 400.0 + 10.0 + RULES.probe_wait_s + 10.0 + RULES.probe_s + 10.0
    socket.proven()
    assert socket.is_in(Phase.SETTLED)


def test_a_probe_that_finds_the_same_rest_again_is_an_answer_and_no_new_doubt() -> None:
    socket = at_work(finish_rules=FinishRules(probe=True))
    socket.draws(*[95.0] * 60)
    socket.draws(*[6.0] * 40)
    assert socket.why is Why.PROBE
    socket.proven()
    socket.waits(RULES.probe_wait_s)
    socket.goes_on(6.0)
    socket.draws(*[6.0] * 12)

    assert (socket.live.phase, socket.live.reason) == (Phase.CLOSING, StopReason.FINISHED)
    assert socket.told.count("suspended:probe") == 1


def test_nothing_at_all_after_a_probe_is_full_and_dark_again_in_a_minute() -> None:
    socket = probed()
    socket.does(grant(socket.after_s))
    socket.does(relay(True, socket.after_s))
    socket.waits(RULES.probe_s)

    assert (socket.live.reason, socket.live.evidence["peak_w"]) == (StopReason.FINISHED, VERDICT["peak_w"])


def test_who_was_probed_often_enough_is_waited_for() -> None:
    socket = probed(probes=RULES.probes_max - 1, finish_rules=FinishRules(probe=True))
    socket.goes_on()
    socket.draws(95.0)

    assert socket.live.probes == RULES.probes_max
    assert socket.live.finish_rules is not None
    assert not socket.live.finish_rules.probe


# -- the mains ----------------------------------------------------------------------------------------------------


def booted(after_s: float) -> ev.DeviceRestarted:
    return ev.DeviceRestarted(**made.stamp(after_s), outlet="o1", cause="power on")


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.CHARGING])
def test_a_device_that_booted_in_mid_charge_is_off_and_proven_off_before_it_goes_on(phase: Phase) -> None:
    socket = at_work()
    socket.live = replace(socket.live, phase=phase)
    socket.does(booted(socket.after_s))
    assert (socket.live.phase, socket.why) == (Phase.SUSPENDED, Why.MAINS)
    assert isinstance(socket.effects[0], fx.SwitchOff)

    socket.proven()
    assert socket.is_in(Phase.QUEUED)
    assert socket.told[-2:] == ["power_back", "queued"] or socket.told[-2:] == ["queued", "power_back"]

    socket.goes_on()
    socket.draws(*[95.0] * 10)
    assert (socket.live.phase, socket.live.pause) == (Phase.CHARGING, None)


def test_another_bike_after_a_power_failure_is_asked_about_and_billed_to_nobody() -> None:
    socket = at_work()
    socket.does(booted(socket.after_s))
    before_wh = socket.live.meter.used_wh
    socket.proven()
    socket.goes_on(190.0)
    socket.draws(*[190.0] * 10)

    assert (socket.live.phase, socket.why) == (Phase.SUSPENDED, Why.PLUG)
    assert socket.live.pause is not None
    assert socket.live.pause.meter.used_wh == before_wh


def test_who_is_gone_before_the_trial_after_a_power_failure_is_over_pays_for_nothing_since_then() -> None:
    """What drew on trial looked the same, and was never found to be: the swap may have been in the dark."""
    socket = at_work()
    socket.does(booted(socket.after_s))
    before_wh = socket.live.meter.used_wh
    socket.proven()
    socket.goes_on()
    socket.draws(95.0, 95.0, 0.0, 0.0)
    assert socket.live.meter.used_wh > before_wh + 0.5
    socket.draws(*[190.0] * 3)
    assert (socket.live.phase, socket.why) == (Phase.SUSPENDED, Why.PLUG)

    socket.proven()
    socket.does(answer(False, after_s=socket.after_s))
    socket.proven()
    assert (socket.live.reason, socket.billed_wh) == (StopReason.PLUG_SWAPPED, int(before_wh))


def test_what_falls_asleep_on_trial_after_a_power_failure_is_probed_and_then_billed_whole() -> None:
    socket = at_work(finish_rules=FinishRules(probe=True))
    socket.draws(*[95.0] * 40)
    socket.does(booted(socket.after_s))
    socket.proven()
    socket.goes_on()
    socket.draws(95.0, 95.0, *[2.5] * 30)
    assert (socket.live.phase, socket.why) == (Phase.SUSPENDED, Why.PROBE)

    socket.proven()
    socket.waits(RULES.probe_wait_s)
    socket.goes_on()
    socket.draws(*[95.0] * 10)
    assert (socket.live.phase, socket.live.pause, socket.live.probes) == (Phase.CHARGING, None, 1)
    socket.does(stop())
    socket.proven()
    assert socket.billed_wh == int(socket.live.meter.used_wh) == int(socket.counter_wh - 1_000.0)


def test_out_of_reach_it_waits_half_an_hour_for_its_device_and_then_ends() -> None:
    socket = at_work()
    socket.live = replace(socket.live, renewed_s=NOW_S + socket.after_s - 120.0)
    outcome = moves.paused(socket.live, deadline(socket.after_s), Why.MAINS, {"silent_s": 90.0})
    socket.live = outcome.session
    for _ in range(100):
        socket.after_s += 10.0
        assert socket.does(deadline(socket.after_s), linked=False) == []  # nobody is there to hear an OFF

    due_s = socket.live.renewed_s + RULES.resume_max_s if socket.live.renewed_s else 0.0
    socket.does(deadline(due_s - NOW_S), linked=False)

    assert (socket.live.phase, socket.live.reason) == (Phase.CLOSING, StopReason.LINK_LOST)


def test_a_gap_too_long_ends_it_for_another_bike_may_stand_there() -> None:
    socket = dark(Why.MAINS)
    socket.after_s += RULES.resume_max_s + 200.0
    socket.proven()

    assert (socket.live.phase, socket.live.reason) == (Phase.CLOSING, StopReason.POWER_LOSS)


# -- dark is dark -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", DARK)
def test_off_is_repeated_until_it_is_measured(why: Why) -> None:
    socket = dark(why)
    socket.waits(RULES.off_repeat_s)
    assert made.kinds(tuple(socket.effects)) == [fx.SwitchOff, fx.AskNow]

    socket.hears(95.0, 1.0)
    assert (socket.live.phase, socket.live.proof) == (Phase.SUSPENDED, None)
    socket.hears(95.0, 3 * RULES.off_repeat_s)
    assert one(tuple(socket.effects), fx.RaiseAlarm).kind == "relay_fault"


@pytest.mark.parametrize("why", DARK)
def test_never_proven_off_it_ends_and_the_outlet_is_latched(why: Why) -> None:
    socket = dark(why)
    for _ in range(80):
        socket.waits(10.0)
        if socket.live.phase is Phase.SETTLED:
            break

    assert (socket.live.phase, socket.live.proof) == (Phase.SETTLED, "lease_expired")
    assert socket.latch == "link_lost"
    assert socket.after_s <= 400.0 + RULES.proof_s + 20.0  # the first OFF counts


@pytest.mark.parametrize("why", [Why.PLUG, Why.EMPTY, Why.PROBE])
def test_power_on_what_was_dark_is_cut_and_proven_again(why: Why) -> None:
    socket = dark(why)
    socket.proven()
    proven = socket.live.proof
    assert proven == "measured"
    socket.does(relay(True, socket.after_s + 1.0))
    assert made.kinds(tuple(socket.effects)) == [fx.SwitchOff]

    socket.hears(95.0, 10.0)

    assert isinstance(socket.effects[0], fx.SwitchOff)
    assert socket.live.proof is None


@pytest.mark.parametrize("why", DARK)
def test_a_device_that_comes_back_or_boots_is_switched_off_and_asked(why: Why) -> None:
    for event in (ev.LinkUp(**made.stamp(500.0), outlet="o1"), booted(500.0)):
        socket = dark(why)
        effects = socket.does(event)
        assert made.kinds(tuple(effects))[:2] == [fx.SwitchOff, fx.AskNow]
        assert (socket.live.phase, socket.why) == (Phase.SUSPENDED, why)


@pytest.mark.parametrize("why", DARK)
@pytest.mark.parametrize("event", [stop(), stop(StopReason.SITE_CUT, "staff:m"), tripped(), made.hazard()])
def test_whatever_ends_a_pause_bills_what_stood_before_the_doubt(why: Why, event: Any) -> None:
    socket = dark(why)
    assert socket.live.pause is not None
    before_wh = socket.live.pause.meter.used_wh
    socket.counter_wh += 3.0  # of whoever stands there
    socket.does(event)
    assert (socket.live.phase, socket.live.reason) == (Phase.CLOSING, event.reason)
    assert isinstance(socket.effects[0], fx.SwitchOff)

    socket.proven()

    assert (socket.live.phase, socket.billed_wh) == (Phase.SETTLED, int(before_wh))


@pytest.mark.parametrize("why", DARK)
def test_with_a_journal_that_cannot_be_read_nothing_dark_is_energised_again(why: Why) -> None:
    socket = dark(why)
    socket.proven() if why is not Why.MAINS else None
    shown = ctx(resumes=False, seen=seen(counter_wh=socket.counter_wh, relay_on=False))
    off = reading(0.0, round(socket.counter_wh, 3), 900.0)
    events: Iterable[Any] = (off, answer(True, after_s=901.0), deadline(1500.0))
    live = socket.live
    for event in events:
        try:
            live = decide(live, event, shown).session
        except Refused:
            continue

    assert live.phase in (Phase.CLOSING, Phase.SETTLED)


@pytest.mark.parametrize("why", DARK)
def test_dark_and_proven_it_counts_for_nothing_under_a_load_limit(why: Why) -> None:
    socket = dark(why)
    now_s = NOW_S + socket.after_s + 60.0
    assert share(made.outlet(), seen(), socket.live, RULES, now_s).reserved_w > 0
    proven = replace(socket.live, proof="measured")

    assert share(made.outlet(), seen(), proven, RULES, now_s).reserved_w == 0
    assert decide(proven, made.withdrawn(), ctx()).effects == ()


# -- a restart of this gateway ------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", DARK)
@pytest.mark.parametrize("phase", [Phase.SUSPENDED, Phase.OPENING, Phase.CHARGING])
def test_what_was_in_doubt_on_disk_is_dark_and_still_in_doubt(why: Why, phase: Phase) -> None:
    live = replace(dark(why).live, phase=phase, proof=None)
    outcome = restored(live, deadline(500.0), None)

    assert (outcome.session.phase, outcome.session.proof) == (Phase.SUSPENDED, None)
    assert outcome.session.pause == live.pause
    assert made.kinds(outcome.effects)[:2] == [fx.SwitchOff, fx.AskNow]
    assert {fx.SwitchOn, fx.TakeUp, fx.Renew}.isdisjoint(made.kinds(outcome.effects))


@pytest.mark.parametrize("why", DARK)
def test_a_trip_in_the_journal_ends_what_was_in_doubt(why: Why) -> None:
    outcome = restored(dark(why).live, deadline(500.0), (StopReason.OVERHEAT, {}))

    assert (outcome.session.phase, outcome.session.reason) == (Phase.CLOSING, StopReason.OVERHEAT)


def test_a_device_that_booted_while_we_were_away_has_lost_its_mains_with_us() -> None:
    socket = at_work()
    socket.live = moves.suspended(socket.live, deadline(socket.after_s)).session
    socket.does(booted(socket.after_s))

    assert (socket.live.phase, socket.why) == (Phase.SUSPENDED, Why.MAINS)
