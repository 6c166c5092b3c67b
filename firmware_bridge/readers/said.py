"""What every card reader says to us, and what it is told: the shapes that each kind must fit."""

from enum import StrEnum
from typing import Protocol, TypeAlias

import msgspec


class Tap(msgspec.Struct, frozen=True):
    """A card was laid on. `uid` is its number as it is kept: hexadecimal in upper case, the reader's own way round."""

    uid: str


class Key(msgspec.Struct, frozen=True):
    """A number was typed at its keypad."""

    number: int


class Ready(msgspec.Struct, frozen=True):
    """It has answered, and looks for cards from now on; `device` is what it says that it is."""

    device: str


class Fault(msgspec.Struct, frozen=True):
    """To be counted by name: garbage, checksum, silent, stutter, two_cards, ..."""

    kind: str


Said: TypeAlias = Tap | Key | Ready | Fault


class Feedback(StrEnum):
    """What somebody at the reader should notice without looking."""

    DONE = "done"
    NOTED = "noted"  # go on: choose, or wait
    REFUSED = "refused"


class Reader(Protocol):
    """Our end of one reader, from the opening of its port to its loss. Raises nothing, whatever it hears."""

    def hear(self, data: bytes, now_s: float) -> list[Said]:
        """What has come, or b"" because time has passed."""
        ...

    def say(self, now_s: float) -> bytes:
        """What is to be sent now; b"" if nothing is."""
        ...

    def due_s(self) -> float:
        """When to hear and say again, whatever comes before; infinite if nothing is due."""
        ...

    def tell(self, feedback: Feedback) -> None:
        """To be said by light or sound, where it has one."""
        ...


def kept(uid: bytes, reverse: bool) -> str:
    return (uid[::-1] if reverse else uid).hex().upper()
