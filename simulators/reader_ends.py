"""The other end of a card reader's port: a twin behind a pty or a pipe, for rehearsals without hardware."""

import os
import select
import threading
import time
import tty
from pathlib import Path
from typing import Protocol

CHUNK = 4096
TURN_S = 0.02


class ReaderTwin(Protocol):
    def hear(self, data: bytes, now_s: float) -> bytes: ...

    def advance(self, now_s: float) -> bytes: ...


class PtyEnd:
    """`path` is what the gateway opens: a serial device, or with `link` a name that outlives it, as by-id does."""

    def __init__(self, twin: ReaderTwin, link: Path | None = None) -> None:
        self.twin = twin
        self.link = link
        self._fds: tuple[int, int] | None = None
        self.path = ""
        self.plug_in()

    def plug_in(self) -> None:
        """Each time under another name."""
        master, slave = os.openpty()
        tty.setraw(slave)
        self._fds = (master, slave)  # our own slave keeps the line open while nobody else has it
        name = os.ttyname(slave)
        if self.link is not None:
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(name)
        self.path = str(self.link or name)

    def pull(self) -> None:
        fds, self._fds = self._fds, None
        for fd in fds or ():
            os.close(fd)
        if self.link is not None:
            self.link.unlink(missing_ok=True)

    def turn(self, now_s: float, wait_s: float = 0.0) -> int:
        """Hears what has come and says what there is to say; how many bytes."""
        if self._fds is None:
            return 0
        master = self._fds[0]
        ready, _, _ = select.select([master], [], [], wait_s)
        said = self.twin.hear(os.read(master, CHUNK), now_s) if ready else b""
        said += self.twin.advance(now_s)
        return os.write(master, said) if said else 0


class PipeEnd:
    """For a reader that plays a keyboard: a named pipe in place of its input device."""

    def __init__(self, twin: ReaderTwin, path: Path) -> None:
        self.twin = twin
        self.path = str(path)
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # both ends: it is there whoever else is

    def pull(self) -> None:
        os.close(self._fd)
        Path(self.path).unlink()

    def turn(self, now_s: float, wait_s: float = 0.0) -> int:
        said = self.twin.advance(now_s)
        return os.write(self._fd, said) if said else 0


class Running:
    """A thread that turns one end, on real time; `lock` is held while it does."""

    def __init__(self, end: PtyEnd | PipeEnd) -> None:
        self.end = end
        self.lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader-twin", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5.0)
        self.end.pull()

    def _run(self) -> None:
        while not self._stopping.wait(TURN_S):
            with self.lock:
                self.end.turn(time.monotonic())
