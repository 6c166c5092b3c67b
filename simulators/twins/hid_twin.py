"""A reader that plays a keyboard: what the kernel makes of its typing, as bytes of an input device."""

import struct

EVENT = struct.Struct("@llHHi")
SYN, KEY, MSC = 0, 1, 4
SCANCODE = 4
ENTER = 28
SYN_DROPPED = struct.pack("@llHHi", 0, 0, SYN, 3, 0)
CODES = dict(zip("1234567890", range(2, 12), strict=True)) | {"A": 30, "B": 48, "C": 46, "D": 32, "E": 18, "F": 33}


class HidTwin:
    """It types and hears nothing; what it has typed is taken by `advance`."""

    def __init__(self, decimal: bool = True) -> None:
        self._decimal = decimal
        self._typed = b""

    def tap(self, uid: bytes) -> None:
        number = int.from_bytes(uid, "big")
        self.type(f"{number:0{10 if len(uid) == 4 else 17}d}" if self._decimal else uid.hex().upper())

    def type(self, text: str) -> None:
        """With its Enter."""
        self._typed += b"".join(_pressed(CODES.get(letter, 57)) for letter in text) + _pressed(ENTER)

    def garble(self, data: bytes) -> None:
        self._typed += data

    def hear(self, data: bytes, now_s: float) -> bytes:
        return b""

    def advance(self, now_s: float) -> bytes:
        typed, self._typed = self._typed, b""
        return typed


def _pressed(code: int) -> bytes:
    """Pressed and let go, each told with its scan code and closed by an empty event."""
    return b"".join(
        EVENT.pack(0, 0, kind, one, value)
        for down in (1, 0)
        for kind, one, value in ((MSC, SCANCODE, 0x70000 + code), (KEY, code, down), (SYN, 0, 0))
    )
