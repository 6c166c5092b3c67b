"""What the world holds against a probe: its time with power, however often it had to be begun anew."""

from types import SimpleNamespace
from typing import Any

from controller.core.state import Pause, Phase, Rules, Session, Why
from simulators.world_pauses import Pauses
from tests.core import made


def some(**values: Any) -> Any:
    return SimpleNamespace(**values)


class Bench:
    """One session on trial at one outlet, looked at every ten seconds."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.checks = some(now_s=0.0, disturbed_s=-1e9, muddled_s=-1e9, disk_away_s=-1e9, long=False)
        self.checks.violated = lambda what, about: self.wrong.append(what)
        self.spot = some(powered=True, faults=(), device=some(odd={}, dark_s=None))
        self.pauses = Pauses(self.checks, {"o1": self.spot}, Rules())

    def passes(self, live: Session, for_s: float) -> None:
        house = some(sessions={"o1": live}, grid=some(feeders={}))
        self.pauses.saved(live)
        for _ in range(round(for_s / 10.0)):
            self.checks.now_s += 10.0
            self.pauses.look(house)


def paused(phase: Phase, why: Why = Why.PROBE) -> Session:
    return made.session(phase, pause=Pause(why, 0.0, made.session().meter))


def test_a_probe_that_goes_on_and_on_is_seen() -> None:
    bench = Bench()
    bench.passes(paused(Phase.CHARGING), 300.0)
    assert set(bench.wrong) == {"a probe without an end"}


def test_a_probe_in_many_short_tries_is_seen_as_well() -> None:
    bench = Bench()
    for _ in range(5):
        bench.passes(paused(Phase.CHARGING), 60.0)
        bench.spot.powered = False
        bench.passes(paused(Phase.SUSPENDED), 60.0)
        bench.spot.powered = True
    assert set(bench.wrong) == {"a probe without an end"}


def test_a_wait_in_the_line_between_two_tries_is_no_time_of_a_probe() -> None:
    bench = Bench()
    bench.passes(paused(Phase.OPENING), 60.0)
    bench.spot.powered = False
    bench.passes(paused(Phase.QUEUED), 600.0)
    bench.spot.powered = True
    bench.passes(paused(Phase.OPENING), 60.0)
    assert bench.wrong == []


def test_what_falls_asleep_on_trial_after_a_power_failure_begins_a_probe_of_its_own() -> None:
    bench = Bench()
    for _ in range(4):
        bench.passes(paused(Phase.CHARGING), 60.0)
        bench.passes(paused(Phase.SUSPENDED, Why.MAINS), 10.0)
        bench.passes(paused(Phase.CHARGING, Why.MAINS), 60.0)
        bench.passes(paused(Phase.SUSPENDED), 10.0)
    assert bench.wrong == []
