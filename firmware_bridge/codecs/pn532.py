"""PN532 card readers on a serial line (HSU): frames to bytes and back, as their host or as the reader."""

from enum import Enum
from typing import TypeAlias

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs.framing import Finder

TO_READER, FROM_READER, ERROR = 0xD4, 0xD5, 0x7F
GET_FIRMWARE, SAM_CONFIGURATION, LIST_TARGETS = 0x02, 0x14, 0x4A
WAKE_UP = b"\x55\x55" + bytes(14)
DATA_MAX = 265  # of an extended frame: TFI, code, and what belongs to it
FRAME_MAX = 2 + 5 + DATA_MAX + 2
_START = b"\x00\xff"
_EXTENDED = b"\xff\xff"
_CASCADED = 0x20  # in SAK: the answer to select of ISO 14443-4 follows


class Handshake(Enum):
    ACK = b"\x00\xff"
    NACK = b"\xff\x00"


class Frame(msgspec.Struct, frozen=True):
    tfi: int
    data: bytes  # the code first; empty where the reader says that it understood nothing

    @property
    def code(self) -> int:
        return self.data[0]


class Card(msgspec.Struct, frozen=True):
    """As the reader has it: which way round the printed number goes is for whoever enrols it."""

    atqa: bytes
    sak: int
    uid: bytes
    ats: bytes = b""


Said: TypeAlias = Frame | Handshake


# -- bytes to frames ----------------------------------------------------------------------------------------------


def measure(head: bytes) -> int:
    """From the 00 FF that every frame begins with; 0 while its length is not told yet."""
    if not _START.startswith(head[:2]):
        raise BadFrame("malformed", "no 00 FF where a frame begins")
    if len(head) < 4:
        return 0
    if any(head[2:4] == handshake.value for handshake in Handshake):
        return 5
    if head[2:4] != _EXTENDED:
        return 2 + 2 + _length(head[2:3], head[3]) + 2
    return 2 + 5 + _length(head[4:6], head[6]) + 2 if len(head) > 6 else 0


def _length(told: bytes, check: int) -> int:
    if sum(told) + check & 0xFF:
        raise BadFrame("checksum", f"of the length: {check:02X} where {-sum(told) & 0xFF:02X} is right")
    size = int.from_bytes(told, "big")
    if not 0 < size <= DATA_MAX:
        raise BadFrame("length", f"{size} bytes: no reader sends that")
    return size


def read(frame: bytes) -> Said:
    """Exactly one frame from its 00 FF to the 00 after it."""
    size = measure(frame)
    if size != len(frame):
        raise BadFrame("length", f"{len(frame)} bytes where {size or 'more'} are declared")
    if frame[-1]:
        raise BadFrame("malformed", f"ends with {frame[-1]:02X}")
    if size == 5:
        return Handshake(frame[2:4])
    body, check = frame[7 if frame[2:4] == _EXTENDED else 4 : -2], frame[-2]
    if sum(body) + check & 0xFF:
        raise BadFrame("checksum", f"{check:02X} where {-sum(body) & 0xFF:02X} is right")
    return _checked(Frame(body[0], body[1:]))


def _checked(frame: Frame) -> Frame:
    if frame.tfi not in (TO_READER, FROM_READER, ERROR):
        raise BadFrame("malformed", f"frame identifier {frame.tfi:02X}")
    if bool(frame.data) == (frame.tfi == ERROR):
        raise BadFrame("length", f"{len(frame.data)} bytes after {frame.tfi:02X}")
    return frame


def read_all(payload: bytes) -> list[Said]:
    """A capture: one frame, or an ACK and what came after it, with what wakes a reader before it."""
    said: list[Said] = []
    rest = _ready(payload)
    while rest:
        rest = _from_start(rest)
        size = measure(rest)
        said.append(read(rest[: size or len(rest)]))
        rest = rest[size:]
    if not said or len(said) > 2 or (len(said) == 2 and said[0] is not Handshake.ACK):
        raise BadFrame("length", f"{len(said)} frames where one is asked for")
    return said


def _ready(payload: bytes) -> bytes:
    """Without the one byte that comes first over I2C."""
    return payload[1:] if payload.startswith(b"\x01\x00" + _START) else payload


def _from_start(payload: bytes) -> bytes:
    zeros = payload.lstrip(b"\x55")
    frame = zeros.lstrip(b"\x00")
    if len(zeros) - len(frame) < 2:
        raise BadFrame("length" if not frame else "malformed", "no 00 00 FF where a frame begins")
    return b"\x00" + frame


def finder() -> Finder[Said]:
    return Finder(measure, read, FRAME_MAX)


def cards(answer: Frame) -> list[Card]:
    """Of an answer to LIST_TARGETS for cards of ISO 14443 A; none if no card is there."""
    data = answer.data[1:]
    if answer.tfi != FROM_READER or answer.code != LIST_TARGETS + 1 or not data or data[0] > 2:
        raise BadFrame("malformed", "no list of targets")
    found: list[Card] = []
    rest = data[1:]
    for number in range(1, data[0] + 1):
        card, rest = _card(rest, number)
        found.append(card)
    if rest:
        raise BadFrame("length", f"{len(rest)} bytes after the last card")
    return found


def _card(data: bytes, number: int) -> tuple[Card, bytes]:
    if len(data) < 5 or len(data) < 5 + data[4]:
        raise BadFrame("length", f"card {number} ends early")
    uid, rest = data[5 : 5 + data[4]], data[5 + data[4] :]
    if data[0] != number or len(uid) not in (4, 7, 10):
        raise BadFrame("malformed", f"card {data[0]} with {len(uid)} bytes of UID")
    size = rest[0] if data[3] & _CASCADED and rest else 0  # its own byte counts
    if len(rest) < size:
        raise BadFrame("length", f"what card {number} selects ends early")
    return Card(data[1:3], data[3], uid, rest[:size]), rest[size:]


# -- frames to bytes ----------------------------------------------------------------------------------------------


def encode(said: Said) -> bytes:
    if isinstance(said, Handshake):
        return b"\x00" + _START + said.value + b"\x00"
    body = bytes((said.tfi,)) + said.data
    if len(body) > DATA_MAX:
        raise ValueError(f"{len(body)} bytes are too many for a frame")
    # A length of FF could be taken for an extended frame's mark by a reader that looks at one byte only.
    told = bytes((len(body),)) if len(body) < 0xFF else len(body).to_bytes(2, "big")
    mark = b"" if len(told) == 1 else _EXTENDED
    return b"\x00" + _START + mark + told + bytes((-sum(told) & 0xFF,)) + body + bytes((-sum(body) & 0xFF, 0))


def ask(code: int, params: bytes = b"") -> Frame:
    return Frame(TO_READER, bytes((code,)) + params)


def list_cards(most: int = 1) -> Frame:
    """Whether a card of ISO 14443 A lies on the reader."""
    return ask(LIST_TARGETS, bytes((most, 0)))


def answer(code: int, params: bytes = b"") -> Frame:
    """To the request of this code."""
    return Frame(FROM_READER, bytes((code + 1,)) + params)


def answer_cards(found: list[Card]) -> Frame:
    listed = (
        bytes((number,)) + card.atqa + bytes((card.sak, len(card.uid))) + card.uid + card.ats
        for number, card in enumerate(found, start=1)
    )
    return answer(LIST_TARGETS, bytes((len(found),)) + b"".join(listed))


# -- for people ---------------------------------------------------------------------------------------------------


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    means: dict[str, object] = {}
    for said in read_all(payload):
        means |= _frame(said, direction) if isinstance(said, Frame) else {"ack": said is Handshake.ACK}
    return means


def _frame(frame: Frame, direction: str) -> dict[str, object]:
    if frame.tfi == (TO_READER if direction == "up" else FROM_READER):
        raise BadFrame("malformed", f"frame identifier {frame.tfi:02X} goes the other way")
    if frame.tfi == ERROR:
        return {"tfi": "7F"}
    means: dict[str, object] = {"tfi": f"{frame.tfi:02X}", "code": f"{frame.code:02X}"}
    if frame.tfi == FROM_READER and frame.code == GET_FIRMWARE + 1:
        return means | _firmware(frame.data[1:])
    if frame.tfi == FROM_READER and frame.code == LIST_TARGETS + 1:
        return means | _listed(cards(frame))
    return means | ({"params": frame.data[1:].hex(" ").upper()} if frame.data[1:] else {})


def _firmware(params: bytes) -> dict[str, object]:
    """The chip is named by its two digits in hexadecimal: 32 is a PN532."""
    if len(params) != 4:
        raise BadFrame("length", f"{len(params)} bytes of a firmware's version")
    ic, version = f"{params[0]:02X}", f"{params[1]}.{params[2]}"
    # A number can't tell revision 10 from revision 1.
    return {"ic": int(ic) if ic.isdecimal() else ic, "version": float(version) if params[2] < 10 else version}


def _listed(found: list[Card]) -> dict[str, object]:
    means: dict[str, object] = {"targets": len(found)}
    for card in found[:1]:
        means |= {"atqa": card.atqa.hex().upper(), "sak": f"{card.sak:02X}", "uid": card.uid.hex().upper()}
        means |= {"ats_hex": card.ats.hex().upper()} if card.ats else {}
    return means | ({"uids": [card.uid.hex().upper() for card in found]} if len(found) > 1 else {})
