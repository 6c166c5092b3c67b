"""DNY (AP3000): what the data of a frame says. Older firmware ends earlier, newer goes on: read as far as is known."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from controller.core.errors import BadFrame
from firmware_bridge.codecs import dny
from firmware_bridge.codecs.dny import Frame


class Field(NamedTuple):
    name: str
    size: int
    value: Callable[[bytes], object]


def _whole(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _scaled(divisor: int) -> Callable[[bytes], float]:
    return lambda data: _whole(data) / divisor


def _hex(data: bytes) -> str:
    return data.hex().upper()


def _celsius(data: bytes) -> int | None:
    """None where no sensor is."""
    return data[0] - 65 if data[0] else None


def _host(data: bytes) -> str:
    text, _, rest = data.partition(b"\0")
    if any(rest) or not text.isascii():
        raise BadFrame("malformed", "no name of a host")
    return text.decode("ascii")


_TENTHS, _HUNDREDTHS, _THOUSANDTHS = _scaled(10), _scaled(100), _scaled(1000)


def _byte(name: str) -> Field:
    return Field(name, 1, _whole)


def _word(name: str, value: Callable[[bytes], object] = _whole) -> Field:
    return Field(name, 2, value)


_ORDER = Field("order_hex", 16, _hex)
_CARD = Field("card_bytes", 4, _hex)
_TIME = (Field("epoch_s", 4, _whole),)
FIELDS: dict[tuple[str, int], tuple[Field, ...]] = {
    ("up", 0x02): (_CARD, _byte("card_type"), _byte("port"), _word("purse_cents")),
    ("down", 0x02): (
        _CARD,
        _byte("status"),
        _byte("rate_mode"),
        Field("balance_cents", 4, _whole),
        _byte("port"),
    ),
    ("up", 0x03): (
        _word("duration_s"),
        _word("peak_power_w", _TENTHS),
        _word("energy_kwh", _HUNDREDTHS),
        _byte("port"),
        _byte("start_mode"),
        _CARD,
        _byte("stop_reason"),
        _ORDER,
        _word("second_peak_w", _TENTHS),
    ),
    ("up", 0x06): (
        _byte("port"),
        _byte("port_state"),
        _word("charged_s"),
        _word("energy_kwh", _HUNDREDTHS),
        _byte("start_mode"),
        _word("power_w", _TENTHS),
        _word("max_power_w", _TENTHS),
        _word("min_power_w", _TENTHS),
        _word("avg_power_w", _TENTHS),
        _ORDER,
        _word("energy_since_last_kwh", _HUNDREDTHS),
        _word("peak_power_w", _TENTHS),
        _word("voltage_v", _TENTHS),
        _word("current_a", _THOUSANDTHS),
        Field("ambient_c", 1, _celsius),
        Field("port_temp_c", 1, _celsius),
    ),
    ("down", 0x12): _TIME,
    ("up", 0x20): (
        _word("firmware", _HUNDREDTHS),
        _byte("ports"),
        _byte("virtual_id"),
        Field("device_type_code", 1, _hex),
        _byte("work_mode"),
        _word("psu_firmware", _whole),
    ),
    ("down", 0x22): _TIME,
    ("down", 0x34): (_word("port"), _byte("module"), _byte("socket_b"), Field("host", 46, _host)),
    ("down", 0x82): (
        _byte("rate_mode"),
        Field("balance_cents", 4, _whole),
        _byte("port"),
        _byte("action"),
        _word("duration_s"),
        _ORDER,
        _word("max_duration_s"),
        _word("overload_w", _TENTHS),
    ),
    ("down", 0x85): (_word("max_duration_s"), _word("overload_w", _TENTHS)),
    ("down", 0x86): (_byte("sector"), Field("card_key", 6, _hex), Field("new_card_key", 6, _hex)),
}
_STARTED = (_ORDER, _byte("port"), _word("waiting_ports"))
_STARTED_SHORT = (_byte("port"),)  # some units answer a start with no more than that


def _ported(data: bytes, *, old: bool) -> tuple[Field, ...]:
    """The heartbeat, whose fields are as many as the ports it counts; the older form has power per port."""
    before = [_word("firmware", _HUNDREDTHS)] if old else []
    before += [_word("voltage_v", _TENTHS), _byte("ports")]
    at = sum(field.size for field in before) - 1
    ports = data[at] if len(data) > at else 0
    states = Field("port_states", ports, list)
    if not old:
        return (*before, states, _byte("rssi"), Field("temperature_c", 1, _celsius))
    powers = (Field("power_w", 2 * ports, _powers), Field("peak_w", 2 * ports, _powers))
    return (*before, states, *powers, _byte("virtual_id"), _byte("rssi"), Field("device_type_code", 1, _hex))


def _powers(data: bytes) -> list[float]:
    return [_TENTHS(data[at : at + 2]) for at in range(0, len(data), 2)]


def read_fields(data: bytes, fields: Iterable[Field]) -> dict[str, object]:
    """As many as there are; what ends within one is cut, and what goes on behind them is not known here."""
    values: dict[str, object] = {}
    for field in fields:
        if not data and field.size:
            break
        if len(data) < field.size:
            raise BadFrame("length", f"{len(data)} bytes of {field.name}")
        values[field.name], data = field.value(data[: field.size]), data[field.size :]
    return values


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    if payload == dny.LINK:
        return {"fields": {"link": True}}
    if not payload.startswith(b"DNY") and len(payload) == 20:
        return {"fields": {"iccid": dny.read_iccid(payload)}}
    frame = dny.read(payload)
    return {"cmd": f"{frame.command:02X}"} | _means(frame, direction)


def _means(frame: Frame, direction: str) -> dict[str, object]:
    data = frame.data
    if (direction, frame.command) == ("up", 0x82) and data:
        started = _STARTED_SHORT if len(data) == 2 else _STARTED
        return {"result": data[0], "fields": read_fields(data[1:], started)}
    fields = _fields(frame, direction)
    if len(data) == 1 and (not fields or fields[0].size > 1):
        return {"fields": {"ack": data[0]}}
    if not fields and data:
        return {"data": data.hex(" ").upper(), "fields": {}}
    values = read_fields(data, fields)
    if "card_bytes" in values and frame.command == 0x02 and direction == "up":
        values = _with_number(values, data)
    return {"fields": values}


def _fields(frame: Frame, direction: str) -> tuple[Field, ...]:
    if direction == "up" and frame.command in (0x01, 0x21):
        return _ported(frame.data, old=frame.command == 0x01)
    return FIELDS.get((direction, frame.command), ())


def _with_number(values: dict[str, object], data: bytes) -> dict[str, object]:
    """A card's number is its bytes, the lowest first."""
    return {"card_bytes": values["card_bytes"], "card_number": _whole(data[:4])} | values
