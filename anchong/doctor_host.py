"""The doctor's look at this machine: its clock and the trip journal."""

import ctypes
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from anchong.doctor_finding import Finding, State
from controller.journal import SLOT, SLOTS
from controller.trust import BUILT_AT

TIME_ERROR = 5  # of adjtimex: the kernel's clock follows nothing


# -- clock --------------------------------------------------------------------------------------------------------


def clock_findings() -> Iterable[Finding]:
    shows = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if time.time() < BUILT_AT:
        yield Finding(
            "clock",
            State.BAD,
            f"shows {shows}, before this program was built",
            "set the clock; nothing is sold until then",
        )
    else:
        yield Finding("clock", State.OK, f"shows {shows}")
    if _unsynchronised():
        yield Finding(
            "clock",
            State.WARN,
            "the kernel says that it follows no time server",
            "install chrony or systemd-timesyncd, and see that it reaches a server",
        )


def _unsynchronised() -> bool:
    """Whatever keeps the clock tells the kernel; where the kernel can't be asked, nothing is said."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))) == TIME_ERROR
    except (AttributeError, OSError):
        return False


# -- the trip journal ---------------------------------------------------------------------------------------------


def journal_findings(path: Path) -> Iterable[Finding]:
    try:
        if path.exists():
            with path.open("r+b"):
                size = path.stat().st_size
        else:
            size = SLOT * SLOTS if path.absolute().parent.is_dir() else 0
    except OSError as error:
        yield Finding(
            "journal",
            State.BAD,
            f"{path} can't be written: {error.strerror}",
            "mend its rights; without it no charge is resumed after a restart",
        )
        return
    if size != SLOT * SLOTS:
        yield Finding(
            "journal",
            State.WARN,
            f"{path} has the wrong size or no folder",
            "make its folder, or move the file away and restart",
        )
    else:
        yield Finding("journal", State.OK, f"{path} can be written")
