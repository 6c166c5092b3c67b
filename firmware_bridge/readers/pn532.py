"""PN532 readers on a serial line: woken, set up, asked for cards several times a second; woken again if silent."""

from math import inf

from controller.core.errors import BadFrame
from firmware_bridge.codecs import pn532 as codec
from firmware_bridge.codecs.pn532 import Frame, Handshake
from firmware_bridge.readers.listening import Listening
from firmware_bridge.readers.presence import Presence
from firmware_bridge.readers.said import Fault, Feedback, Ready, Said, kept

POLL_S = 0.15  # a card is held there for a third of a second at least
ANSWER_S = 1.0  # it answers within 50 ms; over a network later
AGAIN_S = (0.1, 1.0, 2.0, 5.0)  # between attempts to wake it
REPEATS_MAX = 3
RF_CONFIGURATION = 0x32
_NORMAL_MODE = codec.ask(codec.SAM_CONFIGURATION, b"\x01")
# Retries of ATR and PSL as they are by default; after one retry it says that no card is there. By default it would
# keep its answer until one comes, and be taken for silent.
_ANSWER_AT_ONCE = codec.ask(RF_CONFIGURATION, b"\x05\xff\x01\x01")
_PLAN = (_NORMAL_MODE, codec.ask(codec.GET_FIRMWARE), _ANSWER_AT_ONCE)
_POLL = codec.list_cards(2)  # two, so that two are seen


class Pn532:
    def __init__(self, presence: Presence, reverse: bool = False) -> None:
        self._presence = presence
        self._reverse = reverse
        self._line = Listening(codec.measure, codec.read, codec.FRAME_MAX, before=2)  # a 00; over I2C also a 01
        self._asked: Frame | None = None
        self._plan = list(_PLAN)
        self._device = ""
        self._due_s = -inf
        self._repeats = 0
        self._silent = 0
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
        if self._asked is not None or now_s < self._due_s:
            return b""
        wakes = len(self._plan) == len(_PLAN)
        self._asked = self._plan[0] if self._plan else _POLL
        self._due_s = now_s + ANSWER_S
        return (codec.WAKE_UP if wakes else b"") + codec.encode(self._asked)

    def due_s(self) -> float:
        return self._due_s

    def tell(self, feedback: Feedback) -> None:
        """It has neither light nor sound of its own."""

    def _one(self, frame: Frame | Handshake, now_s: float) -> list[Said]:
        if frame is Handshake.ACK:
            return []
        if self._asked is None:
            return [Fault("unasked")]
        if not isinstance(frame, Frame):
            return self._nacked(now_s)
        if frame.tfi == codec.ERROR:
            self._again(now_s)
            return [Fault("not_understood")]
        if frame.tfi != codec.FROM_READER or frame.code != self._asked.code + 1:
            return [Fault("unasked")]
        return self._answered(frame, now_s)

    def _answered(self, frame: Frame, now_s: float) -> list[Said]:
        self._asked, self._repeats, self._silent = None, 0, 0
        self._due_s = now_s + POLL_S
        if self._plan:
            return self._set_up(frame, now_s)
        return self._presence.look([kept(card.uid, self._reverse) for card in codec.cards(frame)], now_s)

    def _set_up(self, frame: Frame, now_s: float) -> list[Said]:
        if frame.code == codec.GET_FIRMWARE + 1:
            self._device = _named(frame.data[1:])
        self._due_s = now_s
        del self._plan[0]
        return [] if self._plan else [Ready(self._device)]

    def _nacked(self, now_s: float) -> list[Said]:
        """It asks for the same once more."""
        self._asked, self._due_s = None, now_s
        self._repeats += 1
        if self._repeats > REPEATS_MAX:
            self._again(now_s)
        return [Fault("nack")]

    def _again(self, now_s: float) -> None:
        """From its waking on; what lay there a second ago still does."""
        self._presence.hold()
        self._line.clear()
        self._asked, self._plan, self._repeats = None, list(_PLAN), 0
        self._due_s = now_s + AGAIN_S[min(self._silent, len(AGAIN_S) - 1)]
        self._silent += 1


def _named(version: bytes) -> str:
    """IC, version, revision, support."""
    if len(version) != 4:
        raise BadFrame("length", f"{len(version)} bytes of a firmware's version")
    return f"PN5{version[0]:02X} {version[1]}.{version[2]}"
