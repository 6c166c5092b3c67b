"""The thread of one card reader: opens its port, keeps it to itself, and opens it again when it was gone.

A port is a serial device, `rfc2217://…`, `socket://…`, or an input device of a reader that plays a keyboard.
"""

import contextlib
import fcntl
import os
import select
import stat
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

import structlog

from controller.clock import Clock
from firmware_bridge.transports.pace import Pace
from firmware_bridge.transports.port import LOST, opened

log = structlog.get_logger()

CHUNK = 4096
WAIT_S = 0.1  # at most, so that it stops soon and looks at answers in time
BACK_OFF_S = (1.0, 2.0, 5.0, 10.0)
EVIOCGRAB = 0x40044590  # _IOW('E', 0x90, int): what it types reaches us and no console


class Port(Protocol):
    def read(self, wait_s: float) -> bytes:
        """What has come within this time; b"" if nothing. OSError when it is gone."""
        ...

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Work(Protocol):
    """What is done at a reader: `readers.attendant.Attendant`."""

    def opened(self) -> None: ...

    def lost(self, why: str) -> None: ...

    def turn(self, data: bytes, now_s: float) -> bytes: ...

    def due_s(self) -> float: ...


class ReaderPort:
    """`turn` by hand, or `start` for a thread of its own."""

    def __init__(self, name: str, open_port: Callable[[], Port], work: Work, clock: Clock) -> None:
        self._name = name
        self._open_port = open_port
        self._work = work
        self._clock = clock
        self._port: Port | None = None
        self._tries = 0
        self._again_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"reader-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        self._close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self.turn():
                self._stopping.wait(WAIT_S)

    def turn(self) -> bool:
        """One look at the port; False while it can't be opened."""
        try:
            return self._turned()
        except OSError as error:
            self._lost(error, "port_missing" if self._port is None else "port_gone")
            return False
        except Exception as error:  # a bug at one reader must not leave it unattended for ever
            log.error("a card reader could not be attended", reader=self._name, exc_info=error)
            self._lost(error, "failed")
            return False

    def _turned(self) -> bool:
        port = self._port or self._opened()
        if port is None:
            return False
        data = port.read(self._wait_s())
        out = self._work.turn(data, self._clock.now().steady_s)
        if out:
            port.write(out)
        return True

    def _wait_s(self) -> float:
        return min(WAIT_S, max(0.0, self._clock.wait_s(self._work.due_s() - self._clock.now().steady_s)))

    def _opened(self) -> Port | None:
        if self._clock.now().steady_s < self._again_s:
            return None
        self._port = self._open_port()
        if self._tries:
            log.info("card reader reached again", reader=self._name)
        self._tries = 0
        self._work.opened()
        return self._port

    def _lost(self, error: Exception, why: str) -> None:
        if not self._tries:
            log.warning("card reader not reached", reader=self._name, why=why, error=str(error)[:200])
        self._close()
        self._work.lost(why)
        self._again_s = self._clock.now().steady_s + BACK_OFF_S[min(self._tries, len(BACK_OFF_S) - 1)]
        self._tries += 1

    def _close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            try:
                port.close()
            except OSError:
                log.debug("a port that was gone could not be closed", reader=self._name)


class SerialPort:
    """8N1, by `transports.port`: a device of ours, or an adapter on the network. Raises OSError alone."""

    def __init__(self, where: str, baud: int) -> None:
        self._never, self._kept = os.pipe()  # what would wake it: nothing does
        try:
            with _told():
                self._port = opened(where, Pace(baud), self._never)
        except OSError:
            self._close_pipe()
            raise

    def read(self, wait_s: float) -> bytes:
        with _told():
            return self._port.wait(wait_s)

    def write(self, data: bytes) -> None:
        with _told():
            self._port.write(data)

    def close(self) -> None:
        self._close_pipe()
        with _told():
            self._port.close()

    def _close_pipe(self) -> None:
        os.close(self._never)
        os.close(self._kept)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except LOST as error:
        raise OSError(str(error)) from error


class InputPort:
    """An input device of the kernel, read by nobody else while it is ours."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        try:
            if stat.S_ISCHR(os.fstat(self._fd).st_mode):  # a pipe plays one in rehearsals
                fcntl.ioctl(self._fd, EVIOCGRAB, 1)
        except BaseException:
            os.close(self._fd)
            raise

    def read(self, wait_s: float) -> bytes:
        if not self._poll.poll(wait_s * 1000):
            return b""
        data = os.read(self._fd, CHUNK)
        if not data:
            raise OSError("nobody is at the other end")
        return data

    def write(self, data: bytes) -> None:
        """A keyboard is told nothing."""

    def close(self) -> None:
        os.close(self._fd)
