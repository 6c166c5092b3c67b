"""A bus on a real adapter: one thread, which alone touches the port, and comes back whenever the adapter does."""

import contextlib
import os
import threading
from collections.abc import Callable
from typing import TypeVar

import structlog

from controller.clock import Clock, RealClock
from firmware_bridge.transports import port
from firmware_bridge.transports.bus import Bus, Turn
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import Linked, Message, Receive

DEAF_S, DEAF_S_MAX = 30.0, 600.0  # nobody answers though asked: the adapter may hang; each reopening in vain doubles it
REOPEN_S, REOPEN_S_MAX = 0.2, 5.0
JOIN_S = 10.0  # closing RFC 2217 takes its time
BURST_S = 60.0  # one traceback a minute says as much as a thousand

T = TypeVar("T")

log = structlog.get_logger(__name__)


class SerialBus:
    """`wire.Transport` over a serial port. All calls may come from any thread, and none waits for the line.

    `where` is a device, best its /dev/serial/by-id path, `socket://host:port` or `rfc2217://host:port`. `receive` and
    `linked` are called by the bus's own thread. `send` is False while the port is not there, for an OFF too: then the
    leases cut.
    """

    def __init__(self, name: str, where: str, pace: Pace, clock: Clock | None = None) -> None:
        self.bus = Bus(pace)
        self.opened = 0  # times
        self.handler_errors = 0
        self._name, self._where, self._pace = name, where, pace
        self._clock = clock or RealClock()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._wake_read = self._wake_write = -1
        self._woken = True
        self._answered = False  # since the port was opened
        self._deaf_s = DEAF_S
        self._said = ""
        self._quiet_until_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"bus-{name}", daemon=True)

    def start(self, receive: Receive, linked: Linked) -> None:
        self._receive, self._linked = receive, linked
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._woken = False
        self._thread.start()

    def listen(self, pattern: str) -> None:
        """Units speak only when they are asked."""

    def send(self, message: Message, urgent: bool = False) -> bool:
        with self._lock:
            taken = self.bus.put(message, urgent, self._now_s())
            if taken:
                self._wake()
        return taken

    def stop(self) -> None:
        self._stopping.set()
        with self._lock:
            self._wake()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            os.write(self._wake_write, b"!")

    def _now_s(self) -> float:
        return self._clock.now().steady_s

    # -- the bus's own thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        wait_s = REOPEN_S
        while not self._stopping.is_set():
            self._session()
            wait_s = REOPEN_S if self._answered else min(wait_s * 2, REOPEN_S_MAX)
            self._stopping.wait(wait_s)
        with self._lock:
            self._woken = True  # and nobody writes to what is closed now
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _session(self) -> None:
        """From opening the port to losing it. Another tty may stand behind its path now."""
        self._answered = False
        try:
            line = port.opened(self._where, self._pace, self._wake_read)
        except port.LOST as error:
            self._say("port_not_opened", error)
            return
        try:
            self._link(True)
            self._serve(line)
        except port.LOST as error:
            self._say("port_lost", error)
        except Exception:  # ours: all about this line begins anew
            log.exception("bus_failed", bus=self._name)
        finally:
            self._link(False)
            with contextlib.suppress(*port.LOST):
                line.close()

    def _serve(self, line: port.Port) -> None:
        while not self._stopping.is_set():
            turn, due_s = self._turn()
            if turn.write:
                line.write(turn.write)
            for message in turn.told:
                self._guarded(self._receive, message)
            self._watch(turn)
            chunk = line.wait(None if due_s is None else due_s - self._now_s())
            if chunk:
                with self._lock:
                    self.bus.hear(chunk, self._now_s())

    def _turn(self) -> tuple[Turn, float | None]:
        with self._lock:
            if self._woken:
                os.read(self._wake_read, 1)
                self._woken = False
            return self.bus.turn(self._now_s()), self.bus.next_due_s()

    def _watch(self, turn: Turn) -> None:
        """An adapter that hangs is as silent as a bus on which everything is dead: it is opened anew."""
        if any(message.payload for message in turn.told):
            if self._said:
                log.info("bus_answers_again", bus=self._name, port=self._where)
            self._answered, self._deaf_s, self._said = True, DEAF_S, ""
        elif self.bus.deaf_s >= self._deaf_s:
            self._deaf_s = min(self._deaf_s * 2, DEAF_S_MAX)
            raise OSError("nobody answers")

    def _link(self, up: bool) -> None:
        with self._lock:
            if up:
                self.opened += 1
                self.bus.opened(self._now_s())
            else:
                self.bus.closed()
        self._guarded(self._linked, up)

    def _guarded(self, handler: Callable[[T], None], argument: T) -> None:
        """A handler's bug must not end the thread that the next OFF leaves by."""
        try:
            handler(argument)
        except Exception:
            self.handler_errors += 1
            if self._now_s() >= self._quiet_until_s:
                log.exception("handler_failed", bus=self._name, errors=self.handler_errors)
            self._quiet_until_s = self._now_s() + BURST_S

    def _say(self, what: str, error: BaseException) -> None:
        """Once, not at every attempt."""
        if self._said != (said := f"{what}: {error}"):
            self._said = said
            log.warning(what, bus=self._name, port=self._where, error=str(error))
