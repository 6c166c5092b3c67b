"""`anchong run --capture FILE`: all links of a running gateway overheard, by one tape, until it stops."""

import secrets
import time
from pathlib import Path

from anchong.doctor_database import known_piles
from anchong.settings import BadSettings, Settings
from firmware_bridge.capture import Known, Recorder, Tape, about
from firmware_bridge.drivers import DRIVERS
from firmware_bridge.veil import Veil
from firmware_bridge.wire import Transport


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

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def stop(self) -> None:
        self._tape.close()
