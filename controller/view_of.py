"""What others see: each outlet's view, made from the decider's memory, and the gateway's health."""

import msgspec
from msgspec.structs import replace

from controller.core.dead import why_dead
from controller.core.due import doubted_s
from controller.core.events import Stamp
from controller.core.house import House
from controller.core.load import in_tail, plateau_w
from controller.core.programme import Proving, lease_left_s, steps_of, todo
from controller.core.state import Outlet, Phase, Seen, Session
from controller.core.tariff import bill, used
from controller.views import Board, Health, Paused, View

HEALTH_S = 1.0  # it counts every outlet, so not at every step


class Shown:
    """Puts on the board, once a step, what has changed since the last."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._changed: set[str] = set()
        self._pending: set[str] = set()
        self._health_s = -HEALTH_S

    def changed(self, outlet_id: str) -> None:
        self._changed.add(outlet_id)
        self._pending.add(outlet_id)

    def read(self, outlet_id: str) -> None:
        """It shows other figures, and nothing follows from them."""
        self._changed.add(outlet_id)

    def pending(self) -> tuple[str, ...]:
        """What has changed in this step, but for those that were merely read."""
        return tuple(self._pending)

    def show(self, house: House, now: Stamp, clock_trusted: bool, database_away_s: float) -> None:
        for outlet_id in self._changed:
            self._board.show(outlet_id, glance_at(house, outlet_id, now))
        self._changed.clear()
        self._pending.clear()
        if now.steady_s - self._health_s >= HEALTH_S or self._health_s > now.steady_s:
            self._health_s = now.steady_s
            down = sum(1 for seen in house.seen.values() if not seen.linked)
            live = len(house.sessions)
            self._board.health = Health(clock_trusted, database_away_s, live, down, now.at, now.steady_s)


class Load(msgspec.Struct, frozen=True):
    """Of an outlet under a limit: its place in the line, and what it counts for."""

    place: int | None
    reserved_w: int


class Glimpse(msgspec.Struct, gc=False):
    """`views.Glance`: the values that a view is made of, taken at the end of one step."""

    known: Outlet
    seen: Seen
    live: Session | None
    load: Load | None
    reader: bool
    secret_hash: str | None
    now: Stamp
    dead: str | None = None
    made: View | None = None

    @property
    def pile(self) -> str:
        return self.known.pile

    @property
    def session(self) -> str | None:
        return None if self.live is None else self.live.id

    def view(self) -> View:
        """Made once; two who look at the same time may each make the same."""
        if self.made is None:
            self.made = _view(self)
        return self.made


def glance_at(house: House, outlet_id: str, now: Stamp) -> Glimpse:
    live = house.sessions.get(outlet_id)
    secret_hash = None if live is None else house.secrets.get(live.order or "")
    load = None if live is None else _load(house, outlet_id)
    reader = outlet_id in house.readers
    dead = why_dead(house, outlet_id)
    known, seen = house.outlets[outlet_id], house.seen[outlet_id]
    return Glimpse(known, seen, live, load, reader, secret_hash, now, None if dead is None else dead.code)


def _view(glimpse: Glimpse) -> View:
    live, now = glimpse.live, glimpse.now
    view = _idle(glimpse.known, glimpse.seen, now, glimpse.reader)
    view = view if glimpse.dead is None else replace(view, dead=glimpse.dead)
    if glimpse.known.proving is not None:
        view = _with_proving(view, glimpse.known.proving, now)
    if live is None:
        return view
    view = _with_session(view, glimpse.secret_hash, live, now)
    return view if glimpse.load is None else _with_load(view, glimpse.load, live)


def _load(house: House, outlet_id: str) -> Load | None:
    if outlet_id not in house.grid.limited:
        return None
    return Load(house.grid.place_of(outlet_id), house.grid.share_of(outlet_id).reserved_w)


def _with_load(view: View, load: Load, live: Session) -> View:
    finish = live.finish
    return replace(
        view,
        place=load.place,
        paused=live.again or (live.phase is Phase.QUEUED and live.started_at is not None),
        reserved_w=load.reserved_w,
        plateau_w=None if finish is None else plateau_w(finish),
        tail=finish is not None and in_tail(finish),
    )


def _idle(outlet: Outlet, seen: Seen, now: Stamp, reader: bool) -> View:
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
        failed=outlet.failed,
        failure=outlet.failure,
        reader=reader,
    )


def _with_proving(view: View, proving: Proving, now: Stamp) -> View:
    return replace(
        view,
        proving_step=proving.step,
        proving_steps=steps_of(proving.settings),
        proving_todo=todo(proving),
        proving_measured=proving.measured,
        lease_left_s=lease_left_s(proving, now.steady_s),
    )


def _with_session(view: View, secret_hash: str | None, live: Session, now: Stamp) -> View:
    return replace(
        view,
        session=live.id,
        session_phase=str(live.phase),
        party=live.party,
        order=live.order,
        secret_hash=secret_hash,
        reason=None if live.reason is None else str(live.reason),
        opened_at=live.opened_at,
        started_at=live.started_at,
        used_wh=live.meter.used_wh,
        cost_fen=min(live.hold_fen, bill(live.tariff, used(live.meter)).total_fen),
        hold_fen=live.hold_fen,
        max_s=live.max_s,
        stop_at=live.stop_at,
        lease_left_s=_lease_left_s(live, now),
        pause=_paused(live, now),
    )


def _paused(live: Session, now: Stamp) -> Paused | None:
    pause = live.pause
    if pause is None:
        return None
    at, counts_at = (now.at - (now.steady_s - since_s) for since_s in (pause.since_s, doubted_s(live)))
    cost_fen = min(live.hold_fen, bill(live.tariff, used(pause.meter)).total_fen)
    return Paused(str(pause.why), at, pause.meter.used_wh, cost_fen, pause.evidence, counts_at)


def _lease_left_s(live: Session, now: Stamp) -> float | None:
    if live.renewed_s is None or live.reason is not None:
        return None
    return max(0.0, live.renewed_s + live.lease_s - now.steady_s)
