"""The feed: what happened, in the order of the commits. Written with the batch it tells of, kept a while in memory.

Ids count up by one and are never used twice, so "after 41" names one place for ever, across restarts as well.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, insert, select
from sqlmodel import col

from controller import tables as t
from controller.core import effects as fx
from controller.core.feed import Alarmed, Before, Told, told
from controller.core.state import Outlet, Session

KEEP_S = 30 * 86_400.0  # a receiver that is down for longer has to read the lists anew
KEEP_ROWS = 500_000  # some 200 MB; a site of a thousand outlets makes them in about a month
PRUNE_EVERY, PRUNE_MOST = 256, 2_000  # so that a commit never waits for a long delete
RING = 4_096


class Kept(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """One event with its place, as it is sent to others."""

    id: int
    at: float
    kind: str
    site: str
    outlet: str | None
    session: str | None
    data: dict[str, Any]

    @cached_property
    def json(self) -> bytes:
        return msgspec.json.encode(self)


class Feed:
    """The newest events in memory, and a bell for whoever follows. `add` is the writer's, the rest is anybody's."""

    def __init__(self, newest: int | None = None, keep: int = RING) -> None:
        self._lock = threading.Lock()
        self._ring: deque[Kept] = deque(maxlen=keep)
        self._from = newest  # the ring has everything after this id; None: nobody has told us what the disk holds
        self._bells: tuple[Callable[[], None], ...] = ()

    @property
    def newest(self) -> int | None:
        with self._lock:
            return self._ring[-1].id if self._ring else self._from

    def add(self, kept: Iterable[Kept]) -> None:
        new = tuple(kept)
        if not new:
            return
        with self._lock:
            if self._from is None:
                self._from = new[0].id - 1
            overflow = len(self._ring) + len(new) - (self._ring.maxlen or 0)
            self._ring.extend(new)
            if overflow > 0:
                self._from = self._ring[0].id - 1
        self.ring()

    def unsure(self) -> None:
        """A commit whose answer was lost may have told something: until the next `add` the disk knows better."""
        with self._lock:
            self._ring.clear()
            self._from = None
        self.ring()

    def after(self, place: int, most: int = RING) -> list[Kept] | None:
        """At most the next `most` events after `place`; None where only the disk can say."""
        with self._lock:
            if self._from is None or place < self._from:
                return None
            skip = max(0, place - self._from)
            return [self._ring[i] for i in range(skip, min(len(self._ring), skip + most))]

    # -- the bell -------------------------------------------------------------------------------------------------

    def listen(self, bell: Callable[[], None]) -> None:
        """`bell` is called after each commit with news, on the writer's thread: it must not wait."""
        with self._lock:
            self._bells = (*self._bells, bell)

    def unlisten(self, bell: Callable[[], None]) -> None:
        with self._lock:
            self._bells = tuple(other for other in self._bells if other != bell)

    def ring(self) -> None:
        for bell in self._bells:
            bell()


# -- on disk ------------------------------------------------------------------------------------------------------


def fed(db: Connection, rows: Iterable[fx.Effect], at: float) -> tuple[Kept, ...]:
    """Writes into the feed what these rows tell; called before they are written themselves."""
    look = _Look(db, at)
    news = [event for row in rows for event in told(row, look.before(row))]
    if not news:
        return ()
    newest = newest_on(db)
    kept = tuple(_kept(newest + 1 + number, event) for number, event in enumerate(news))
    db.execute(insert(t.Feed), [_row(event) for event in kept])
    if (newest + len(kept)) // PRUNE_EVERY != newest // PRUNE_EVERY:
        prune(db, kept[-1].id, at)
    return kept


def newest_on(db: Connection) -> int:
    return db.scalar(select(func.max(col(t.Feed.id)))) or 0


def prune(db: Connection, newest: int, at: float) -> None:
    """The oldest that are too old or too many; never the newest, from which the next id is counted."""
    old = (col(t.Feed.id) <= newest - KEEP_ROWS) | ((col(t.Feed.at) < at - KEEP_S) & (col(t.Feed.id) < newest))
    oldest = select(col(t.Feed.id)).where(old).order_by(col(t.Feed.id)).limit(PRUNE_MOST)
    db.execute(delete(t.Feed).where(col(t.Feed.id).in_(oldest.scalar_subquery())))


def _kept(number: int, event: Told) -> Kept:
    return Kept(
        id=number,
        at=event.at,
        kind=event.kind,
        site=event.site,
        outlet=event.outlet,
        session=event.session,
        data=event.data,
    )


def _row(event: Kept) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": event.at,
        "kind": event.kind,
        "site_id": event.site,
        "outlet_id": event.outlet,
        "session_id": event.session,
        "body": event.data,
    }


class _Look:
    """What stood on disk before each row, the batch's own earlier rows counted in."""

    def __init__(self, db: Connection, at: float) -> None:
        self._db = db
        self._at = at
        self._nothing = Before(at=at)
        self._sessions: dict[str, Session] = {}
        self._outlets: dict[str, Outlet] = {}
        self._known: set[tuple[str, str]] = set()

    def before(self, row: fx.Effect) -> Before:
        look = _LOOK.get(type(row))
        return self._nothing if look is None else look(self, row)

    def _of_session(self, row: fx.SaveSession) -> Before:
        """A moment is told with the session that was saved with it."""
        self._sessions[row.session.id] = row.session
        return self._nothing

    def _of_moment(self, row: fx.Moment) -> Before:
        return Before(at=self._at, session=self._sessions.get(row.session))

    def _of_outlet(self, row: fx.SaveOutlet) -> Before:
        old = self._outlets.get(row.outlet.id)
        if old is None:
            state = self._db.scalar(select(col(t.Outlet.state)).where(col(t.Outlet.id) == row.outlet.id))
            old = None if state is None else msgspec.json.decode(state, type=Outlet)
        self._outlets[row.outlet.id] = row.outlet
        return Before(at=self._at, outlet=old)

    def _of_refund(self, row: fx.SaveRefund) -> Before:
        place = select(col(t.ChargeOrder.site_id), col(t.ChargeOrder.outlet_id))
        found = self._db.execute(place.where(col(t.ChargeOrder.id) == row.refund.order)).first()
        return Before(at=self._at, place=None if found is None else (found[0], found[1]))

    def _of_alarm(self, row: fx.RaiseAlarm) -> Before:
        return Before(at=self._at, known=self._was(t.Alarm, row.id))

    def _of_clearing(self, row: fx.ClearAlarms) -> Before:
        open_ones = (col(t.Alarm.outlet_id) == row.outlet) & col(t.Alarm.cleared_at).is_(None)
        if row.kind:
            open_ones &= col(t.Alarm.kind) == row.kind
        columns = (col(t.Alarm.id), col(t.Alarm.kind), col(t.Alarm.site_id))
        found = self._db.execute(select(*columns).where(open_ones).order_by(col(t.Alarm.at)))
        return Before(at=self._at, alarms=tuple(Alarmed(*alarm) for alarm in found))

    def _of_put(self, row: fx.Put) -> Before:
        return Before(at=self._at, known=row.table != "pile" or self._was(t.Pile, str(row.values["id"])))

    def _was(self, table: Any, key: str) -> bool:
        if (table.__tablename__, key) in self._known:
            return True
        self._known.add((table.__tablename__, key))
        return self._db.scalar(select(table.id).where(table.id == key)) is not None


_LOOK: dict[type, Callable[[_Look, Any], Before]] = {
    fx.SaveSession: _Look._of_session,
    fx.Moment: _Look._of_moment,
    fx.SaveOutlet: _Look._of_outlet,
    fx.SaveRefund: _Look._of_refund,
    fx.RaiseAlarm: _Look._of_alarm,
    fx.ClearAlarms: _Look._of_clearing,
    fx.Put: _Look._of_put,
}
