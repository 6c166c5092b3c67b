"""Whether something new would start now: one check a condition, with the reason and since when."""

from collections.abc import Mapping

import msgspec


class Check(msgspec.Struct, frozen=True):
    """`why` is empty while all is well; `since` (UTC) is when `ok` last changed."""

    name: str
    ok: bool
    why: str
    since: float


class Readiness:
    """Remembers since when each condition has been as it is; looked at by one thread."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[bool, float]] = {}

    def look(self, whys: Mapping[str, str], at: float) -> tuple[Check, ...]:
        """`whys`: by condition what is wrong with it, empty if nothing is."""
        return tuple(Check(name, not why, why, self._since(name, not why, at)) for name, why in whys.items())

    def _since(self, name: str, ok: bool, at: float) -> float:
        before = self._known.get(name)
        if before is None or before[0] is not ok:
            self._known[name] = (ok, at)
        return self._known[name][1]
