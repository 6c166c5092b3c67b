"""Whether our own wall clock can be believed: not older than the build or the disk, and no sudden step."""

from controller.core.events import Stamp

BUILT_AT = 1_795_000_000.0  # 2026-11-18; no true clock shows less
STEP_S = 60.0
CALM_S = 600.0


class ClockTrust:
    """Compares the wall with the steady clock at every look; a step of over a minute costs ten minutes of trust."""

    def __init__(self, not_before: float = BUILT_AT) -> None:
        self.not_before = not_before
        self._offset: float | None = None
        self._stepped_s: float | None = None
        self._before_build = False

    @property
    def trusted(self) -> bool:
        return self._stepped_s is None and not self._before_build

    def look(self, now: Stamp) -> None:
        self._before_build = now.at < self.not_before
        offset = now.at - now.steady_s
        if self._offset is not None and abs(offset - self._offset) > STEP_S:
            self._stepped_s = now.steady_s
        self._offset = offset
        if self._stepped_s is not None and now.steady_s - self._stepped_s >= CALM_S:
            self._stepped_s = None
