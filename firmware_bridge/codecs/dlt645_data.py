"""DL/T 645-2007: what the data of a frame says."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from controller.core.errors import BadFrame
from firmware_bridge.codecs import dlt645
from firmware_bridge.codecs.dlt645 import Frame


class Quantity(NamedTuple):
    name: str
    size: int  # bytes of two digits each, the lowest first
    decimals: int
    signed: bool = False  # by the top bit

    @property
    def scale(self) -> int:
        return int(10**self.decimals)


_PHASES = (("total", 0x00), ("a", 0x01), ("b", 0x02), ("c", 0x03))
_TARIFFS = (("", 0), ("_t1", 1), ("_t2", 2), ("_t3", 3), ("_t4", 4))
_ENERGIES = (
    (0x00, "combined_active_energy{}_kwh", True),
    (0x01, "forward_active_energy{}_kwh", False),
    (0x02, "reverse_active_energy{}_kwh", False),
    (0x03, "combined_reactive1{}_kvarh", True),
    (0x04, "combined_reactive2{}_kvarh", True),
)
QUANTITIES: dict[str, Quantity] = (
    {
        f"00{kind:02X}{number:02X}00": Quantity(name.format(tariff), 4, 2, signed)
        for kind, name, signed in _ENERGIES
        for tariff, number in _TARIFFS
    }
    | {f"0201{at:02X}00": Quantity(f"voltage_{phase}_v", 2, 1) for phase, at in _PHASES[1:]}
    | {f"0202{at:02X}00": Quantity(f"current_{phase}_a", 3, 3, True) for phase, at in _PHASES[1:]}
    | {f"0203{at:02X}00": Quantity(f"power_{phase}_kw", 3, 4, True) for phase, at in _PHASES}
    | {f"0204{at:02X}00": Quantity(f"reactive_{phase}_kvar", 3, 4, True) for phase, at in _PHASES}
    | {f"0205{at:02X}00": Quantity(f"apparent_{phase}_kva", 3, 4, True) for phase, at in _PHASES}
    | {f"0206{at:02X}00": Quantity(f"power_factor_{phase}", 2, 3, True) for phase, at in _PHASES}
    | {"02800002": Quantity("frequency_hz", 2, 2)}
)
STATUS_WORD_3 = "04000503"
_RELAY_OPEN = 1 << 4

COMMANDS = {
    0x1A: "trip",
    0x1B: "permit_close",
    0x1C: "direct_close",
    0x2A: "alarm_on",
    0x2B: "alarm_off",
    0x3A: "keep_supply_on",
    0x3B: "keep_supply_off",
}
_ERRORS = ("other", "no_such_data", "password", "baud", "years", "days", "tariffs")


def read_number(quantity: Quantity, data: bytes) -> float:
    if len(data) != quantity.size:
        raise BadFrame("length", f"{len(data)} bytes of {quantity.name}")
    negative = quantity.signed and bool(data[-1] & 0x80)
    digits = (data[:-1] + bytes((data[-1] & 0x7F,)) if negative else data)[::-1].hex()
    if not digits.isdecimal():
        raise BadFrame("malformed", f"{quantity.name} of the digits {digits}")
    return (-int(digits) if negative else int(digits)) / quantity.scale


def number_bytes(quantity: Quantity, value: float) -> bytes:
    """As a meter sends it."""
    count = round(value * quantity.scale)
    most = 10 ** (2 * quantity.size) - 1
    if not (-most * 4 // 5 < count < most * 4 // 5 if quantity.signed else 0 <= count <= most):
        raise ValueError(f"{value} does not fit {quantity.name}")
    data = bytearray(bytes.fromhex(f"{abs(count):0{2 * quantity.size}}")[::-1])
    data[-1] |= 0x80 if count < 0 else 0
    return bytes(data)


def relay(address: str, command: str, password: bytes, operator: bytes, until: datetime) -> Frame:
    """What a meter's relay shall do; `until` is how long the command holds, and no time after which it opens."""
    code = next(code for code, name in COMMANDS.items() if name == command)
    if len(password) != 4 or len(operator) != 4:
        raise ValueError("a password with its level and an operator are four bytes each")
    return Frame(address, dlt645.RELAY, password + operator + bytes((code, 0)) + time_bytes(until))


def time_bytes(time: datetime) -> bytes:
    return bytes.fromhex(time.strftime("%S%M%H%d%m%y"))


def _time(data: bytes) -> str | None:
    """None where there is none."""
    if not any(data):
        return None
    try:
        time = datetime.strptime("20" + data[::-1].hex(), "%Y%m%d%H%M%S")  # noqa: DTZ007 - the wire tells no zone
    except ValueError as error:
        raise BadFrame("malformed", f"no time is {_hex(data)}") from error
    return time.isoformat(" ")


def _hex(data: bytes) -> str:
    return data.hex(" ").upper()


# -- one frame, for people ----------------------------------------------------------------------------------------


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    frame = dlt645.read_reply(payload) if direction == "up" else dlt645.read_request(payload)
    means: dict[str, object] = {"address": frame.address, "control": f"{frame.control:02X}"}
    if frame.failed:
        return means | _failure(frame.data)
    return means | _MEANS.get(frame.control & ~dlt645.MORE, _raw)(frame.data)


def _raw(data: bytes) -> dict[str, object]:
    return {"data": _hex(data)} if data else {}


def _failure(data: bytes) -> dict[str, object]:
    if not 1 <= len(data) <= 2:
        raise BadFrame("length", f"{len(data)} bytes of an error")
    errors = [name for bit, name in enumerate(_ERRORS) if data[0] >> bit & 1]
    return {"error_code": _hex(data), "errors": errors}


def _question(data: bytes) -> dict[str, object]:
    """Two bytes are an identifier of the 1997 edition: shown, and never taken for one of ours."""
    if len(data) < 4:
        return _raw(_at_least(data, 2))
    return {"di": _di(data)} | _raw(data[4:])


def _reading(data: bytes) -> dict[str, object]:
    if len(data) < 4:
        return _raw(_at_least(data, 2))
    di, value = _di(data), data[4:]
    if di in QUANTITIES:
        return {"di": di, QUANTITIES[di].name: read_number(QUANTITIES[di], value)}
    return {"di": di} | _raw(value) | (_status(value) if di == STATUS_WORD_3 else {})


def _status(data: bytes) -> dict[str, object]:
    word = int.from_bytes(_exactly(data, 2), "little")
    return {"status_word3": f"{word:04X}", "relay": "open" if word & _RELAY_OPEN else "closed"}


def _meter(data: bytes) -> dict[str, object]:
    digits = _exactly(data, 6)[::-1].hex()
    if not digits.isdecimal():
        raise BadFrame("malformed", f"no meter's address is {digits}")
    return {"meter_address": digits}


def _command(data: bytes) -> dict[str, object]:
    code = _exactly(data, 16)[8]
    if code not in COMMANDS:
        raise BadFrame("unknown", f"command {code:02X}")
    return _authority(data[:8]) | {"command": COMMANDS[code], "valid_until": _time(data[10:])}


def _written(data: bytes) -> dict[str, object]:
    _at_least(data, 12)
    return {"di": _di(data)} | _authority(data[4:12]) | _raw(data[12:])


def _authority(data: bytes) -> dict[str, object]:
    level, password, operator = _hex(data[:1]), _hex(data[1:4]), _hex(data[4:])
    return {"password_level": level, "password_bytes": password, "operator_bytes": operator}


def _clock(data: bytes) -> dict[str, object]:
    return {"time": _time(_exactly(data, 6))}


def _nothing(data: bytes) -> dict[str, object]:
    _exactly(data, 0)
    return {}


def _di(data: bytes) -> str:
    return data[3::-1].hex().upper()


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise BadFrame("length", f"{len(data)} bytes of data where {size} belong")
    return data


def _at_least(data: bytes, size: int) -> bytes:
    if len(data) < size:
        raise BadFrame("length", f"{len(data)} bytes of data where {size} belong")
    return data


_ANSWERED = dlt645.ANSWERED
_MEANS: dict[int, Callable[[bytes], dict[str, object]]] = {
    dlt645.READ: _question,
    dlt645.READ | _ANSWERED: _reading,
    dlt645.READ_ADDRESS: _nothing,
    dlt645.READ_ADDRESS | _ANSWERED: _meter,
    dlt645.WRITE: _written,
    dlt645.WRITE | _ANSWERED: _nothing,
    dlt645.RELAY: _command,
    dlt645.RELAY | _ANSWERED: _nothing,
    dlt645.SET_TIME: _clock,
}
