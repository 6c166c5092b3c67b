"""The whole compound loses its power, the gateway with it, and gets it back: nobody pays for another's charge.

Real engine, gates, drivers and twins of 200 outlets over a broker in memory, on virtual time.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from anchong.wiring import Gateway
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import OutletPhase, Phase, Rules, Session
from firmware_bridge.transports.memory import MemoryTransport
from simulators.twins import TWINS
from simulators.twins.contact import Load
from tests.bridge.yard import Yard

BATTERY_W = (90.0, 260.0)
LIMIT_W = 10_000.0  # of the smaller site: more than all draw, less than they may come to draw
RULES = Rules(stagger_s=0.8, settle_s=60.0)  # so that the day is short
TICK_S = 0.5
GULP = 2.5  # times its power is what a cold charger takes, for its first seconds
GULP_S = 2.0
RESUMED_S = 600.0  # 200 one after the other, and the first minute of the last


class Bike:
    """A charger that takes a gulp when it gets its power, and then what its pack takes; it counts its own energy."""

    def __init__(self, power_w: float) -> None:
        self.power_w = power_w
        self.drawn_wh = 0.0
        self.powered_s = 0.0

    def draw_w(self, dt_s: float) -> float:
        self.drawn_wh += self.power_w * dt_s / 3600
        self.powered_s += dt_s
        return self.power_w


class Compound(Yard):
    """Its gateway may lose its power as well; the next one finds the same disk and the same broker."""

    def __init__(self, folder: Path, outlets: int, limit_w: float | None) -> None:
        super().__init__(folder, RULES)
        self.rng = Random(200)
        self.bikes: dict[str, Bike] = {}
        self.places: dict[str, tuple[Any, int]] = {}
        self.powers: list[tuple[float, float]] = []  # (steady, watts) as they flow, after every turn
        self.lit: dict[str, float] = {}  # since when (steady) each outlet has power
        self.starts: list[float] = []
        self.open()
        self._build(outlets)
        if limit_w is not None:
            self.change(ev.Change.POWER, "s", of="site", power_w=limit_w)

    def _build(self, outlets: int) -> None:
        for number in range(outlets):  # nobody looks what flows before they are all there
            family = "shelly" if number % 4 == 3 else "tasmota"
            twin = TWINS[family](f"0000004A{number:04X}", [Bike(0.0)], self.clock.now().at)
            self.connect(twin)
            self.turn()
            (outlet,) = self.adopt(twin)
            self.places[outlet] = (twin, 0)
        for known in list(self.house.outlets.values()):  # proven in a test of its own, one by one
            opened = replace(known, phase=OutletPhase.OPEN, lease_s=120.0)
            self.gateway.engine._run((fx.SaveOutlet(opened), fx.Provision(known.id, 120.0, known.power_w)))
        self.run(12.0)

    def sleeps(self, seconds: float) -> None:
        """Nobody does anything: what is dark has only its link to lose."""
        self.clock.advance(seconds - TICK_S)
        self.run(TICK_S)

    def charge(self, outlet: str, power_w: float) -> None:
        number = outlet.partition("-")[2]
        self.stands(outlet, Bike(power_w))
        order: dict[str, Any] = {
            "key": f"k-{number}",
            "order": f"O{number}",
            "session": f"S{number}",
            "outlet": outlet,
            "party": "p",
        }
        money: dict[str, Any] = {"amount_fen": 500, "secret_hash": f"h{number}", "provider": "sandbox"}
        self.ask(ev.OrderPlaced(**self._stamp(), **order, **money, max_s=0, lang="zh")).result(0)
        paid: dict[str, Any] = {
            "key": f"e-{number}",
            "provider": "sandbox",
            "merchant": "m",
            "app": "a",
            "order": f"O{number}",
        }
        money = {"txn": f"T{number}", "amount_fen": 500, "currency": "CNY"}
        self.ask(ev.PaymentConfirmed(**self._stamp(), **paid, **money)).result(0)

    def stands(self, outlet: str, bike: Bike) -> None:
        twin, channel = self.places[outlet]
        self.bikes[outlet] = bike
        load: Load = bike
        self.say(twin, twin.plug(channel, load, self.clock.now().at))

    def answers(self, outlet: str, mine: bool) -> None:
        whose: dict[str, Any] = {"session": self.live(outlet).id, "outlet": outlet, "by": "party:p"}
        self.ask(ev.PlugAnswered(**self._stamp(), **whose, key=self._key(), mine=mine)).result(0)

    # -- the mains ------------------------------------------------------------------------------------------------

    def goes_dark(self, gateway_too: bool) -> None:
        for twin in self.twins:
            self.say(twin, twin.cut_mains(self.clock.now().at))
        if gateway_too:
            self.gateway.store.close()
            self.broker.drop("gateway")
        self.turn()

    def gets_light(self, spread_s: float = 8.0) -> None:
        """Devices boot within some seconds of each other; the gateway, if it was dark, takes longer."""
        waits = sorted((self.rng.uniform(0.0, spread_s), twin.mac, twin) for twin in self.twins)
        done_s = 0.0
        for after_s, _, twin in waits:
            self.run(after_s - done_s)
            done_s += round((after_s - done_s) / TICK_S) * TICK_S
            self.say(twin, twin.restore_mains(self.clock.now().at))

    def wakes(self) -> None:
        """The gateway's next process."""
        self.transport = MemoryTransport(self.broker, "gateway")
        self.gateway = Gateway(self.plan, self.transport, self.settled.append)
        self.gateway.restore()
        self.gateway.router.listen_for_unknown()
        self.transport.start(self.gateway.router.receive, self.gateway.router.linked)
        self.turn()

    def turn(self) -> None:
        if self.broker.connected("gateway") or not self.places:
            super().turn()
            while self.gateway.engine.inbox.waiting.is_set():  # 200 devices say more than one step takes in
                super().turn()
        else:
            self.broker.pump(self.clock.now().steady_s)
        self._look()

    def run(self, seconds: float) -> None:
        """In steps: of so many devices there is always one at work."""
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            for twin in self.twins:
                self.say(twin, twin.advance(self.clock.now().at))
            self.turn()

    def _look(self) -> None:
        now_s, total_w = self.clock.now().steady_s, 0.0
        for outlet, (twin, channel) in self.places.items():
            if not twin.powered(channel):
                self.lit.pop(outlet, None)
                continue
            if outlet not in self.lit:
                self.lit[outlet] = now_s
                self.starts.append(now_s)
            power_w = self.bikes[outlet].power_w if outlet in self.bikes else 0.0
            total_w += power_w * (GULP if now_s - self.lit[outlet] < GULP_S else 1.0)
        self.powers.append((now_s, total_w))

    # -- what became of it ----------------------------------------------------------------------------------------

    def sessions(self) -> dict[str, Session]:
        settled = {done.outlet: done for done in self.settled}
        return {**settled, **self.house.sessions}

    def of(self, phase: Phase) -> int:
        return sum(live.phase is phase for live in self.house.sessions.values())


def billed_wh(done: Session) -> int:
    assert done.bill is not None
    return sum(line.wh for line in done.bill.lines if line.kind == "energy")


@pytest.fixture(params=[(200, None), (24, LIMIT_W)], ids=["200 outlets", "24 outlets under a limit"])
def compound(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Compound]:
    outlets, limit_w = request.param
    made = Compound(tmp_path, outlets, limit_w)
    yield made
    made.stop()


def test_a_compound_and_its_gateway_lose_power_and_nobody_pays_for_anothers_charge(compound: Compound) -> None:
    outlets = sorted(compound.places)
    for outlet in outlets:
        compound.charge(outlet, compound.rng.uniform(*BATTERY_W))
    charging = _all_charging(compound)
    compound.run(60.0)

    compound.goes_dark(gateway_too=True)
    compound.sleeps(200.0)
    thief_at = charging[7]
    owner = compound.bikes[thief_at]
    thief = Bike(owner.power_w * 0.5)
    compound.stands(thief_at, thief)
    compound.gets_light()
    assert compound.starts[-1] < compound.clock.now().steady_s - 200.0  # off at power-up, every one
    compound.run(20.0)
    compound.starts.clear()
    compound.powers.clear()
    compound.wakes()
    others = [outlet for outlet in charging if outlet != thief_at]
    compound.runs_until(lambda: all(_goes_on(compound.live(outlet)) for outlet in others), RESUMED_S)

    asked = compound.live(thief_at)
    assert (asked.phase, asked.pause and asked.pause.why) == (Phase.SUSPENDED, "plug")
    _no_two_at_once(compound)

    compound.answers(thief_at, mine=False)
    compound.run(20.0)
    (swapped,) = [done for done in compound.settled if done.outlet == thief_at]
    assert swapped.reason is StopReason.PLUG_SWAPPED
    assert billed_wh(swapped) <= owner.drawn_wh + 0.5
    assert billed_wh(swapped) >= owner.drawn_wh - 2.0
    assert thief.powered_s <= 120.0  # its first minute has shown that it is another


@pytest.mark.parametrize("dark_s", [15.0, 60.0, 400.0])
@pytest.mark.parametrize("gateway_too", [True, False], ids=["and the gateway", "not the gateway"])
def test_however_short_it_was_off_is_proven_and_every_charge_goes_on(
    tmp_path: Path, dark_s: float, gateway_too: bool
) -> None:
    small = Compound(tmp_path, 8, None)
    for outlet in sorted(small.places):
        small.charge(outlet, small.rng.uniform(*BATTERY_W))
    _all_charging(small)
    small.run(60.0)
    small.goes_dark(gateway_too)
    small.run(dark_s)
    small.gets_light()
    small.run(20.0)
    if gateway_too:
        small.wakes()
    small.runs_until(lambda: all(_goes_on(live) for live in small.house.sessions.values()), 200.0)

    assert len(small.house.sessions) == 8
    assert small.settled == []
    with small.gateway.store.engine.connect() as db:
        known = db.exec_driver_sql("SELECT COUNT(DISTINCT session_id) FROM moment WHERE what = 'known_again'")
        assert known.scalar() == 8
    small.stop()


def _all_charging(compound: Compound) -> list[str]:
    compound.runs_until(lambda: compound.of(Phase.CHARGING) == len(compound.places), 900.0)
    return sorted(compound.house.sessions)


def _goes_on(live: Session) -> bool:
    return live.phase is Phase.CHARGING and live.pause is None


def _no_two_at_once(compound: Compound) -> None:
    """Every start kept its distance; so the gulps of cold chargers have added to nobody else's."""
    starts = compound.starts
    assert len(starts) >= len(compound.places)
    for several in range(1, 20):
        waited_s = [later - early for early, later in zip(starts, starts[several:], strict=False)]
        assert min(waited_s) >= several * RULES.stagger_s - TICK_S
    gaps_s = [later - early for early, later in pairwise(starts)]
    assert len(set(gaps_s)) > 1  # sites behind one transformer shall not keep step
    if compound.house.grid.limited:
        assert max(power_w for _, power_w in compound.powers) <= LIMIT_W
