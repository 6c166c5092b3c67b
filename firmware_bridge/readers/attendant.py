"""One reader, attended: what it says becomes asks at the door, and the answers what is beeped and shown there."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from math import inf
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from controller.core.errors import Refused
from controller.ports import Shown
from firmware_bridge.readers.choice import Ask, Choice, Note, Wish
from firmware_bridge.readers.said import Fault, Feedback, Key, Reader, Ready, Said, Tap

SHOWN_S = 10.0
ANSWER_S = 4.0  # as for anybody who asks at the door
ASKED_MAX = 8  # one person, in haste

Answer: TypeAlias = "Future[dict[str, Any]]"
GONE, SILENT, READS = "gone", "silent", "reads"
FEEDBACK = {"started": Feedback.DONE, "stopped": Feedback.DONE} | dict.fromkeys(
    ("keyed", "choose", "chosen"), Feedback.NOTED
)


class _Asked(msgspec.Struct, frozen=True):
    ask: Ask
    answer: Answer
    at_s: float


class Attendant:
    """Driven by one thread; `faults`, `state`, `device`, `swipes` and `shown` may be read by any.

    `ask` takes a tap to the door, `number_of` knows what is printed on an outlet, `stranger` notes an unknown card.
    """

    def __init__(
        self,
        make: Callable[[], Reader],
        choice: Choice,
        ask: Callable[[Ask], Answer],
        number_of: Callable[[str], str],
        stranger: Callable[[str], None],
    ) -> None:
        self._make = make
        self._reader: Reader | None = None
        self._choice = choice
        self._ask = ask
        self._number_of = number_of
        self._stranger = stranger
        self._asked: list[_Asked] = []
        self._shown, self._shown_s = Shown(""), -inf
        self.faults: Counter[str] = Counter()
        self.state, self.device, self.swipes = GONE, "", 0

    def opened(self) -> None:
        self._reader, self.state = self._make(), SILENT

    def lost(self, why: str) -> None:
        """The port is gone, or can't be opened; told once, however often it is tried."""
        if self.state != GONE or not self.faults:
            self.faults[why] += 1
        self._reader, self.state = None, GONE
        self._choice.forget()
        self._asked.clear()  # whoever stood there has gone with it

    def turn(self, data: bytes, now_s: float) -> bytes:
        """What has come, or b""; returns what is to be sent."""
        if self._reader is None:
            return b""
        wishes = [wish for said in self._reader.hear(data, now_s) for wish in self._heard(said, now_s)]
        for wish in [*wishes, *self._choice.due(now_s)]:
            self._carry_out(wish, now_s)
        self._look_at_answers(now_s)
        return self._reader.say(now_s)

    def due_s(self) -> float:
        return min(inf if self._reader is None else self._reader.due_s(), self._choice.due_s())

    def shown(self, now_s: float) -> Shown | None:
        return self._shown if self._shown.kind and now_s - self._shown_s < SHOWN_S else None

    # -- what the reader says -------------------------------------------------------------------------------------

    def _heard(self, said: Said, now_s: float) -> list[Wish]:
        match said:
            case Tap():
                self.swipes += 1
                return self._choice.tapped(said.uid, now_s)
            case Key():
                return self._choice.typed(said.number, now_s)
            case Ready():
                self.state, self.device = READS, said.device
            case Fault():
                self._faulty(said, now_s)
        return []

    def _faulty(self, fault: Fault, now_s: float) -> None:
        self.faults[fault.kind] += 1
        if fault.kind == "silent":
            self.state = SILENT
        elif fault.kind == "two_cards":
            self._show(Shown("refused", code="two_cards"), now_s)

    # -- asks and answers -----------------------------------------------------------------------------------------

    def _carry_out(self, wish: Wish, now_s: float) -> None:
        if isinstance(wish, Note):
            self._show(Shown(wish.kind, wish.number), now_s)
        elif len(self._asked) >= ASKED_MAX:
            self._answered(wish, Refused("overloaded"), now_s)
        else:
            self._asked.append(_Asked(wish, self._ask(wish), now_s))

    def _look_at_answers(self, now_s: float) -> None:
        asked, self._asked = self._asked, []
        for one in asked:
            if one.answer.done():
                self._answered(one.ask, one.answer.exception() or one.answer.result(), now_s)
            elif now_s - one.at_s >= ANSWER_S:
                self._choice.answered(one.ask.uid, may_choose=False)
                self._show(Shown("slow"), now_s)  # a stop needs no answer to be one: nobody is told that it was none
            else:
                self._asked.append(one)

    def _answered(self, ask: Ask, answer: dict[str, Any] | BaseException, now_s: float) -> None:
        may_choose = isinstance(answer, dict) and "choose" in answer
        notes = self._choice.answered(ask.uid, may_choose) if not ask.outlet else []
        if isinstance(answer, BaseException):
            self._refused(ask, answer, now_s)
        elif may_choose:
            for note in notes:
                self._carry_out(note, now_s)
            if FEEDBACK.get(self._shown.kind) is Feedback.NOTED:
                self._shown = replace(self._shown, balance_fen=answer.get("balance_fen"))
        elif "repeat" not in answer:
            self._show(self._done(answer), now_s)

    def _refused(self, ask: Ask, why: BaseException, now_s: float) -> None:
        code = why.code if isinstance(why, Refused) else "other"
        if code == "card_unknown":
            self._stranger(ask.uid)
        number = self._number_of(ask.outlet) if ask.outlet else ""
        self._show(Shown("refused", number, code), now_s)

    def _done(self, answer: dict[str, Any]) -> Shown:
        kind, number = "stopped" if "stop" in answer else "started", self._number_of(answer["outlet"])
        return Shown(kind, number, balance_fen=answer.get("balance_fen"), cost_fen=answer.get("cost_fen"))

    def _show(self, shown: Shown, now_s: float) -> None:
        self._shown, self._shown_s = replace(shown, count=self._shown.count + 1), now_s
        if self._reader is not None:
            self._reader.tell(FEEDBACK.get(shown.kind, Feedback.REFUSED))
