"""Frames out of a serial line that somebody else talks on: both sides, told apart by what they say and by turns."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from controller.core.errors import BadFrame
from firmware_bridge.codecs import dlt645, dny, dongjun, juy, m1, modbus, pn532, pzem
from firmware_bridge.codecs.modbus import Layout

_SAYS_NOTHING = b"\x00\xfe\x55"
_ECHOED, _BY_TURNS = "echoed", "by turns"
_ECHOES = (modbus.WRITE_COIL, modbus.WRITE_REGISTER, pzem.RESET_ENERGY)  # answered by the same bytes
HELD_MAX = 4096  # longer than any frame: what nobody can read is given up in pieces


class Heard(NamedTuple):
    protocol: str
    direction: str
    frame: bytes
    before: int = 0  # bytes of it that a capture has and this line had before it


class Way(NamedTuple):
    """One side of a conversation: how long its frame is, and whose it is; BadFrame if it is none."""

    measure: Callable[[bytes], int]
    read: Callable[[bytes], str]  # the direction; or that the other side's copy tells it, or the turn alone
    longest: int
    before: bytes = b""  # what a finder leaves away and a capture has


def _modbus(requests: Layout, replies: Layout) -> tuple[Way, ...]:
    def way(layout: Layout, direction: str) -> Way:
        def read(frame: bytes) -> str:
            modbus.read(frame, layout)
            return _ECHOED if frame[1] in _ECHOES else direction

        return Way(lambda head: modbus.measure(head, layout), read, modbus.FRAME_MAX)

    return way(requests, "down"), way(replies, "up")


def _dlt645(frame: bytes) -> str:
    return "up" if dlt645.read(frame).answered else "down"


def _pn532(frame: bytes) -> str:
    said = pn532.read(frame)
    return "down" if isinstance(said, pn532.Frame) and said.tfi == pn532.TO_READER else "up"


def _as(direction: str, read: Callable[[bytes], object]) -> Callable[[bytes], str]:
    def checked(frame: bytes) -> str:
        read(frame)
        return direction

    return checked


_PLAIN = _modbus(modbus.REQUESTS, modbus.REPLIES)
WAYS: dict[str, tuple[Way, ...]] = {
    **dict.fromkeys(("modbus-rtu", "modbus-eastron-sdm", "modbus-relay-waveshare", "modbus-relay-lc"), _PLAIN),
    "modbus-pzem-004t-v3": _modbus(pzem.REQUESTS, pzem.REPLIES),
    "dlt645-2007": (Way(dlt645.measure, _dlt645, dlt645.FRAME_MAX),),
    "pn532-hsu": (Way(pn532.measure, _pn532, pn532.FRAME_MAX, b"\x00"),),
    "m1-reader-serial": (Way(m1.measure, _as(_BY_TURNS, m1.read), m1.FRAME_MAX),),
    "dny-ap3000": (Way(dny.measure, _as("up", dny.read), dny.FRAME_MAX),),
    "juy-5aa5": (Way(juy.measure, _as("up", juy.read), juy.FRAME_MAX),),
    "dongjun-0xEE": (Way(dongjun.measure, _as("up", dongjun.read), dongjun.FRAME_MAX),),
}


class Overheard:
    """Holds what has come and is no whole frame yet; silence ends it, whatever it is."""

    def __init__(self, protocols: Sequence[str]) -> None:
        """Of `WAYS`; none: what comes without a pause is a frame of nobody."""
        self._protocols = protocols
        self._held = b""
        self._noise_size = 0  # how much of it, from the beginning, is known to begin no frame
        self._asked = b""  # the last frame, if it was asked and nothing has answered it

    def feed(self, chunk: bytes) -> list[Heard]:
        self._held += chunk
        return self._scan(final=len(self._held) > HELD_MAX)

    def quiet(self) -> list[Heard]:
        """Nobody speaks any more: what is no frame by now is none, and hides no whole one behind it."""
        return self._scan(final=True)

    def _scan(self, *, final: bool) -> list[Heard]:
        heard: list[Heard] = []
        at, begun = self._noise_size, 0
        while at < len(self._held):
            whose = self._whose()
            found, waits = self._at(at)
            if found is not None:
                heard += [*self._noise(begun, at, whose), found]
                at = begun = at + len(found.frame) - found.before
            elif waits and not final:
                break
            else:
                at += 1
        if final:
            heard += self._noise(begun, at, self._whose())
            begun = at
        self._held, self._noise_size = self._held[begun:], at - begun
        return heard

    def _whose(self) -> str:
        """Whose turn it is."""
        return "up" if self._asked else "down"

    def _noise(self, begin: int, end: int, whose: str) -> list[Heard]:
        """What an unbiased line says while nobody drives it, and what wakes a unit, is not worth a line."""
        noise = self._held[begin:end]
        protocol = self._protocols[0] if self._protocols else "raw"
        return [Heard(protocol, whose, noise)] if noise.strip(_SAYS_NOTHING) else []

    def _at(self, at: int) -> tuple[Heard | None, bool]:
        """The frame that begins here; else whether one may yet."""
        waits = False
        for protocol in self._protocols:
            ways = WAYS[protocol]
            for way in reversed(ways) if self._asked else ways:
                size = _size(way, self._held[at : at + way.longest])
                if size and at + size <= len(self._held):
                    frame = self._held[at : at + size]
                    try:
                        direction = self._turn(frame, way.read(frame))
                    except BadFrame:
                        continue
                    return Heard(protocol, direction, way.before + frame, len(way.before)), False
                waits = waits or size is not None
        return None, waits

    def _turn(self, frame: bytes, direction: str) -> str:
        if direction in (_ECHOED, _BY_TURNS):
            answers = self._asked == frame if direction == _ECHOED else bool(self._asked)
            direction = "up" if answers else "down"
        self._asked = frame if direction == "down" else b""
        return direction


def _size(way: Way, head: bytes) -> int | None:
    """0 while that is not told yet, None if no frame begins here."""
    try:
        size = way.measure(head)
    except BadFrame:
        return None
    return size if size <= way.longest else None
