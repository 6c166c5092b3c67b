"""What must hold of charges in doubt (bounds of pauses and probes, the stagger, who pays), and of ordinary ones."""

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING

from controller.core import effects as fx
from controller.core.due import is_dark
from controller.core.house import House
from controller.core.load import Feeder
from controller.core.reasons import StopReason
from controller.core.state import Phase, Rules, Session, Why
from simulators.battery import Battery
from simulators.world_devices import Spot

if TYPE_CHECKING:
    from simulators.world_checks import Checks, Opened

LATE_S = 60.0  # reports, rows and repeats on their way
SOC_LEAST = 0.8
DANGERS = (
    StopReason.OVERLOAD,
    StopReason.OVERHEAT,
    StopReason.OVER_VOLTAGE,
    StopReason.UNDER_VOLTAGE,
    StopReason.NEVER_TURNED,
    StopReason.NOT_A_CHARGER,
    StopReason.LEAKAGE,
    StopReason.FUSE_BLOWN,
    StopReason.METER_FAULT,
)


class Pauses:
    """Sees each row of a session as it comes onto the disk, and the contacts at every step."""

    def __init__(self, checks: "Checks", spots: Mapping[str, Spot], rules: Rules) -> None:
        self.reached: dict[str, int] = {}
        self._checks = checks
        self._spots = spots
        self._rules = rules
        self._bounds = {
            Why.AWAY: rules.silent_s,
            Why.MAINS: rules.resume_max_s,
            Why.PLUG: rules.plug_answer_s,
            Why.EMPTY: rules.removal_window_s - rules.removal_s,
            Why.PROBE: rules.probe_wait_s,
        }
        self._rows: dict[str, Session] = {}
        self._dark_s: dict[str, float] = {}
        self._probed: dict[str, int] = {}
        self._lit_s: dict[str, float] = {}  # how long each probe has had power, in all its tries
        self._looked_s = 0.0
        self._over_s: dict[str, float] = {}
        self._on_s: float | None = None  # when (steady) the last resumption was decided, in this life

    # -- rows -----------------------------------------------------------------------------------------------------

    def saved(self, session: Session) -> None:
        before = self._rows.get(session.id)
        self._rows[session.id] = session
        if session.phase is Phase.SETTLED:
            for known in (self._rows, self._dark_s, self._lit_s):
                known.pop(session.id, None)
        elif is_dark(session):
            self._darkened(session, before)
        else:
            self._dark_s.pop(session.id, None)

    def _darkened(self, session: Session, before: Session | None) -> None:
        why = _why(session)
        if before is not None and is_dark(before) and _why(before) is why:
            return
        self._dark_s[session.id] = self._checks.now_s
        self.reached[str(why)] = self.reached.get(str(why), 0) + 1
        if why is Why.PROBE and (before is None or _why(before) is not Why.PROBE):
            self._lit_s.pop(session.id, None)  # a probe of its own, also of what was on trial for another reason
        if why is Why.PROBE and (before is None or before.pause is None):
            self._probed[session.id] = self._probed.get(session.id, 0) + 1
            if self._probed[session.id] > self._rules.probes_max:
                self._checks.violated("probed too often", session.id)

    # -- what passes ----------------------------------------------------------------------------------------------

    def reborn(self) -> None:
        self._on_s = None

    def switched_on(self, order: fx.SwitchOn, house: House | None) -> None:
        """Who goes on keeps the stagger, by when it was decided; what a commit has held back may leave at once."""
        live = house.sessions.get(order.outlet) if house is not None else None
        if live is None or live.started_at is None or live.phase is not Phase.OPENING:
            return
        decided_s = order.expires_s - self._rules.on_expires_s
        if self._on_s is not None and 0.0 <= decided_s - self._on_s < self._rules.stagger_s - 0.01:
            self._checks.violated("resumed without the stagger", f"{live.id} {decided_s - self._on_s:.2f} s after")
        self._on_s = decided_s

    # -- every step -----------------------------------------------------------------------------------------------

    def look(self, house: House | None) -> None:
        if house is None:
            return
        for live in house.sessions.values():
            if live.id in self._dark_s:
                self._ends(live)
            if live.pause is not None and live.pause.why is Why.PROBE and live.phase in (Phase.OPENING, Phase.CHARGING):
                self._probe(live)

        self._looked_s = self._checks.now_s
        for key, feeder in house.grid.feeders.items():
            self._reserves(key, feeder, house)

    def _reserves(self, key: str, feeder: Feeder, house: House) -> None:
        """What is proven dark takes no room under a limit; the sums follow within a moment."""
        most_w = sum(self._most_w(house, outlet) for outlet in feeder.outlets)
        if feeder.limit_w is None or feeder.reserved_w <= most_w:
            self._over_s.pop(key, None)
        elif self._checks.now_s - self._over_s.setdefault(key, self._checks.now_s) > LATE_S:
            self._checks.violated("what is dark takes room", f"{feeder.reserved_w} of {most_w} W of {key}")

    def _most_w(self, house: House, outlet: str) -> int:
        live, drawn_w = house.sessions.get(outlet), ceil(house.seen[outlet].power_w or 0.0)
        if live is not None and is_dark(live) and live.proof is not None:
            return drawn_w
        return max(drawn_w, ceil(self._rules.outlet_w * (1 + self._rules.headroom)))

    def _ends(self, live: Session) -> None:
        if not is_dark(live):
            return
        why, spot = _why(live), self._spots[live.outlet]
        broken = spot.faults or spot.device.odd or spot.device.dark_s is not None
        since_s = max(self._dark_s[live.id], self._checks.disturbed_s, self._checks.disk_away_s)
        bound_s = self._bounds[why] + LATE_S + (self._rules.proof_s if broken else 0.0)
        if self._checks.now_s - since_s > bound_s:
            self._checks.violated("a pause without an end", f"{live.id} ({why})")

    def _probe(self, live: Session) -> None:
        """It has its minute of power, and not many of them: one that the mains or a restart has cut short begins anew.

        What counts is the time with power. Between two tries it may wait in the line for as long as others do.
        """
        if not self._spots[live.outlet].powered:
            return
        passed_s = self._checks.now_s - self._looked_s
        afresh = self._checks.disturbed_s >= self._looked_s
        lit_s = self._lit_s[live.id] = 0.0 if afresh else self._lit_s.get(live.id, 0.0) + passed_s
        if lit_s > 2 * self._rules.probe_s + self._rules.on_confirm_s + LATE_S:
            self._checks.violated("a probe without an end", live.id)

    # -- the end of a charge --------------------------------------------------------------------------------------

    def settled(self, session: Session, opened: "Opened", spot: Spot, billed_wh: int, truth_wh: float) -> None:
        strange_wh = spot.plugs.of_strangers_wh(opened.visit, opened.at)
        undisturbed = self._checks.muddled_s < opened.now_s and spot.meter_odd_s < opened.now_s
        own_wh = truth_wh - strange_wh
        if undisturbed and not opened.claimed and billed_wh > own_wh + 1.5:
            self._checks.violated("pays for another's charge", f"{session.id} {billed_wh} of {own_wh:.2f} Wh")
        self._swapped(session, opened, spot, billed_wh, own_wh, undisturbed)
        calm = undisturbed and self._checks.disturbed_s < opened.now_s and spot.odd_at < opened.at
        if calm and session.started_at is not None:
            self._ordinary(session, opened, spot)

    def _swapped(
        self, session: Session, opened: "Opened", spot: Spot, billed_wh: int, own_wh: float, undisturbed: bool
    ) -> None:
        """Billed is all that the payer's bike drew before there was a doubt.

        Not always all before the swap: whose power fails, and who is gone before the trial after it is over, was not
        known for the same again. The first doubt's meter stands, for nobody saw whether the swap was in that dark.
        """
        sure_wh = spot.plugs.sure_wh(opened.visit, opened.at)
        swap = session.reason is StopReason.PLUG_SWAPPED and not opened.claimed
        if sure_wh is None or not swap or not undisturbed or session.returned_fen <= 0:
            return
        least_wh = min(own_wh, sure_wh - opened.truth_wh)
        if billed_wh < least_wh - 2.5:
            self._checks.violated("billed less than before the swap", f"{session.id} {billed_wh} of {least_wh:.2f} Wh")

    def _ordinary(self, session: Session, opened: "Opened", spot: Spot) -> None:
        """One usual pack all the time, and nothing else has happened."""
        stood = spot.plugs.alone_since(opened.visit, opened.at)
        if stood is None or not isinstance(stood.load, Battery) or self._checks.long:
            return
        crowded = session.reason is StopReason.OVERLOAD and "over_s" not in session.evidence  # of its site, not its own
        if session.reason in DANGERS and not crowded:
            self._checks.violated("an ordinary charge was taken for a danger", f"{session.id} {session.reason}")
        early = session.reason is StopReason.FINISHED and stood.load.soc < SOC_LEAST
        if early and session.pause is None and not session.probes:
            self._checks.violated("cut before it was full", f"{session.id} at {stood.load.soc:.0%}")
        wished = session.stop_at < 100 and stood.load.tapers and stood.since_s <= opened.at
        if session.reason is StopReason.FINISHED and wished:
            self._checks.violated("went on to be full", f"{session.id} of {session.stop_at} %")


def _why(session: Session) -> Why:
    return Why.AWAY if session.pause is None else session.pause.why
