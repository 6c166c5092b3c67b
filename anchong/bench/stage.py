"""One subject under measurement: a child process on a copy of a prepared database, and what it says of itself."""

import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anchong.bench.ground import Ground, NoGround
from anchong.bench.subject import Start
from simulators.tally import Tally

START_S = 180.0
LOOK_S = 0.05


class Stage:
    """Starts when made; `close` returns what the subject said last, after everything was written."""

    def __init__(
        self,
        at: Ground,
        kind: str,
        outlets: int,
        template: Path | None = None,
        sample_s: float = 30.0,
        web_port: int = 0,
        traced: bool = False,
        url: str = "",
    ) -> None:
        """On a copy of `template`, or on the database at `url`."""
        self.folder = at.folder / f"{kind}-{time.monotonic_ns()}"
        self.folder.mkdir()
        self.tally = self.folder / "tally"
        Tally(self.tally, fresh=True).close()
        self.database = self.folder / "bench.sqlite3"
        self._rows_before = 0
        if template is not None:
            shutil.copy(template, self.database)
            self._rows_before = self._counted()
        self._at = at
        url = url or f"sqlite:///{self.database}"
        self._start = Start(kind, at.port, outlets, str(self.tally), url, sample_s, web_port, traced)
        self.launch()

    def launch(self) -> None:
        """A process on this database, again after the one before was killed."""
        self.subject = self._at.child("anchong.bench.subject_child")
        self.subject.ask(self._start, START_S)

    def state(self) -> dict[str, Any]:
        return self.subject.ask("state", START_S)

    def size(self) -> dict[str, Any]:
        """With `rss`, `traced`, `written` (bytes) and `files`; Linux alone can say."""
        if not Path("/proc/self/io").exists():
            raise NoGround("this figure is read from /proc, which this system does not have")
        return self.subject.ask("size", START_S)

    def until(self, true: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        end_s = time.monotonic() + START_S
        while not true(state := self.state()):
            if time.monotonic() > end_s:
                raise NoGround(f"{what}: {state}")
            time.sleep(LOOK_S)
        return state

    def linked(self) -> None:
        self.until(lambda state: state["linked"], "the broker was not reached")

    def close(self) -> dict[str, Any]:
        state = self.state()
        self.subject.stop(START_S)
        return state

    def rows(self) -> int:
        """Sample rows written since, counted by SQL."""
        return self._counted() - self._rows_before

    def _counted(self) -> int:
        db = sqlite3.connect(self.database)
        (count,) = db.execute("SELECT count(*) FROM sample").fetchone()
        db.close()
        return int(count)
