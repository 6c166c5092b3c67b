"""One line and its one owner: whose turn it is, what an answer answers, what silence means. No I/O, thread or clock.

Half duplex: one exchange at a time. An OFF waits for no more than the exchange under way. What the driver of a line
must do: hand in what it hears (`hear`), ask what to do (`turn`) then and whenever `next_due_s` has come.
"""

from collections.abc import Iterator

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs import exchange
from firmware_bridge.codecs.exchange import EXCEPTION, Heard, Hearing
from firmware_bridge.transports.bus_queue import Queue, Wish
from firmware_bridge.transports.pace import Pace
from firmware_bridge.wire import Message

LATE_S = 1.0  # after its time is over a unit may still answer: till then it is not asked what that could answer
TWICE_S = 0.05  # so long an answer may be followed by its own copy
NOISE_S = 0.1  # who waits for silence on a line that is never silent speaks after this
OPENED_S = 0.1  # adapters say nonsense when they are opened
DEAF_TIMES = 5
SILENT_TIMES, BACK_OFF_MAX = 3, 60.0
UNECHOED_TIMES = 3  # an echo may be lost to noise once: only so many answers without one say that the line has none

EXPIRED, LATE = "expired", "late"


class Turn(msgspec.Struct):
    """What to write now (after throwing away what was not read), and what to tell."""

    write: bytes = b""
    told: list[Message] = []


class _Owed(msgspec.Struct, frozen=True):
    """What a unit may still say: its answer to a question whose time is over (`late`), or an answer's own copy.

    `strict`: it could be taken for the answer to anything of that function, as an exception could.
    """

    wish: Wish
    until_s: float
    strict: bool
    late: bool
    answer: bytes = b""  # given already, and surely its own: only a copy may follow

    def confuses(self, wish: Wish) -> bool:
        return self.strict or self.wish.asked.like(wish.asked)


class _Exchange(msgspec.Struct, frozen=True):
    """The one under way."""

    wish: Wish
    hearing: Hearing
    deadline_s: float


class Bus:
    """All calls under one lock of the caller's. Times are steady seconds.

    Told are answers (`asked` and `payload`) and, with `fault`, why there is none; an exception keeps its frame as
    payload, for its code.
    """

    def __init__(self, pace: Pace) -> None:
        self.up = False
        self.counts: dict[str, int] = {}
        self._pace = pace
        self._clear(0.0)

    def opened(self, now_s: float) -> None:
        self._clear(now_s + OPENED_S)
        self.up = True

    def closed(self) -> None:
        """Nothing is kept for later: the leases cut."""
        self._count("off_lost", len(self._queue.offs))
        self._clear(0.0)
        self.up = False

    def _clear(self, quiet_from_s: float) -> None:
        self.echoes: bool | None = None
        self._unechoed = 0  # answers without one since the last echo
        self._queue = Queue()
        self._now: _Exchange | None = None
        self._opened_s = self._heard_s = quiet_from_s  # since when the line is silent
        self._gap_s = 0.0  # what the protocol spoken last needs
        self._wanted_s: float | None = None  # since when somebody waits for silence
        self._between = b""  # heard while nobody was asked
        self._owed: dict[tuple[str, int], _Owed] = {}  # by unit and function
        self._failures: dict[str, int] = {}  # by address, in a row
        self._asked_again_s: dict[str, float] = {}
        self.deaf_s = 0.0  # how long nobody has answered though asked several times
        self._unheard = 0  # exchanges in a row without one good frame, and since when
        self._unheard_since_s = 0.0

    # -- what is wished, and what is heard ------------------------------------------------------------------------

    def put(self, message: Message, urgent: bool, now_s: float) -> bool:
        """False: it will not be said. An OFF is refused by a line that is down alone.

        What is asked in the train of an OFF is a question, and must not keep another OFF waiting.
        """
        urgent = urgent and bool(message.slot)
        if not self.up:
            return self._refuse("off_while_down" if urgent else "while_down")
        try:
            asked = exchange.asked(message.address, message.payload)
        except BadFrame:
            return self._refuse("no_request")
        became = self._queue.put(Wish(message, asked, urgent, now_s))
        self._count(became)
        return became != "full"

    def _refuse(self, why: str) -> bool:
        self._count(why)
        return False

    def hear(self, chunk: bytes, now_s: float) -> None:
        if not chunk or not self.up:
            return
        self._heard_s = max(self._heard_s, now_s)
        if self._now is None:
            self._between = (self._between + chunk)[-exchange.HEARD_MAX :]
        else:
            self._now.hearing.feed(chunk)

    # -- whose turn it is -----------------------------------------------------------------------------------------

    def turn(self, now_s: float) -> Turn:
        turn = Turn(told=[])
        if not self.up:
            return turn
        if self._now is not None and now_s >= self._over_s(self._now):
            self._finish(self._now, now_s, turn.told)
        if self._now is None:
            for wish in self._queue.expired(now_s):
                self._tell(turn.told, wish, EXPIRED)
            self._begin(now_s, turn)
        return turn

    def next_due_s(self) -> float | None:
        """When `turn` has something to do even if nothing is heard and nothing is put."""
        if not self.up:
            return None
        if self._now is not None:
            return self._over_s(self._now)
        may_s = min(map(self._may_s, self._waiting()), default=None)
        return None if may_s is None else max(may_s, self._silence_s())

    def _over_s(self, under_way: _Exchange) -> float:
        """When the exchange ends: by silence after an answer, at the latest when its time is over."""
        if not under_way.hearing.answers:
            return under_way.deadline_s
        return min(self._heard_s + self._gap_s, under_way.deadline_s)

    def _begin(self, now_s: float, turn: Turn) -> None:
        wish = next((wish for wish in self._waiting() if self._may_s(wish) <= now_s), None)
        if wish is None:
            self._wanted_s = None
            return
        if self._wanted_s is None:
            self._wanted_s = max(now_s, self._opened_s)
        if now_s < self._silence_s():
            return
        self._queue.take(wish)
        self._hear_between(turn.told, now_s)
        self._say(wish, now_s)
        turn.write = wish.message.payload

    def _waiting(self) -> Iterator[Wish]:
        return self._queue.waiting(self._asked_again_s)

    def _silence_s(self) -> float:
        """When the line has been silent for long enough for who spoke last and who is to be asked, or babbles on."""
        protocols = {wish.asked.protocol for wish in self._waiting()}
        silence_s = self._heard_s + max([self._gap_s, *map(self._pace.gap_s, protocols)])
        return silence_s if self._wanted_s is None else min(silence_s, self._wanted_s + NOISE_S)

    def _may_s(self, wish: Wish) -> float:
        """When its unit may be asked this: OFFs always, ONs when no late answer could be taken for theirs."""
        if wish.urgent:
            return 0.0
        owed = self._owed.get((wish.asked.unit, wish.asked.function))
        free_s = owed.until_s if owed is not None and owed.confuses(wish) else 0.0
        return free_s if wish.message.slot else max(free_s, self._asked_again_s.get(wish.address, 0.0))

    def _say(self, wish: Wish, now_s: float) -> None:
        asked, size = wish.asked, len(wish.message.payload)
        wish.attempts += 1
        self._count("sent")
        self._wanted_s = None
        self._gap_s = self._pace.gap_s(asked.protocol)
        self._heard_s = now_s + self._pace.sent_s(size)
        answer_s = self._pace.answer_within_s(asked.protocol, size, asked.reply_size)
        deadline_s = now_s + answer_s if asked.answered else self._heard_s
        self._now = _Exchange(wish, Hearing(asked, self.echoes is True), deadline_s)
        if not self._unheard:
            self._unheard_since_s = now_s

    # -- the end of an exchange -----------------------------------------------------------------------------------

    def _finish(self, ended: _Exchange, now_s: float, told: list[Message]) -> None:
        wish, hearing = ended.wish, ended.hearing
        self._now = None
        self._learn_echo(hearing)
        self._unheard = 0 if hearing.answers or hearing.strays else self._unheard + wish.asked.answered
        self.deaf_s = now_s - self._unheard_since_s if self._unheard >= DEAF_TIMES else 0.0
        for _, heard in hearing.strays:
            if (heard.unit, heard.function) != (wish.asked.unit, wish.asked.function):
                self._find_another(heard, told)
        hearing.strays = [stray for stray in hearing.strays if not self._is_late(stray[1], told, now_s)]
        fault = self._fault(wish, hearing, now_s)
        if fault in ("", EXCEPTION):
            self._answered(ended, fault, told, now_s)
        elif wish.asked.answered:
            self._failed(wish, fault, told, now_s)
        if wish.asked.answered and (fault != EXCEPTION or wish.urgent) and fault:
            self._queue.again(wish)

    def _fault(self, wish: Wish, hearing: Hearing, now_s: float) -> str:
        """An OFF waits for no late answer; what could be one to something else is then no answer to the OFF."""
        fault, owed = hearing.fault, self._still_owed(wish.asked.unit, wish.asked.function, now_s)
        if owed is None or not wish.urgent or (not fault and wish.asked.repeated):  # only its own looks like that
            return fault
        return LATE if fault in ("", EXCEPTION) and owed.confuses(wish) else fault

    def _answered(self, ended: _Exchange, fault: str, told: list[Message], now_s: float) -> None:
        wish, answer = ended.wish, ended.hearing.answers[0]
        self._failures.pop(wish.address, None)
        self._asked_again_s.pop(wish.address, None)
        before = self._still_owed(wish.asked.unit, wish.asked.function, now_s)
        if before is not None and before.strict:  # it may have been that answer: an OFF did not wait for it
            self._owe(wish, ended.deadline_s + LATE_S, strict=True)
        else:
            own = b"" if fault == EXCEPTION else answer.payload
            self._owe(wish, now_s + TWICE_S, strict=fault == EXCEPTION, answer=own)
        self._count(fault or "answered")
        told.append(Message(wish.address, answer.payload, asked=wish.message.payload, fault=fault))

    def _failed(self, wish: Wish, fault: str, told: list[Message], now_s: float) -> None:
        failures = self._failures[wish.address] = self._failures.get(wish.address, 0) + 1
        if failures >= SILENT_TIMES:
            wait_s = self._pace.back_off_s * min(2.0 ** min(failures - SILENT_TIMES, 10), BACK_OFF_MAX)
            self._asked_again_s[wish.address] = now_s + wait_s
        self._owe(wish, now_s + LATE_S, strict=True, late=True)
        self._tell(told, wish, fault)

    def _owe(self, wish: Wish, until_s: float, strict: bool, late: bool = False, answer: bytes = b"") -> None:
        self._owed[wish.asked.unit, wish.asked.function] = _Owed(wish, until_s, strict, late, answer)

    def _still_owed(self, unit: str, function: int, now_s: float) -> _Owed | None:
        owed = self._owed.get((unit, function))
        return owed if owed is not None and now_s <= owed.until_s else None

    def _hear_between(self, told: list[Message], now_s: float) -> None:
        """What came while nobody was asked answers nothing; but it may be late."""
        between, self._between = self._between, b""
        for protocol in {owed.wish.asked.protocol for owed in self._owed.values()} if between else ():
            for heard in exchange.finder(protocol).feed(between):
                self._find_another(heard, told)
                self._is_late(heard, told, now_s)

    def _is_late(self, heard: Heard, told: list[Message], now_s: float) -> bool:
        owed = self._still_owed(heard.unit, heard.function, now_s)
        if owed is not None and owed.late:  # and more may come: an OFF is repeated without waiting for that
            self._owe(owed.wish, max(owed.until_s, now_s + TWICE_S), strict=True, late=True)
            self._tell(told, owed.wish, LATE)
        return owed is not None

    def _find_another(self, heard: Heard, told: list[Message]) -> None:
        """What follows an answer, at whatever time, and is no copy of it, comes from a second unit of its address."""
        answered = self._owed.get((heard.unit, heard.function))
        if answered is not None and answered.answer not in (b"", heard.payload):
            self._tell(told, answered.wish, exchange.COLLISION)

    def _learn_echo(self, hearing: Hearing) -> None:
        """From what can't be mistaken alone: requests whose answer looks otherwise."""
        if hearing.request.repeated:
            return
        if hearing.echoed:
            self.echoes, self._unechoed = True, 0
        elif hearing.answers:
            self._unechoed += 1
            if self.echoes is None or self._unechoed >= UNECHOED_TIMES:
                self.echoes = False

    def _tell(self, told: list[Message], wish: Wish, fault: str) -> None:
        self._count(fault)
        told.append(Message(wish.address, b"", asked=wish.message.payload, fault=fault))

    def _count(self, what: str, times: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + times
