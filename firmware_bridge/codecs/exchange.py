"""What answers what on a bus: a request and the reply that is its own, by address, function, length and checksum."""

from collections.abc import Callable

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs import dlt645, modbus, pzem
from firmware_bridge.codecs.framing import Finder

MODBUS, DLT645 = "modbus", "dlt645"
ANSWER, EXCEPTION = "", "exception"
SILENT, ECHO, WRONG_UNIT, WRONG_FUNCTION = "silent", "echo", "wrong_unit", "wrong_function"
CRC, TRUNCATED, MALFORMED, COLLISION = "crc", "truncated", "malformed", "collision"
HEARD_MAX = 512  # of one exchange: two frames of the longest kind; what babbles on says nothing new

_REQUESTS: modbus.Layout = {**modbus.REQUESTS, **pzem.REQUESTS}
_REPLIES: modbus.Layout = {**modbus.REPLIES, **pzem.REPLIES}
_READS = {MODBUS: range(1, 5), DLT645: (dlt645.READ, dlt645.READ_ADDRESS)}
_IDLE = {MODBUS: b"\x00", DLT645: b"\x00" + dlt645.PREAMBLE}  # what a line says that says nothing
_DLT645_REPLY = 40  # preamble and some blocks; the time allowed for its begin leaves room for more
_REPEATED = (modbus.WRITE_COIL, modbus.WRITE_REGISTER, pzem.RESET_ENERGY, pzem.CALIBRATE)


class Asked(msgspec.Struct, frozen=True):
    """A request, and what its answer must look like."""

    protocol: str
    unit: str
    function: int
    payload: bytes
    likeness: bytes  # what of an answer's data is known beforehand
    reply_size: int  # bytes of the longest right answer
    answered: bool = True

    @property
    def reads(self) -> bool:
        """Asking again does no harm."""
        return self.function in _READS[self.protocol]

    @property
    def repeated(self) -> bool:
        """Its right answer is the same bytes, so that an adapter's echo looks like it."""
        return self.protocol == MODBUS and self.function in _REPEATED

    def like(self, other: "Asked") -> bool:
        """An answer to the other could be taken for one to this."""
        ours, others = (self.protocol, self.unit, self.function), (other.protocol, other.unit, other.function)
        return ours == others and (self.likeness, self.reply_size) == (other.likeness, other.reply_size)


class Heard(msgspec.Struct, frozen=True):
    """One whole frame with a right checksum."""

    unit: str
    function: int  # without what marks an answer or a failure
    failed: bool
    data: bytes
    payload: bytes


def asked(address: str, payload: bytes) -> Asked:
    """`address` is `<bus>/<protocol>:<unit>`; BadFrame if this is no request to that unit."""
    protocol, _, unit = address.rpartition("/")[2].partition(":")
    if protocol not in _ASKED:
        raise BadFrame("unknown", f"no protocol is called {protocol!r}")
    request = _ASKED[protocol](payload)
    if request.unit != unit.lower():
        raise BadFrame("unknown", f"a request to unit {request.unit}, not {unit}")
    return request


def _modbus_asked(payload: bytes) -> Asked:
    frame = modbus.read(payload, _REQUESTS)
    likeness, size = frame.data, len(payload)
    if frame.function in (modbus.READ_COILS, modbus.READ_INPUTS):
        likeness, size = b"", 5 + (frame.value + 7) // 8
    elif frame.function in (modbus.READ_HOLDING, modbus.READ_REGISTERS):
        likeness, size = b"", 5 + 2 * frame.value
    elif frame.function in (modbus.WRITE_COILS, modbus.WRITE_REGISTERS):
        likeness, size = frame.data[:4], 8
    return Asked(MODBUS, str(frame.unit), frame.function, payload, likeness, size)


def _dlt645_asked(payload: bytes) -> Asked:
    frame = dlt645.read_request(payload)
    likeness = frame.data[:4] if frame.function == dlt645.READ else b""
    to_all = frame.address == dlt645.EVERY
    return Asked(DLT645, frame.address, frame.function, payload, likeness, _DLT645_REPLY, not to_all)


_ASKED: dict[str, Callable[[bytes], Asked]] = {MODBUS: _modbus_asked, DLT645: _dlt645_asked}


# -- what comes back ----------------------------------------------------------------------------------------------


def judge(request: Asked, heard: Heard) -> str:
    """ANSWER or EXCEPTION if it is of this request, or what is wrong with it."""
    if not _is_unit(request.unit, heard.unit):
        return WRONG_UNIT
    if heard.function != request.function:
        return WRONG_FUNCTION
    if heard.failed:
        return EXCEPTION
    return ANSWER if _fits(request, heard) else MALFORMED


def _is_unit(wanted: str, unit: str) -> bool:
    """Digits of a meter's address may be left open."""
    return len(wanted) == len(unit) and all(want in (digit, "a") for want, digit in zip(wanted, unit, strict=True))


def _fits(request: Asked, heard: Heard) -> bool:
    if request.protocol == DLT645:
        return heard.data.startswith(request.likeness)
    return len(heard.payload) == request.reply_size and (request.reads or heard.data == request.likeness)


def finder(protocol: str) -> Finder[Heard]:
    """Frames of every unit: of a wrong one too they are worth knowing."""
    if protocol == DLT645:
        return Finder(dlt645.measure, _dlt645_heard, dlt645.FRAME_MAX)
    return Finder(lambda head: modbus.measure(head, _REPLIES), _modbus_heard, modbus.FRAME_MAX)


def _modbus_heard(payload: bytes) -> Heard:
    frame = modbus.read(payload, _REPLIES)
    failed = bool(frame.function & modbus.FAILED)
    return Heard(str(frame.unit), frame.function & ~modbus.FAILED, failed, frame.data, payload)


def _dlt645_heard(payload: bytes) -> Heard:
    frame = dlt645.read_reply(payload)
    return Heard(frame.address, frame.function, frame.failed, frame.data, payload)


class Hearing:
    """All that is heard while one answer is awaited. `echoes`: the line is known to repeat what we say."""

    def __init__(self, request: Asked, echoes: bool = False) -> None:
        self.request = request
        self.echoed = False
        self.answers: list[Heard] = []  # and exceptions
        self.strays: list[tuple[str, Heard]] = []  # whole frames that are not of this request, and why
        self._strip = echoes or not request.repeated
        dlt = request.protocol == DLT645  # adapters swallow some of the preamble
        self._echo = request.payload.lstrip(dlt645.PREAMBLE) if dlt else request.payload
        self._raw = self._rest = b""
        self._finder = finder(request.protocol)

    def feed(self, chunk: bytes) -> None:
        if len(self._raw) >= HEARD_MAX:
            return
        self._raw = (self._raw + chunk)[:HEARD_MAX]
        before, echo, after = self._raw.partition(self._echo) if self._strip else (self._raw, b"", b"")
        self.echoed = bool(echo)
        rest = before + after
        if not rest.startswith(self._rest):  # what looked like the beginning of an answer was that of our echo
            self._begin()
        for heard in self._finder.feed(rest[len(self._rest) :]):
            kind = judge(self.request, heard)
            if kind in (ANSWER, EXCEPTION):
                self.answers.append(heard)
            else:
                self.strays.append((kind, heard))
        self._rest = rest

    def _begin(self) -> None:
        self._finder = finder(self.request.protocol)
        self._rest = b""
        self.answers.clear()
        self.strays.clear()

    @property
    def fault(self) -> str:
        """Why there is no answer; nothing if there is one."""
        if self.answers:
            return self._of_answers()
        for kind in (WRONG_FUNCTION, MALFORMED, WRONG_UNIT):
            if any(kind == of for of, _ in self.strays):
                return kind
        if not self._rest.strip(_IDLE[self.request.protocol]):
            return ECHO if self.echoed else SILENT
        return _broken(self.request, self._rest)

    def _of_answers(self) -> str:
        """Two that say different things come from two units: neither is believed."""
        if any(other.payload != self.answers[0].payload for other in self.answers):
            return COLLISION
        return EXCEPTION if self.answers[0].failed else ANSWER


def _broken(request: Asked, rest: bytes) -> str:
    """Bytes that are no frame: cut short, changed on the way, or nothing that looks like one."""
    if request.protocol == DLT645:
        at, measure = rest.find(b"\x68"), dlt645.measure
    else:
        at, measure = rest.find(bytes((int(request.unit), request.function))), _modbus_measure
    if at < 0:
        return MALFORMED
    try:
        size = measure(rest[at:])
    except BadFrame:
        return MALFORMED
    return CRC if 0 < size <= len(rest) - at else TRUNCATED


def _modbus_measure(head: bytes) -> int:
    return modbus.measure(head, _REPLIES)
