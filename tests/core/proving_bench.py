"""A device of a relay, a timer or watchdog and a meter, on hand-driven time, and an outlet being proven on it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.outlet import STAFF, decide
from controller.core.outlet_outcome import Beside, Context, Outcome
from controller.core.proving import next_deadline
from controller.core.seen import saw
from controller.core.state import OutletPhase, Seen
from tests.core import made
from tests.core.made import NOW_AT, NOW_S, RULES

TICK_S = 0.5
SOUND = {"power_up_off": 1.0, "sees_power_when_off": 1.0, "own_counter": 1.0, "inputs_detached": 1.0}


@dataclass
class Device:
    """Sound, but for what is said otherwise. It tells nothing by itself: it is asked, and answers `late_s` later."""

    settings: dict[str, float] = field(default_factory=lambda: dict(SOUND))
    load_w: float = 60.0
    obeys_on: bool = True
    obeys_off: bool = True
    times: bool = True
    rearms: bool = True
    lease_factor: float = 1.0
    welded: bool = False  # the contact stays closed once it was
    crossed: bool = False  # its load is measured by the meter of its neighbour
    watchdog_s: float = 0.0
    watchdog_cuts: bool = True
    powers_up_on: bool = False
    late_s: float = 0.0
    meters: bool = True
    answers: bool = True
    relay: bool = False
    stuck: bool = False
    powered: bool = True
    off_s: float = 1e18
    fed_s: float = -1e18

    def on(self, lease_s: float, now_s: float) -> None:
        self.fed_s = now_s
        if not self.powered or not self.obeys_on:
            return
        if not self.relay or self.rearms:
            self.off_s = now_s + lease_s * self.lease_factor if self.times and not self.watchdog_s else 1e18
        self.relay = True
        self.stuck = self.welded

    def off(self) -> None:
        if self.powered and self.obeys_off:
            self.relay, self.off_s = False, 1e18

    def advance(self, now_s: float) -> None:
        if now_s >= self.off_s:
            self.relay, self.off_s = False, 1e18

    def power_w(self, now_s: float) -> float:
        fed = not (self.watchdog_s and self.watchdog_cuts) or now_s - self.fed_s < self.watchdog_s
        return self.load_w if (self.relay or self.stuck) and fed and self.powered else 0.0

    def take_supply(self) -> None:
        self.powered = False

    def give_supply(self) -> None:
        """Whatever it had timed is forgotten."""
        self.powered, self.off_s, self.relay = True, 1e18, self.relay and self.powers_up_on


class Bench:
    def __init__(self, device: Device | None = None, beside: bool = False, **outlet: Any) -> None:
        self.device = device or Device()
        self.outlet = made.outlet(OutletPhase.ADOPTED, **outlet)
        self.seen = Seen(linked=True, power_w=0.0, reading_s=NOW_S - 3.0)
        self.now_s = NOW_S
        self.generation = 0
        self.log: list[tuple[float, str]] = []
        self.steps: list[str] = []
        self.answers: list[tuple[float, list[ev.Event]]] = []
        self.beside = Beside("o2", "02", 0.0, NOW_S - 3.0, False) if beside else None

    # -- by hand --------------------------------------------------------------------------------------------------

    def commission(self) -> "Bench":
        event = ev.StaffChange(
            **self.stamp(), key="k", by="staff:m", change=ev.Change.COMMISSION, subject="o1", values={}
        )
        self.carry_out(STAFF[ev.Change.COMMISSION](self.outlet, event, self.ctx()))
        return self

    def tell(self, event: ev.Event) -> None:
        self.seen = saw(self.seen, event) or self.seen
        self.carry_out(decide(self.outlet, event, self.ctx()))

    def lost(self) -> None:
        self.tell(ev.LinkLost(**self.stamp(), outlet="o1"))

    def run(self, seconds: float = 400.0, until: str = "") -> "Bench":
        """Until it is proven or not, or has come to this step."""
        end_s = self.now_s + seconds
        while self.now_s < end_s and self.outlet.phase is OutletPhase.PROVING and self.step != until:
            self.tick()
        return self

    def tick(self) -> None:
        self.now_s += TICK_S
        self.device.advance(self.now_s)
        due = [events for at_s, events in self.answers if at_s <= self.now_s]
        self.answers = [(at_s, events) for at_s, events in self.answers if at_s > self.now_s]
        for event in (event for events in due for event in events):
            self.tell(event)
        due_s = next_deadline(self.outlet, RULES)
        if due_s is not None and due_s <= self.now_s:
            self.tell(ev.DeadlinePassed(**self.stamp(), outlet="o1"))

    @property
    def step(self) -> str:
        return "" if self.outlet.proving is None else str(self.outlet.proving.step)

    @property
    def ons(self) -> int:
        return sum(what == "SwitchOn" for _, what in self.log)

    # -- its surroundings -----------------------------------------------------------------------------------------

    def stamp(self) -> dict[str, Any]:
        return {"at": NOW_AT + self.now_s - NOW_S, "steady_s": self.now_s}

    def ctx(self) -> Context:
        besides = () if self.beside is None else (self.beside,)
        return Context(RULES, self.seen, self.generation, model="M1", besides=besides)

    def carry_out(self, outcome: Outcome) -> None:
        self.outlet = outcome.outlet
        if self.step and self.step not in self.steps[-1:]:
            self.steps.append(self.step)
        for effect in outcome.effects:
            self.log.append((self.now_s, type(effect).__name__))
            self.effect(effect)

    def effect(self, effect: fx.Effect) -> None:
        match effect:
            case fx.SwitchOff():
                self.generation += 1
                self.device.off()
            case fx.SwitchOn():
                if effect.generation == self.generation:
                    self.device.on(effect.lease_s, self.now_s)
            case fx.Renew():
                assert effect.generation == self.generation
                self.device.on(effect.lease_s, self.now_s)
            case fx.Provision():
                settings = self.device.settings.items()
                self.answer(ev.SettingReported(**self.stamp(), outlet="o1", setting=s, value=v) for s, v in settings)
            case fx.AskNow():
                self.asked(effect.outlet)

    def asked(self, outlet: str) -> None:
        device, at_s = self.device, self.now_s + self.device.late_s
        stamp = {"at": NOW_AT + at_s - NOW_S, "steady_s": at_s}
        power_w = device.power_w(self.now_s)
        if outlet != "o1" and self.beside is not None:
            power_w = power_w if device.crossed else 0.0
            self.beside = Beside("o2", "02", power_w, self.now_s + TICK_S, False, self.beside.step)
            return
        own_w = 0.0 if device.crossed else power_w
        said: list[ev.Event] = [ev.RelayReported(**stamp, outlet="o1", on=device.relay)]
        if device.meters:
            said.append(ev.Reading(**stamp, outlet="o1", power_w=own_w, energy_wh=1000.0))
        self.answer(said)

    def answer(self, events: Iterable[ev.Event]) -> None:
        if self.device.answers and self.device.powered:
            self.answers.append((self.now_s + self.device.late_s, list(events)))
