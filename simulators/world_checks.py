"""The invariants, judged by the twins' contacts, the database file and the provider's books, not by what we say."""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.house import House
from controller.core.state import OutletPhase, Phase, Rules, Session
from simulators.provider_books import Books
from simulators.twins.contact import Fault
from simulators.world_dead import Dead
from simulators.world_devices import Spot
from simulators.world_ground import Watch
from simulators.world_limits import Limits
from simulators.world_pauses import Pauses
from simulators.world_sql import Ledger

SLACK_S = 6.0
LATE_S = 26.0  # what the weather may hold a message back
LIVE = (Phase.OPENING, Phase.CHARGING, Phase.SUSPENDED)
MEASURED = ("measured",)
UNMEASURED = ("none", "lease_expired", "never_on")  # nobody says that nothing flows: it may be welded, or somebody's ON
OFF_S = 12.0  # over a sound link; one report is 10 s
GUARD_S = 60.0  # a few reports: the guard needs two


class Opened:
    """What was true when a session came to be."""

    def __init__(self, session: Session, spot: Spot, now_s: float, visit: int) -> None:
        self.session = session
        self.truth_wh = spot.truth_wh()
        self.now_s = now_s
        self.at = spot.device.at
        self.visit = visit  # of whoever pays for it
        self.claimed = False  # they have said that whatever stands there is theirs


class Checks(Watch):
    """Collects violations, each one line."""

    def __init__(self, clock: HandClock, database: Path, spots: Mapping[str, Spot], books: Books, rules: Rules) -> None:
        self.violations: list[str] = []
        self.stop_reasons: dict[str, int] = {}
        self.opened: dict[str, Opened] = {}
        self.energised = 0
        self.house: House | None = None  # None while no gateway lives
        self.disturbed_s = -1e9  # when anything last stood between a socket and a sound gateway
        self.disk_away_s = -1e9
        self.muddled_s = -1e9  # when messages or memory were last lost, so that nobody can have seen all that happened
        self.long = False
        self.visits: dict[str, int] = {}  # whose visit pays for a session, where that is known before
        self._clock = clock
        self._database = database
        self._spots = spots
        self._books = books
        self._rules = rules
        self.limits = Limits(self, spots, rules)
        self.pauses = Pauses(self, spots, rules)
        self.dead = Dead(self, spots, rules)
        self._ledger: Ledger | None = None
        self._money_moved = False
        self._said: set[str] = set()
        self._acked: list[tuple[ev.Event, Mapping[str, Any]]] = []

    @property
    def now_s(self) -> float:
        return self._clock.now().steady_s

    @property
    def ledger(self) -> Ledger:
        if self._ledger is None:
            self._ledger = Ledger(self._database)
        return self._ledger

    def violated(self, what: str, about: str) -> None:
        """Once for each kind and thing: what is wrong stays wrong at every step."""
        if f"{what}|{about}" not in self._said:
            self._said.add(f"{what}|{about}")
            self.violations.append(f"{what}: {about} at {self.now_s:.1f} s")

    # -- what passes the gates ------------------------------------------------------------------------------------

    def switched_on(self, order: fx.SwitchOn, generation: int, passed: bool) -> None:
        if not passed:
            return
        self.energised += 1
        self.limits.switched_on(order.outlet, self.house)
        self.pauses.switched_on(order, self.house)
        if order.generation != generation:
            self.violated("ON of another generation", order.outlet)
        if not self.ledger.may_be_on(order.outlet):
            self.violated("ON before its session was on disk", order.outlet)

    def renewed(self, order: fx.Renew, generation: int, passed: bool, in_step: bool) -> None:
        if not passed:
            return
        if order.generation != generation:
            self.violated("renewal of another generation", order.outlet)
        if not in_step:
            self.violated("renewal not from step", order.outlet)
        if not self._asked_for(order.outlet):
            self.violated("renewal without a session", order.outlet)
        seen = self.house.seen[order.outlet] if self.house is not None else None
        live = self.house.sessions.get(order.outlet) if self.house is not None else None
        if seen is not None and live is not None and self.now_s - max(seen.reading_s, live.since_s) > 61.0:
            self.violated("renewal of a silent outlet", order.outlet)

    def energised_by_nobody(self, address: str) -> None:
        self.violated("energised past the gate", address)

    # -- whose it is ----------------------------------------------------------------------------------------------

    def visit_of(self, session: str) -> int | None:
        opened = self.opened.get(session)
        return self.visits.get(session) if opened is None else opened.visit

    def claims(self, session: str, mine: bool) -> None:
        """Somebody says so in its payer's name; if it is a lie, it is their own."""
        if mine and session in self.opened:
            self.opened[session].claimed = True

    # -- rows on disk ---------------------------------------------------------------------------------------------

    def committed(self, rows: Iterable[fx.Effect]) -> None:
        for row in rows:
            if isinstance(row, fx.Post):
                self._money_moved = True
            elif isinstance(row, fx.SaveSession):
                self._session(row.session)
            else:
                self.dead.saved(row)

    def _session(self, session: Session) -> None:
        spot = self._spots[session.outlet]
        if session.id not in self.opened:
            visit = self.visits.get(session.id, spot.plugs.visit)
            self.opened[session.id] = Opened(session, spot, self.now_s, visit)
        self.pauses.saved(session)
        if session.phase is Phase.SETTLED:
            self.stop_reasons[str(session.reason)] = self.stop_reasons.get(str(session.reason), 0) + 1
            self._settled(session, self.opened[session.id], spot)

    def _settled(self, session: Session, opened: Opened, spot: Spot) -> None:
        who = f"{session.id} ({session.reason}, {session.proof})"
        billed_wh = _billed_wh(session)
        truth_wh = spot.truth_wh() - opened.truth_wh
        if billed_wh > truth_wh + 1.0:
            self.violated("billed more than was metered", f"{who} {billed_wh} of {truth_wh:.2f} Wh")
        sees = Fault.METER_STUCK not in spot.faults
        if sees and session.proof not in UNMEASURED and spot.drawn_w() >= self._rules.no_power_w:
            self.violated("believed off while power flows", f"{who} {spot.drawn_w():.0f} W")
        if session.started_at is None and session.returned_fen != session.hold_fen:
            self.violated("a charge that never began cost money", who)
        exact = session.proof in MEASURED and session.started_at is not None and spot.meter_odd_s < opened.now_s
        known = session.pause is None  # of what was in doubt nothing is billed
        if exact and known and billed_wh < truth_wh - 1.5 and session.returned_fen > 0:
            self.violated("billed less than was metered", f"{who} {billed_wh} of {truth_wh:.2f} Wh")
        self.pauses.settled(session, opened, spot, billed_wh, truth_wh)

    # -- every step -----------------------------------------------------------------------------------------------

    def look(self) -> None:
        for spot in self._spots.values():
            spot.look(self.house is not None)
            self._power(spot)
            self._welded(spot)
            self._overload(spot)
        self.limits.look(self.house)
        self.pauses.look(self.house)
        self.dead.look()
        if self._money_moved:
            self._money_moved = False
            self.money()

    def _asked_for(self, outlet: str) -> bool:
        if self.house is None or outlet not in self.house.outlets:
            return False
        live = self.house.sessions.get(outlet)
        return (live is not None and live.phase in LIVE) or self.house.outlets[outlet].phase is OutletPhase.PROVING

    def _power(self, spot: Spot) -> None:
        if not spot.powered or Fault.WELDED in spot.faults or self._asked_for(spot.outlet):
            spot.lit_unasked_s = None
            return
        spot.lit_unasked_s = spot.lit_unasked_s if spot.lit_unasked_s is not None else self.now_s
        if self.now_s - spot.lit_unasked_s > self._rules.lease_s + SLACK_S + LATE_S:
            self.violated("powered beyond its lease", spot.outlet)
        sound = self.house is not None and spot.outlet in self.house.outlets and not spot.faults
        if sound and self.now_s - max(spot.lit_unasked_s, self.disturbed_s) > OFF_S:
            self.violated("OFF took its time", spot.outlet)

    def _welded(self, spot: Spot) -> None:
        """Alarmed and latched in time; only what can be seen from a sound gateway over a sound link counts."""
        bare = Fault.WELDED in spot.faults and not self._asked_for(spot.outlet) and spot.drawn_w() >= 4.0
        if not bare or self.house is None or spot.outlet not in self.house.outlets:
            spot.welded_s = None
            return
        spot.welded_s = max(spot.welded_s or self.now_s, self.disturbed_s, self.disk_away_s)
        since_s = self.now_s - spot.welded_s
        if since_s > self._rules.proof_s + SLACK_S + 30.0:
            if self.house.outlets[spot.outlet].latch is None:
                self.violated("welded and not latched", spot.outlet)
            if not self.ledger.alarmed(spot.outlet):
                self.violated("welded and no alarm", spot.outlet)

    def _overload(self, spot: Spot) -> None:
        live = self.house.sessions.get(spot.outlet) if self.house is not None else None
        over = spot.powered and spot.drawn_w() > self._rules.outlet_w and not spot.device.odd
        if not over or live is None or live.phase not in LIVE:
            spot.over_s = None
            return
        spot.over_s = max(spot.over_s or self.now_s, self.disturbed_s)
        if self.now_s - spot.over_s > GUARD_S:
            self.violated("overload not cut", f"{spot.outlet} {spot.drawn_w():.0f} W")

    # -- the money ------------------------------------------------------------------------------------------------

    def money(self) -> None:
        try:
            sums = self.ledger.sums()
        except sqlite3.Error as error:
            self.violated("ledger unreadable", str(error))
            return
        for what in sums.wrong():
            self.violated("ledger", what)
        if sums.captured_fen > self._books.captured_fen:
            self.violated("ledger", f"took {sums.captured_fen} fen, provider says {self._books.captured_fen}")
        if sums.refunded_fen > self._books.refunded_fen:
            self.violated("ledger", f"gave back {sums.refunded_fen} fen, provider says {self._books.refunded_fen}")
        owed_fen = self.ledger.due_fen()
        if sums.of("refund_due") != owed_fen:
            self.violated("ledger", f"{sums.of('refund_due')} fen are due back, the refunds are {owed_fen}")
        for session in self.ledger.settled_holding():
            self.violated("a settled session holds money", session)

    # -- asks, lives and the end ----------------------------------------------------------------------------------

    def asking(self, event: ev.Event) -> None:
        self.dead.asking(event)

    def acknowledged(self, event: ev.Event, body: Mapping[str, Any]) -> None:
        self._acked.append((event, body))

    def reborn(self, house: House) -> None:
        """Whatever was live on disk lives on in memory."""
        self.house = house
        self.pauses.reborn()
        for session, outlet in self.ledger.live():
            if outlet not in house.sessions or house.sessions[outlet].id != session:
                self.violated("forgotten at a restart", session)
        self.kept()

    def kept(self) -> None:
        """What was answered is on disk."""
        for event, body in self._acked:
            if not self.ledger.keeps(event, body):
                self.violated("acknowledged and lost", f"{type(event).__name__} {getattr(event, 'key', '')}")

    def at_the_end(self) -> None:
        """After everything was mended and all time given: nothing may be left open."""
        self.money()
        self.kept()
        for session, _ in self.ledger.live():
            self.violated("session without an end", session)
        for outlet in self.ledger.crowded():
            self.violated("two live sessions", outlet)
        for what in self.ledger.left_over():
            self.violated("left over", what)
        sums = self.ledger.sums()
        if sums.captured_fen != self._books.captured_fen:
            self.violated("books", f"took {sums.captured_fen} fen, provider says {self._books.captured_fen}")
        if sums.refunded_fen != self._books.refunded_fen:
            self.violated("books", f"gave back {sums.refunded_fen} fen, provider says {self._books.refunded_fen}")
        for what in self.ledger.chain_broken():
            self.violated("audit", what)

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()


def _billed_wh(session: Session) -> int:
    if session.bill is None:
        return 0
    return sum(line.wh for line in session.bill.lines if line.kind == "energy")
