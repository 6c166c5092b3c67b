"""A serial adapter that is none: two ptys with a fault between them, that can be pulled out and come back elsewhere.

What a gateway opens is `near`, a link as udev makes them under /dev/serial/by-id. The units open `far`, or are a
function, as for the line in memory.
"""

import contextlib
import heapq
import os
import select
import threading
import tty
from collections.abc import Callable, Sequence
from pathlib import Path

from controller.clock import RealClock
from firmware_bridge.transports.memory_bus import Mangle, Way
from firmware_bridge.transports.pace import Pace

Answer = Callable[[bytes, float], Sequence[tuple[float, bytes]]]

CHUNK = 4096


class SerialProxy:
    """`start` and `stop` once; the rest any time and from any thread.

    `answer` None: the units open `far`. With a `pace` bytes take as long as on a wire; without, no time.
    """

    def __init__(self, folder: Path, answer: Answer | None = None, pace: Pace | None = None) -> None:
        self.mangle: Mangle | None = None
        self.echo = False  # an adapter that hears itself
        self.near = folder / "usb-adapter"
        self.far = ""
        self._tty = ""
        self._answer, self._pace = answer, pace
        self._clock = RealClock()
        self._ends: dict[Way, tuple[int, int]] = {}  # where bytes of this way go: master, and its slave kept open
        self._moving: list[tuple[float, int, Way, bytes]] = []
        self._moved = 0
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="serial-proxy", daemon=True)

    def start(self) -> None:
        self.plug()
        if self._answer is None:
            self._ends[Way.DOWN] = _pty()
            self.far = os.ttyname(self._ends[Way.DOWN][1])
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake()
        self._thread.join(5)
        for way in list(self._ends):
            self._drop(way)
        self.near.unlink(missing_ok=True)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def plug(self) -> None:
        """The adapter is there, with another tty behind its name than before."""
        with self._lock:
            self._ends[Way.UP] = self._another_pty()
            self.near.unlink(missing_ok=True)
            self.near.symlink_to(os.ttyname(self._ends[Way.UP][1]))
        self._wake()

    def _another_pty(self) -> tuple[int, int]:
        master, slave = _pty()
        if os.ttyname(slave) == self._tty:  # the kernel gives out the lowest number that is free
            taken, (master, slave) = (master, slave), _pty()
            for end in taken:
                os.close(end)
        self._tty = os.ttyname(slave)
        return master, slave

    def unplug(self) -> None:
        with self._lock:
            self.near.unlink(missing_ok=True)
            self._drop(Way.UP)
        self._wake()

    def _drop(self, way: Way) -> None:
        for end in self._ends.pop(way, ()):
            os.close(end)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"!")

    # -- its own thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            poll = select.poll()
            poll.register(self._wake_read, select.POLLIN)
            with self._lock:
                masters = {end[0]: way for way, end in self._ends.items()}
                for master in masters:
                    poll.register(master, select.POLLIN)
            for fd, _ in poll.poll(self._wait_ms()):
                if fd == self._wake_read:
                    os.read(self._wake_read, CHUNK)
                else:
                    self._read(fd, masters[fd])
            self._deliver()

    def _wait_ms(self) -> float | None:
        return max(self._moving[0][0] - self._now_s(), 0.0) * 1000 if self._moving else None

    def _now_s(self) -> float:
        return self._clock.now().steady_s

    def _read(self, master: int, end: Way) -> None:
        """What is said into the end of one way goes the other way."""
        with self._lock, contextlib.suppress(OSError):
            if self._ends.get(end, (-1,))[0] != master:
                return  # pulled out meanwhile
            chunk = os.read(master, CHUNK)
            if end is Way.UP and self.echo:
                self._move(Way.UP, chunk, 0.0)
            self._move(Way.DOWN if end is Way.UP else Way.UP, chunk, 0.0)

    def _move(self, way: Way, chunk: bytes, delay_s: float) -> None:
        now_s = self._now_s()
        for more_s, mangled in [(0.0, chunk)] if self.mangle is None else self.mangle(way, chunk, now_s):
            self._moved += 1
            sent_s = 0.0 if self._pace is None else self._pace.sent_s(len(mangled))
            heapq.heappush(self._moving, (now_s + delay_s + more_s + sent_s, self._moved, way, mangled))

    def _deliver(self) -> None:
        with self._lock:
            while self._moving and self._moving[0][0] <= self._now_s():
                _, _, way, chunk = heapq.heappop(self._moving)
                self._arrive(way, chunk)

    def _arrive(self, way: Way, chunk: bytes) -> None:
        if way is Way.DOWN and self._answer is not None:
            for delay_s, answer in self._answer(chunk, self._now_s()):
                self._move(Way.UP, answer, delay_s)
        elif way in self._ends:
            with contextlib.suppress(OSError):
                os.write(self._ends[way][0], chunk)


def _pty() -> tuple[int, int]:
    """Its master and its slave, which stays open: a pty nobody has open says so without end."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    return master, slave
