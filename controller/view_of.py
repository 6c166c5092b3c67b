"""What others see: each outlet's view, made from the decider's memory, and the gateway's health."""

from msgspec.structs import replace

from controller.core.events import Stamp
from controller.core.house import House
from controller.core.state import Outlet, Seen, Session
from controller.core.tariff import bill, used
from controller.views import Board, Health, View

HEALTH_S = 1.0  # it counts every outlet, so not at every step


class Shown:
    """Puts on the board, once a step, what has changed since the last."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._changed: set[str] = set()
        self._health_s = -HEALTH_S

    def changed(self, outlet_id: str) -> None:
        self._changed.add(outlet_id)

    def show(self, house: House, now: Stamp, clock_trusted: bool, database_away_s: float) -> None:
        for outlet_id in self._changed:
            self._board.put(view_of(house, outlet_id, now))
        self._changed.clear()
        if now.steady_s - self._health_s >= HEALTH_S or self._health_s > now.steady_s:
            self._health_s = now.steady_s
            down = sum(1 for seen in house.seen.values() if not seen.linked)
            live = len(house.sessions)
            self._board.health = Health(clock_trusted, database_away_s, live, down, now.at, now.steady_s)


def view_of(house: House, outlet_id: str, now: Stamp) -> View:
    view = _idle(house.outlets[outlet_id], house.seen[outlet_id], now)
    view = replace(view, reader=outlet_id in house.readers)
    live = house.sessions.get(outlet_id)
    return view if live is None else _with_session(view, house, live, now)


def _idle(outlet: Outlet, seen: Seen, now: Stamp) -> View:
    return View(
        outlet=outlet.id,
        number=outlet.number,
        site=outlet.site,
        pile=outlet.pile,
        phase=str(outlet.phase),
        lease_class=outlet.lease_class,
        linked=seen.linked,
        latch=outlet.latch,
        locked_by=outlet.locked_by,
        power_w=seen.power_w,
        relay_on=seen.relay_on,
        reading_at=now.at - (now.steady_s - seen.reading_s) if seen.reading_s > 0 else None,
        proving_step=outlet.proving.step if outlet.proving is not None else None,
        failed=outlet.failed,
    )


def _with_session(view: View, house: House, live: Session, now: Stamp) -> View:
    return replace(
        view,
        session=live.id,
        session_phase=str(live.phase),
        party=live.party,
        order=live.order,
        secret_hash=house.secrets.get(live.order or ""),
        reason=None if live.reason is None else str(live.reason),
        opened_at=live.opened_at,
        started_at=live.started_at,
        used_wh=live.meter.used_wh,
        cost_fen=min(live.hold_fen, bill(live.tariff, used(live.meter)).total_fen),
        hold_fen=live.hold_fen,
        max_s=live.max_s,
        lease_left_s=_lease_left_s(live, now),
    )


def _lease_left_s(live: Session, now: Stamp) -> float | None:
    if live.renewed_s is None or live.reason is not None:
        return None
    return max(0.0, live.renewed_s + live.lease_s - now.steady_s)
