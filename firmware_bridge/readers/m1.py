"""Serial readers of M1 cards: the field on, then asked for a card several times a second; they beep what became of it.

Their answers do not say what they answer, so one thing is asked at a time.
"""

from collections import deque
from math import inf

from controller.core.errors import BadFrame
from firmware_bridge.codecs import m1 as codec
from firmware_bridge.codecs.m1 import Frame
from firmware_bridge.readers.listening import Listening
from firmware_bridge.readers.presence import Presence
from firmware_bridge.readers.said import Fault, Feedback, Ready, Said, kept

BAUD = 57600  # as its makers deliver it
POLL_S = 0.15
ANSWER_S = 2.0  # what its makers' own hosts wait
FIELD_EVERY_S = 5.0  # it says "no card" alike where its field went off with its power
AGAIN_S = (0.1, 1.0, 2.0, 5.0)
BEEPS_MAX = 4  # waiting; who swipes in haste is beeped at later, not for ever
BEEPS = {Feedback.DONE: codec.buzz(400), Feedback.NOTED: codec.buzz(60), Feedback.REFUSED: codec.buzz(100, 3)}
_FIELD = Frame(codec.FIELD_ON)
_POLL = codec.activate(0)  # look once, and say at once


class M1:
    def __init__(self, presence: Presence, reverse: bool = False) -> None:
        self._presence = presence
        self._reverse = reverse
        self._line = Listening(codec.measure, codec.read, codec.FRAME_MAX)
        self._asked: Frame | None = None
        self._set_up = False
        self._field_s = -inf  # when it was last told to have one, or a card was found in it
        self._due_s = -inf
        self._silent = 0
        self._beeps: deque[Frame] = deque(maxlen=BEEPS_MAX)
        presence.begin()

    def hear(self, data: bytes, now_s: float) -> list[Said]:
        frames, faults = self._line.feed(data)
        said: list[Said] = [*faults]
        for frame in frames:
            try:
                said += self._one(frame, now_s)
            except BadFrame as bad:
                said.append(Fault(bad.kind))
        if self._asked is not None and now_s >= self._due_s:
            said.append(Fault("silent"))
            self._again(now_s)
        return said

    def say(self, now_s: float) -> bytes:
        beeps = self._set_up and self._beeps
        if self._asked is not None or (now_s < self._due_s and not beeps):
            return b""
        self._asked = self._next(now_s)
        self._due_s = now_s + ANSWER_S
        return codec.encode(self._asked)

    def due_s(self) -> float:
        return self._due_s

    def tell(self, feedback: Feedback) -> None:
        self._beeps.append(BEEPS[feedback])

    def _next(self, now_s: float) -> Frame:
        if now_s - self._field_s >= FIELD_EVERY_S:
            self._field_s = now_s
            return _FIELD
        return self._beeps.popleft() if self._beeps else _POLL

    def _one(self, frame: Frame, now_s: float) -> list[Said]:
        asked, self._asked = self._asked, None
        if asked is None:
            return [Fault("unasked")]
        self._silent = 0
        self._due_s = now_s  # what is between two polls shall make nobody hold a card there for longer
        if asked is _POLL:
            self._due_s = now_s + POLL_S
            found = self._found(frame)
            self._field_s = now_s if found else self._field_s
            return self._presence.look(found, now_s)
        if asked is _FIELD and frame.code == 0:
            said: list[Said] = [] if self._set_up else [Ready("M1")]
            self._set_up = True
            return said
        return [Fault("not_understood")] if frame.code else []

    def _found(self, frame: Frame) -> list[str]:
        """Any status but 0 is no card."""
        if frame.code:
            return []
        if len(frame.data) != 4 and len(frame.data) < 6:
            raise BadFrame("length", f"{len(frame.data)} bytes of an activated card")
        uid = frame.data if len(frame.data) == 4 else frame.data[2:6]  # after its ATQA
        return [kept(uid, self._reverse)]

    def _again(self, now_s: float) -> None:
        self._presence.hold()
        self._line.clear()
        self._beeps.clear()
        self._asked, self._set_up, self._field_s = None, False, -inf
        self._due_s = now_s + AGAIN_S[min(self._silent, len(AGAIN_S) - 1)]
        self._silent += 1
