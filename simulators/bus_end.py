"""The units of a bus behind a pseudo-terminal, which a gateway opens as its adapter. Real time around a `Line`."""

import os
import select
import threading
import tty
from pathlib import Path

from controller.clock import Clock
from simulators.twins.contact import Load
from simulators.twins.line import Line

CHUNK = 512
GAP_S = 0.001  # nothing more in this time: the request is whole
IDLE_S = 0.2


class BusEnd:
    """One thread. `link` is the name by which the port is opened, as one below /dev/serial/by-id lasts."""

    def __init__(self, line: Line, clock: Clock, link: Path) -> None:
        self.line = line
        self.lock = threading.Lock()  # held while the line is touched
        self.clock = clock
        self._link = link
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        link.symlink_to(os.ttyname(self._slave))
        self._stopping = threading.Event()
        self._due: list[tuple[float, bytes]] = []  # when (steady), what
        self._thread = threading.Thread(target=self._run, name="bus-end", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5.0)
        self._link.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)

    def cut_supply(self, board: str) -> None:
        """Somebody pulls the plug of a board."""
        with self.lock:
            self.line.cut_supply(board, self.clock.now().at)

    def restore_supply(self, board: str) -> None:
        with self.lock:
            self.line.restore_supply(board, self.clock.now().at)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if request := self._heard():
                self._ask(request)
            self._say()

    def _heard(self) -> bytes:
        """A request is over when the line is quiet."""
        wait_s = self.clock.wait_s(self._due[0][0] - self.clock.now().steady_s) if self._due else IDLE_S
        heard = b""
        while select.select([self._master], [], [], max(0.0, min(wait_s, IDLE_S)))[0]:
            heard += os.read(self._master, CHUNK)
            wait_s = GAP_S
        return heard

    def _ask(self, request: bytes) -> None:
        now = self.clock.now()
        with self.lock:
            answers = self.line(request, now.at)
        self._due = sorted([*self._due, *((now.steady_s + delay_s, said) for delay_s, said in answers)])

    def _say(self) -> None:
        now_s = self.clock.now().steady_s
        while self._due and self._due[0][0] <= now_s:
            os.write(self._master, self._due.pop(0)[1])


class BusSockets:
    """The sockets of one board, as people see them."""

    def __init__(self, end: BusEnd, board: str) -> None:
        self._end = end
        self._board = board

    def plug(self, channel: int, load: Load) -> None:
        with self._end.lock:
            self._end.line.plug(self._board, channel, load, self._end.clock.now().at)

    def unplug(self, channel: int) -> None:
        with self._end.lock:
            self._end.line.unplug(self._board, channel, self._end.clock.now().at)
