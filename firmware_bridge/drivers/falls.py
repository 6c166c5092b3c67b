"""Relays that open while their lease still runs: a board can't say that it has started anew, but this shows it.

One relay that opens by itself may have been opened by somebody; those of a board that was silent in between, or several
at once, have lost their supply.
"""

from collections.abc import Sequence

import msgspec

from firmware_bridge.wire import SwitchOn

SURE_S = 2.0  # so much before its end a lease may count as over: clocks, and the time on the line
AT_ONCE = 2


class Lease(msgspec.Struct, frozen=True):
    channel: int
    seconds: float


class Falls:
    """Of one board, by channel. Orders come from any thread, answers from that of the bus."""

    def __init__(self) -> None:
        self._ordered: dict[bytes, Lease] = {}  # ONs by their frames, until they are answered
        self._ends_s: dict[int, float] = {}  # of those that are on, as far as we know
        self._was_silent = False

    def ordered(self, wish: SwitchOn, frame: bytes) -> None:
        self._ordered[frame] = Lease(wish.channel, wish.lease_s)

    def off(self, channel: int) -> None:
        """What opens now does so as ordered."""
        self._ends_s.pop(channel, None)
        for frame, lease in list(self._ordered.items()):
            if lease.channel == channel:
                self._ordered.pop(frame, None)

    def silent(self) -> None:
        self._was_silent = True

    def answered(self, asked: bytes, now_s: float) -> None:
        lease = self._ordered.pop(asked, None)
        if lease is not None:
            self._ends_s[lease.channel] = now_s + lease.seconds

    def fallen(self, on: Sequence[bool], now_s: float) -> Sequence[int]:
        """Channels that show that the board has started anew."""
        opened = {channel: ends_s for channel, ends_s in list(self._ends_s.items()) if not on[channel]}
        for channel in opened:
            self._ends_s.pop(channel, None)
        early = [channel for channel, ends_s in opened.items() if now_s < ends_s - SURE_S]
        shows, self._was_silent = self._was_silent or len(early) >= AT_ONCE, False
        return early if shows else []
