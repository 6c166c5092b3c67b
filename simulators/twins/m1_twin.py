"""A serial reader of M1 cards at the other end of its line; it remembers how it was made to beep."""

from firmware_bridge.codecs import m1 as codec
from firmware_bridge.codecs.m1 import Frame
from simulators.twins.card_field import CardField

NO_CARD = 0x0001
NO_FIELD = 0x0002
UNKNOWN = 0x00FF


class M1Twin:
    """`bare`: it gives a card's number alone, without its ATQA before it, as some do."""

    def __init__(self, bare: bool = False) -> None:
        self.field = CardField()
        self.silent = False
        self.beeps: list[tuple[int, int]] = []  # (ms, times)
        self._bare = bare
        self._noise = b""
        self._on = False
        self._finder = codec.finder()

    def restart(self) -> None:
        self._on = False
        self._finder.clear()

    def garble(self, data: bytes) -> None:
        """Something else comes over its line."""
        self._noise += data

    def hear(self, data: bytes, now_s: float) -> bytes:
        frames = self._finder.feed(data)
        return b"" if self.silent else b"".join(codec.encode(self._answer(frame, now_s)) for frame in frames)

    def advance(self, now_s: float) -> bytes:
        noise, self._noise = self._noise, b""
        return noise

    def _answer(self, frame: Frame, now_s: float) -> Frame:
        match frame.code:
            case codec.FIELD_ON | codec.FIELD_OFF:
                self._on = frame.code == codec.FIELD_ON
                return Frame(0)
            case codec.BUZZER:
                self.beeps.append((int.from_bytes(frame.data[:2], "big"), frame.data[2]))
                return Frame(0)
            case codec.ACTIVATE:
                return self._activated(now_s)
        return Frame(UNKNOWN)

    def _activated(self, now_s: float) -> Frame:
        """One card at a time, whichever answers first."""
        found = self.field.cards(now_s)
        if not self._on or not found:
            return Frame(NO_CARD if self._on else NO_FIELD)
        return Frame(0, found[0][:4] if self._bare else b"\x04\x00" + found[0][:4])
