"""What waits for its turn on a bus: OFFs, then ONs, then questions; each slot holds its newest wish alone."""

from collections.abc import Container, Iterator

import msgspec

from firmware_bridge.codecs.exchange import Asked
from firmware_bridge.wire import Message

ON_WAITS_S = 2.0  # an ON that could not leave by then surprises somebody at the outlet
OFF_ATTEMPTS, READ_ATTEMPTS = 3, 2
QUESTIONS_MAX, ONS_MAX = 512, 512  # more than a bus has units times what each is asked

Slot = tuple[str, str]


class Wish(msgspec.Struct):
    """Something to be said; `attempts` times it has been."""

    message: Message
    asked: Asked
    urgent: bool
    since_s: float
    attempts: int = 0

    @property
    def address(self) -> str:
        return self.message.address

    @property
    def slot(self) -> Slot:
        return self.message.address, self.message.slot

    @property
    def question(self) -> tuple[str, bytes]:
        return self.message.address, self.message.payload


class Queue:
    def __init__(self) -> None:
        self.offs: dict[Slot, Wish] = {}
        self._ons: dict[Slot, Wish] = {}
        self._questions: dict[tuple[str, bytes], Wish] = {}

    def put(self, wish: Wish) -> str:
        """What became of it: `full` alone is a refusal, and no OFF meets it."""
        if wish.urgent:
            return self._put_off(wish)
        return self._put_on(wish) if wish.message.slot else self._put_question(wish)

    def _put_off(self, wish: Wish) -> str:
        """It takes the place of everything in its slot, and the turn of an OFF that waits there already."""
        replaced = self._ons.pop(wish.slot, None) is not None
        if wish.slot in self.offs:
            wish.since_s = self.offs[wish.slot].since_s
        self.offs[wish.slot] = wish
        return "replaced" if replaced else "queued"

    def _put_on(self, wish: Wish) -> str:
        """After an OFF of its slot that has not left yet, and instead of one that would only be repeated."""
        if wish.slot not in self._ons and len(self._ons) >= ONS_MAX:
            return "full"
        if wish.slot in self.offs and self.offs[wish.slot].attempts:
            del self.offs[wish.slot]
        replaced = wish.slot in self._ons
        self._ons[wish.slot] = wish
        return "replaced" if replaced else "queued"

    def _put_question(self, wish: Wish) -> str:
        if wish.question in self._questions:
            return "asked_already"
        if len(self._questions) >= QUESTIONS_MAX:
            return "full"
        self._questions[wish.question] = wish
        return "queued"

    def again(self, wish: Wish) -> None:
        """An OFF without an answer, unless its slot has a newer wish; a read, behind those that wait; an ON never."""
        if wish.urgent:
            if wish.attempts < OFF_ATTEMPTS and wish.slot not in self.offs and wish.slot not in self._ons:
                self.offs[wish.slot] = wish
        elif not wish.message.slot and wish.asked.reads and wish.attempts < READ_ATTEMPTS:
            self._questions.setdefault(wish.question, wish)

    def waiting(self, silent: Container[str] = ()) -> Iterator[Wish]:
        """In their order; of OFFs the repeated last, and before them those to addresses that are known to be silent."""
        if self.offs:
            yield from sorted(self.offs.values(), key=lambda off: (off.attempts, off.address in silent, off.since_s))
        yield from self._ons.values()
        yield from self._questions.values()

    def take(self, wish: Wish) -> None:
        if wish.urgent:
            del self.offs[wish.slot]
        elif wish.message.slot:
            del self._ons[wish.slot]
        else:
            del self._questions[wish.question]

    def expired(self, now_s: float) -> list[Wish]:
        """ONs that waited too long, taken out."""
        old = [wish for wish in self._ons.values() if now_s - wish.since_s > ON_WAITS_S]
        for wish in old:
            self.take(wish)
        return old
