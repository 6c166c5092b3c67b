"""Waits that grow with every wrong try, by whatever name the tries are counted; bounded in memory."""

from collections import OrderedDict

import msgspec
from starlette.requests import HTTPConnection

NAMES_MAX = 20_000


class TooFast(Exception):
    """Come back in `wait_s`."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"try again in {wait_s:.0f} s")
        self.wait_s = wait_s


class _Tries(msgspec.Struct, frozen=True):
    wrong: int
    until_s: float


class Throttle:
    """After `free` wrong tries each further one doubles the wait, up to `longest_s`; a quiet `longest_s` forgives."""

    def __init__(self, free: int, first_s: float = 1.0, longest_s: float = 300.0) -> None:
        self._free = free
        self._first_s = first_s
        self._longest_s = longest_s
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def check(self, name: str, now_s: float) -> None:
        """Raises TooFast while `name` has to wait."""
        tries = self._tries.get(name)
        if tries is not None and tries.until_s > now_s:
            raise TooFast(tries.until_s - now_s)

    def wrong(self, name: str, now_s: float) -> None:
        old = self._tries.pop(name, None)
        forgiven = old is None or now_s - old.until_s > self._longest_s
        wrong = 1 if old is None or forgiven else old.wrong + 1
        over = wrong - self._free
        wait_s = min(self._longest_s, self._first_s * 2.0 ** min(over - 1, 30)) if over > 0 else 0.0
        self._tries[name] = _Tries(wrong, now_s + wait_s)
        while len(self._tries) > NAMES_MAX:
            self._tries.popitem(last=False)

    def right(self, name: str) -> None:
        self._tries.pop(name, None)


def address_of(request: HTTPConnection) -> str:
    """Who asks; a whole IPv6 home network counts as one."""
    host = request.client.host if request.client is not None else "unknown"
    return ":".join(host.split(":")[:4]) if ":" in host else host
