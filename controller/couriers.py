"""Hooks carried out: one courier a hook, each in a thread of its own, so a dead receiver delays nobody else.

A courier takes the next events from its place, and goes on only when the receiver has taken them: at least once,
in order. Its place goes through the one door into its slot of the outbox.
"""

import random
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from controller.clock import Clock, RealClock
from controller.core import events as ev
from controller.core.feed import KINDS
from controller.feed import Feed, Kept
from controller.follow import Follower
from controller.links import HookRow, Links
from controller.postman import Gap, Postman, Sent

log = structlog.get_logger()

BATCH = 100
BACK_OFF_S = (1.0, 5.0, 15.0, 60.0, 300.0)
FAILING_S = 3_600.0  # then it is marked and people are told; it is tried on, more rarely
FAILING_EVERY_S = 900.0
JITTER = 0.25
SAVE_S = 2.0  # its place is written at most so often: a crash in between sends a few events twice
IDLE_S = 60.0
DISK_S = 5.0

HELD_BACK = Sent(0, "whoever made it may no longer be told: somebody who may makes it anew")

Tell = Callable[[ev.Event], None]


class Standing(msgspec.Struct, frozen=True):
    """How it stands between us and a receiver, as far as this process knows."""

    tried_at: float | None = None
    taken_at: float | None = None
    status: int = 0
    why: str = ""
    failures: int = 0  # in a row
    failing_at: float | None = None


class _Batch(msgspec.Struct, frozen=True):
    """What is on its way: the same until it was taken."""

    events: list[Kept]
    upto: int
    gap: Gap | None


class Courier:
    """One hook's place and its next try. `turn` belongs to one thread."""

    def __init__(
        self, hook: HookRow, feed: Feed, links: Links, postman: Postman, clock: Clock, real: Clock, tell: Tell
    ) -> None:
        self.hook = hook
        self.standing = Standing(failing_at=hook.failing_at)
        self._links = links
        self._follower = Follower(feed, links, hook.kinds or KINDS, hook.sites or None)
        self._postman = postman
        self._clock = clock
        self._real = real
        self._tell = tell
        self._place = hook.after
        self._saved = hook.after
        self._saved_s = -SAVE_S
        self._batch: _Batch | None = None
        self._refused_s: float | None = None  # steady, of the first of the failures in a row

    @property
    def place(self) -> int | None:
        return self._place

    def turn(self) -> float:
        """One look and at most one delivery; the real seconds to rest unless there is news before."""
        try:
            batch = self._batch or self._next()
            if batch.events or batch.gap is not None:
                return self._deliver(batch)
        except SQLAlchemyError:
            return DISK_S  # ours, not the receiver's fault
        self._place = batch.upto
        return self._rest()

    def _next(self) -> _Batch:
        if self._place is None:
            self._place = self._begin()
        gap, oldest = None, self._follower.gap(self._place)
        if oldest is not None:
            gap, self._place = Gap(self._place, oldest + 1), oldest
        events, upto = self._follower.read(self._place, BATCH)
        return _Batch(events, upto, gap)

    def _begin(self) -> int:
        """From where it had got to before it was paused, or from when it was made."""
        row = self._links.hook(self.hook.id)
        return self._links.before(self.hook.at) if row is None or row.after is None else row.after

    def _deliver(self, batch: _Batch) -> float:
        self._batch = batch
        vouched = self._links.vouched(self.hook)
        sent = self._postman.send(self.hook, batch.events, batch.gap) if vouched else HELD_BACK
        return self._taken(batch, sent) if sent.taken else self._refused(sent)

    def _taken(self, batch: _Batch, sent: Sent) -> float:
        turned = self.standing.failing_at is not None
        at = self._real.now().at
        self.standing = Standing(tried_at=at, taken_at=at, status=sent.status)
        self._batch, self._refused_s, self._place = None, None, batch.upto
        if turned:
            log.info("hook works again", hook=self.hook.id)
            self._save(turned=True)
        return self._rest() if len(batch.events) < BATCH else 0.0

    def _refused(self, sent: Sent) -> float:
        now = self._real.now()
        self._refused_s = now.steady_s if self._refused_s is None else self._refused_s
        before = self.standing
        failing = before.failing_at is None and now.steady_s - self._refused_s >= FAILING_S
        self.standing = msgspec.structs.replace(
            before,
            tried_at=now.at,
            status=sent.status,
            why=sent.why,
            failures=before.failures + 1,
            failing_at=self._clock.now().at if failing else before.failing_at,
        )
        if failing:
            log.warning("hook is failing", hook=self.hook.id, status=sent.status, why=sent.why)
            self._save(turned=True)
        return self._again_s()

    def _again_s(self) -> float:
        tries = self.standing.failures - 1
        wait_s = BACK_OFF_S[min(tries, len(BACK_OFF_S) - 1)]
        if self.standing.failing_at is not None:
            wait_s = FAILING_EVERY_S
        return wait_s * (1.0 + JITTER * (2.0 * random.random() - 1.0))  # noqa: S311 - so that not all come at once

    def _rest(self) -> float:
        """Its place is kept now and then, also when only others were told something meanwhile."""
        if self._place == self._saved:
            return IDLE_S
        since_s = self._real.now().steady_s - self._saved_s
        if since_s < SAVE_S:
            return SAVE_S - since_s
        self._save()
        return IDLE_S

    def leave(self) -> None:
        """Called back: where it stands is worth a word."""
        if self._place != self._saved:
            self._save()

    def _save(self, turned: bool = False) -> None:
        if self._place is None:
            return
        self._saved, self._saved_s = self._place, self._real.now().steady_s
        now = self._clock.now()
        self._tell(
            ev.HookReached(
                at=now.at,
                steady_s=now.steady_s,
                hook=self.hook.id,
                site=self.hook.sites[0] if len(self.hook.sites) == 1 else "",
                after=self._place,
                failing_at=self.standing.failing_at,
                turned=turned,
                status=self.standing.status,
            )
        )


class _Round:
    """A courier on its way, until it is called back."""

    def __init__(self, courier: Courier) -> None:
        self.courier = courier
        self._rung = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"hook-{courier.hook.id[:8]}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ring(self) -> None:
        """News: soon enough for whoever rests, no reason to hurry for whoever was refused."""
        if self.courier.standing.failures == 0:
            self._rung.set()

    def _run(self) -> None:
        while not self._over.is_set():
            self._rung.clear()
            try:
                rest_s = self.courier.turn()
            except Exception:
                log.exception("courier stumbled", hook=self.courier.hook.id)
                rest_s = FAILING_EVERY_S
            self._rung.wait(rest_s)

    def call_back(self) -> None:
        self._over.set()
        self._rung.set()

    def join(self, within_s: float) -> None:
        self._thread.join(within_s)


class Couriers:
    """All hooks of this gateway. `changed` and `dropped` come after the commit of the hook's row."""

    def __init__(
        self, feed: Feed, links: Links, postman: Postman, clock: Clock, tell: Tell, real: Clock | None = None
    ) -> None:
        self._parts: tuple[Any, ...] = (feed, links, postman, clock, real or RealClock(), tell)
        self._feed = feed
        self._links = links
        self._lock = threading.Lock()
        self._rounds: dict[str, _Round] = {}
        self._started = False

    def start(self) -> None:
        """From the disk; raises what the database raises."""
        self._started = True
        self._feed.listen(self._ring)
        for hook in self._links.hooks():
            self._send_out(hook)

    def changed(self, values: dict[str, Any]) -> None:
        """A new hook begins, a changed one goes on from where it was."""
        before = self._called_back(str(values["id"]))
        if not self._started:
            return
        place = None if before is None else before.place
        failing_at = None if before is None else before.standing.failing_at
        self._send_out(msgspec.convert({**values, "after": place, "failing_at": failing_at}, HookRow))

    def dropped(self, hook: str) -> None:
        self._called_back(hook)

    def standing(self, hook: str) -> Standing:
        going = self._rounds.get(hook)
        return Standing() if going is None else going.courier.standing

    def counts(self) -> dict[str, int]:
        """How many receivers take what they are sent, and how many are marked as failing."""
        standings = [going.courier.standing for going in list(self._rounds.values())]
        failing = sum(standing.failing_at is not None for standing in standings)
        return {"taking": len(standings) - failing, "failing": failing}

    def _send_out(self, hook: HookRow) -> None:
        if hook.disabled:
            return
        going = _Round(Courier(hook, *self._parts))
        with self._lock:
            self._rounds[hook.id] = going
        going.start()

    def _called_back(self, hook: str) -> Courier | None:
        with self._lock:
            going = self._rounds.pop(hook, None)
        if going is None:
            return None
        going.call_back()
        going.courier.leave()
        return going.courier

    def _ring(self) -> None:
        for going in list(self._rounds.values()):
            going.ring()

    def stop(self, within_s: float = 1.0) -> None:
        """A letter under way is not waited for: it is sent again."""
        self._feed.unlisten(self._ring)
        with self._lock:
            rounds, self._rounds = list(self._rounds.values()), {}
        for going in rounds:
            going.call_back()
        for going in rounds:
            going.join(within_s)
