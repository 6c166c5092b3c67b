"""Readers that pretend to be a keyboard: the kernel's input events in, and what was typed, line by line.

A card is a line of a full length, a number for an outlet one of one or two digits; anything else is refused, so that a
digit left behind by somebody's finger makes no other card of the next one.
"""

import struct
from enum import Enum
from math import inf

from controller.core.errors import BadFrame
from firmware_bridge.readers.presence import Presence
from firmware_bridge.readers.said import Fault, Feedback, Key, Ready, Said, kept

EVENT = struct.Struct("@llHHi")  # struct input_event: time (two longs), type, code, value; 24 bytes where longs have 8
SYN, KEY = 0, 1
SYN_DROPPED = 3
PRESSED = 1  # 0 is let go, 2 repeats by itself
ENTER = (28, 96)
QUIET_KEYS = (29, 42, 54, 69, 97)  # control, shift and num lock: some readers press them to be sure
_TYPED: dict[int, str] = dict(zip(range(2, 12), "1234567890", strict=True))
_TYPED |= {30: "A", 48: "B", 46: "C", 32: "D", 18: "E", 33: "F"}
_TYPED |= {82: "0", 79: "1", 80: "2", 81: "3", 75: "4", 76: "5", 77: "6", 71: "7", 72: "8", 73: "9"}  # the keypad
OTHER = "?"
LINE_MAX = 20  # ten bytes in hexadecimal
LEFT_BEHIND_S = 5.0  # without its Enter


class Digits(Enum):
    """How a card's number is typed, and how many digits make how many bytes of it."""

    DECIMAL = (10, {10: 4, 17: 7})
    HEX = (16, {8: 4, 14: 7, 20: 10})

    @property
    def base(self) -> int:
        return self.value[0]

    @property
    def sizes(self) -> dict[int, int]:
        return self.value[1]


class Hid:
    def __init__(self, presence: Presence, reverse: bool = False, digits: Digits = Digits.DECIMAL) -> None:
        self._presence = presence
        self._reverse = reverse
        self._digits = digits
        self._held = b""
        self._line = ""
        self._typed_s = -inf
        self._lost = False  # until the next Enter: the kernel had no room for what was typed
        self._ready = False

    def hear(self, data: bytes, now_s: float) -> list[Said]:
        self._held += data
        whole = len(self._held) - len(self._held) % EVENT.size
        events, self._held = self._held[:whole], self._held[whole:]
        said: list[Said] = [] if self._ready else [Ready("HID")]
        self._ready = True
        for _, _, kind, code, value in EVENT.iter_unpack(events):
            if kind == SYN and code == SYN_DROPPED:
                self._lost = True
            elif kind == KEY and value == PRESSED and code not in QUIET_KEYS:
                said += self._pressed(code, now_s)
        return said

    def say(self, now_s: float) -> bytes:
        return b""

    def due_s(self) -> float:
        return inf

    def tell(self, feedback: Feedback) -> None:
        """Its light and beep are its own."""

    def _pressed(self, code: int, now_s: float) -> list[Said]:
        if now_s - self._typed_s > LEFT_BEHIND_S:
            self._line = ""
        self._typed_s = now_s
        if code not in ENTER:
            self._line = (self._line + _TYPED.get(code, OTHER))[: LINE_MAX + 1]
            return []
        line, self._line = self._line, ""
        lost, self._lost = self._lost, False
        if not line and not lost:
            return []  # some readers end a line with two keys
        try:
            return [Fault("overrun")] if lost else self._entered(line, now_s)
        except BadFrame as bad:
            return [Fault(bad.kind)]

    def _entered(self, line: str, now_s: float) -> list[Said]:
        if 1 <= len(line) <= 2 and line.isdecimal():
            return [Key(int(line))]
        uid = kept(uid_of(line, self._digits), self._reverse)
        self._presence.look([], now_s)
        said = self._presence.look([uid], now_s)
        self._presence.look([], now_s)  # the next line is a card laid on anew, unless it comes too soon for that
        return said


def uid_of(line: str, digits: Digits) -> bytes:
    size = digits.sizes.get(len(line))
    if size is None:
        raise BadFrame("length", f"{len(line)} digits are no card's number")
    try:
        return int(line, digits.base).to_bytes(size, "big")
    except ValueError as error:
        raise BadFrame("malformed", "not the digits of a number") from error
    except OverflowError as error:
        raise BadFrame("range", f"more than {size} bytes") from error
