"""The one pen: batches in order, each a transaction; what may happen only after the commit happens here.

A commit that fails for want of the database is tried again with the same rows; nothing is decided twice. A constraint
that fails is our bug: it rises, and the gateway restarts from disk.
"""

import queue
import secrets
import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from controller.batches import Batch
from controller.core import effects as fx
from controller.feed import Feed, Kept
from controller.figures import DISK_S, Histogram
from controller.store import Store

log = structlog.get_logger()

AWAY = (OperationalError, InterfaceError, OSError)
RETRY_S = 0.5
TOLD = (fx.Wish, fx.Put, fx.Drop)  # rows that somebody acts upon once they are on disk


class Writer:
    """`release` gets every effect that had to wait for its commit; `committed` the batch, `feed` what it told."""

    def __init__(
        self,
        store: Store,
        release: Callable[[fx.Effect], None],
        committed: Callable[[Batch], None],
        feed: Feed | None = None,
    ) -> None:
        self._store = store
        self._feed = feed or Feed()
        self._release = release
        self._committed = committed
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._life = secrets.token_hex(4)  # numbers begin anew with each process; a read-back must not meet an old one
        self._tried: str | None = None
        self.failures = 0  # in a row
        self.away = 0  # failures in all
        self.rows = 0
        self.commit_s = Histogram(DISK_S)

    def write(self, batch: Batch) -> None:
        """Raises one of AWAY if the database is not there; then the same batch must be written again."""
        kept: tuple[Kept, ...] | None = ()
        if batch.rows:
            kept = None if self._already_in(batch) else self._commit(batch)
        self._tried = None
        self._committed(batch)
        self._let_go(batch)
        self._tell(kept)

    def _commit(self, batch: Batch) -> tuple[Kept, ...]:
        self._tried = batch.number
        began_s = time.perf_counter()
        kept = self._store.write(self._number(batch), batch.rows, batch.at)
        self.commit_s.observe(time.perf_counter() - began_s)
        self.rows += len(batch.rows)
        return kept

    def _tell(self, kept: "tuple[Kept, ...] | None") -> None:
        """Last: power, answers and errands come before whoever only follows."""
        if kept is None:
            self._feed.unsure()
        else:
            self._feed.add(kept)

    def _already_in(self, batch: Batch) -> bool:
        """After a lost answer the database itself says whether the commit happened."""
        return self._tried == batch.number and self._store.last_batch() == self._number(batch)

    def _number(self, batch: Batch) -> str:
        return f"{batch.number}:{self._life}"

    def _let_go(self, batch: Batch) -> None:
        for effect in batch.after:
            self._release(effect)
        for row in batch.rows:
            if isinstance(row, TOLD):
                self._release(row)
        for answered in batch.answers:
            if not answered.future.done():
                answered.future.set_result(answered.body)

    # -- the writer's thread --------------------------------------------------------------------------------------

    def put(self, batch: Batch) -> None:
        self._queue.put(batch)

    def waiting(self) -> int:
        """Batches not yet begun."""
        return self._queue.qsize()

    def run(self, wait: Callable[[float], bool]) -> None:
        """Until `stop`; `wait(seconds)` returns True when there is no more time to wait."""
        while (batch := self._queue.get()) is not None:
            while not self._tried_to_write(batch):
                if wait(RETRY_S):
                    return

    def _tried_to_write(self, batch: Batch) -> bool:
        try:
            self.write(batch)
        except AWAY as error:
            self.failures += 1
            self.away += 1
            if self.failures % 20 == 1:
                log.warning("database away", error=str(error).splitlines()[0], batch=batch.number)
            return False
        self.failures = 0
        return True

    def stop(self) -> None:
        """After the batches that are already here."""
        self._queue.put(None)
