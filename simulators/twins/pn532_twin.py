"""A PN532 at the other end of its line: asleep until woken, silent about cards until it has one or may give up."""

from firmware_bridge.codecs import pn532 as codec
from firmware_bridge.codecs.pn532 import Card, Frame, Handshake
from simulators.twins.card_field import CardField

FIRMWARE = b"\x32\x01\x06\x07"
RF_CONFIGURATION = 0x32
FOR_EVER = 0xFF
ATQA = {4: b"\x00\x04", 7: b"\x00\x44"}
NOT_UNDERSTOOD = codec.encode(Frame(codec.ERROR, b""))


class Pn532Twin:
    """`hear` returns what it says at once, `advance` what it says by itself. `silent` and `nacks` are faults."""

    def __init__(self) -> None:
        self.field = CardField()
        self.silent = False
        self.nacks = 0
        self.awake = False
        self._noise = b""
        self._finder = codec.finder()
        self._retries = FOR_EVER
        self._searching = 0  # for so many cards at most, until there is one

    def restart(self) -> None:
        """Its power was away for a moment."""
        self.awake, self._retries, self._searching = False, FOR_EVER, 0
        self._finder.clear()

    def garble(self, data: bytes) -> None:
        """Something else comes over its line."""
        self._noise += data

    def hear(self, data: bytes, now_s: float) -> bytes:
        self.awake = self.awake or b"\x55\x55\x00" in data
        frames = self._finder.feed(data)
        if self.silent or not self.awake:
            return b""
        return b"".join(self._answer(frame, now_s) for frame in frames if isinstance(frame, Frame))

    def advance(self, now_s: float) -> bytes:
        noise, self._noise = self._noise, b""
        found = self.field.cards(now_s)
        if not self._searching or not found or self.silent:
            return noise
        most, self._searching = self._searching, 0
        return noise + _listed(found[:most])

    def _answer(self, frame: Frame, now_s: float) -> bytes:
        if self.nacks:
            self.nacks -= 1
            return codec.encode(Handshake.NACK)
        return codec.encode(Handshake.ACK) + self._answered(frame, now_s)

    def _answered(self, frame: Frame, now_s: float) -> bytes:
        params, self._searching = frame.data[1:], 0
        match frame.code:
            case codec.GET_FIRMWARE:
                return codec.encode(codec.answer(codec.GET_FIRMWARE, FIRMWARE))
            case codec.SAM_CONFIGURATION:
                return codec.encode(codec.answer(codec.SAM_CONFIGURATION))
            case codec.LIST_TARGETS:
                return self._listing(params[0], now_s)
            case 0x32 if params[:1] == b"\x05":
                self._retries = params[3]
                return codec.encode(codec.answer(RF_CONFIGURATION))
        return NOT_UNDERSTOOD

    def _listing(self, most: int, now_s: float) -> bytes:
        found = self.field.cards(now_s)[:most]
        if not found and self._retries == FOR_EVER:
            self._searching = most
            return b""
        return _listed(found)


def _listed(found: list[bytes]) -> bytes:
    return codec.encode(codec.answer_cards([Card(ATQA.get(len(uid), b"\x00\x04"), 0x08, uid) for uid in found]))
