"""`anchong run --capture FILE`: all links of a running gateway overheard, by one tape, until it stops."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from anchong.doctor_database import known_piles
from anchong.settings import BadSettings, Settings
from firmware_bridge.capture import Line, Recorder, Tape, about, line
from firmware_bridge.drivers import DRIVERS
from firmware_bridge.overheard import Heard, Overheard
from firmware_bridge.spoken import Known
from firmware_bridge.transports.reader_port import Port
from firmware_bridge.veil import Veil
from firmware_bridge.wire import Message, Transport

OF_READERS = {"pn532": "pn532-hsu", "m1": "m1-reader-serial"}  # a keyboard's events are nothing but card numbers


class Taping:
    """Always covered: what runs for days is not looked at before it is given away."""

    def __init__(self, settings: Settings, path: Path) -> None:
        self._known = Known(DRIVERS, known_piles(settings.database))
        self._veil = Veil(secrets.token_bytes(16))
        self._began_s = time.monotonic()
        try:
            self._tape = Tape(path, lambda: about(self._known.piles, self._veil))
        except OSError as error:
            raise BadSettings(f"--capture {path}: can't be written: {error.strerror}") from error

    def over(self, link: Transport) -> Recorder:
        return Recorder(link, self._tape, self._known, self._now_s, self._veil)

    def over_reader(self, name: str, kind: str, open_port: Callable[[], Port]) -> Callable[[], Port]:
        """A reader's port, each time that it is opened."""
        if kind not in OF_READERS:
            return open_port
        return lambda: HeardPort(open_port(), OF_READERS[kind], lambda heard: self._tell(name, heard))

    def _tell(self, reader: str, heard: Heard) -> None:
        now_s = self._now_s()

        def made() -> Line:
            said = line(now_s, heard.protocol, heard.direction, Message("", heard.frame), self._veil)
            return {**said, "reader": reader}

        self._tape.put(made)

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def stop(self) -> None:
        self._tape.close()


class HeardPort:
    """A port that is overheard, both ways, frame by frame."""

    def __init__(self, inner: Port, protocol: str, tell: Callable[[Heard], None]) -> None:
        self._inner = inner
        self._ear = Overheard([protocol])
        self._tell = tell

    def read(self, wait_s: float) -> bytes:
        data = self._inner.read(wait_s)
        for heard in self._ear.feed(data) if data else self._ear.quiet():
            self._tell(heard)
        return data

    def write(self, data: bytes) -> None:
        self._inner.write(data)
        for heard in self._ear.feed(data):
            self._tell(heard)

    def close(self) -> None:
        self._inner.close()
