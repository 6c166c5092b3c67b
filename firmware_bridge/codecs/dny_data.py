"""DNY (AP3000): what the data of a frame says. Older firmware ends earlier, newer goes on: read as far as is known."""

from controller.core.errors import BadFrame
from firmware_bridge.codecs import dny
from firmware_bridge.codecs.dny import Frame
from firmware_bridge.codecs.fields import Field, byte, hex_, long, read_fields, scaled, text, whole, whole_list, word

_TENTHS, _HUNDREDTHS, _THOUSANDTHS = scaled(10), scaled(100), scaled(1000)
_METERED = b"\x02"  # rate mode: what is asked for is energy, not time
_PACKETS = (0xE0, 0xE1, 0xE2, 0xF8, 0xF9, 0xFA)  # firmware, piece by piece


def _celsius(data: bytes) -> int | None:
    """None where no sensor is."""
    return data[0] - 65 if data[0] else None


def _host(data: bytes) -> str:
    try:
        return text(data)
    except BadFrame as bad:
        raise BadFrame("malformed", "no name of a host") from bad


_ORDER = Field("order_hex", 16, hex_)
_CARD = long("card_bytes", hex_)
_EPOCH = long("epoch_s")
_ENERGY = word("energy_kwh", _HUNDREDTHS)
_DEVICE = byte("device_type_code", hex_)
_SETTLED = (
    word("duration_s"),
    word("peak_power_w", _TENTHS),
    _ENERGY,
    byte("port"),
    byte("start_mode"),
    _CARD,
    byte("stop_reason"),
    _ORDER,
)
_LIMITS = (
    word("max_duration_s"),
    word("overload_w", _TENTHS),
    word("over_voltage_v", _TENTHS),
    word("under_voltage_v", _TENTHS),
)
_CARDS = (byte("sector"), Field("card_key", 6, hex_), Field("new_card_key", 6, hex_))
_RUNNING = (
    word("unplug_power_w", _TENTHS),
    word("unplug_s"),
    byte("float_percent"),
    word("float_detect_s"),
    word("float_s"),
    word("heartbeat_s"),
)
FIELDS: dict[tuple[str, int], tuple[Field, ...]] = {
    ("up", 0x02): (_CARD, byte("card_type"), byte("port"), word("purse_cents"), _EPOCH),
    ("down", 0x02): (_CARD, byte("status"), byte("rate_mode"), long("balance_cents"), byte("port")),
    ("up", 0x03): (*_SETTLED, word("second_peak_w", _TENTHS), _EPOCH, word("occupied_min")),
    ("up", 0x04): (byte("port"), byte("start_mode"), _CARD, word("charged_s"), _ORDER),
    ("down", 0x04): (byte("port"), byte("ack")),
    ("up", 0x05): (_DEVICE, word("firmware", _HUNDREDTHS), long("package_hex", hex_)),
    ("up", 0x06): (
        byte("port"),
        byte("port_state"),
        word("charged_s"),
        _ENERGY,
        byte("start_mode"),
        word("power_w", _TENTHS),
        word("max_power_w", _TENTHS),
        word("min_power_w", _TENTHS),
        word("avg_power_w", _TENTHS),
        _ORDER,
        word("energy_since_last_kwh", _HUNDREDTHS),
        word("peak_power_w", _TENTHS),
        word("voltage_v", _TENTHS),
        word("current_a", _THOUSANDTHS),
        byte("ambient_c", _celsius),
        byte("port_temp_c", _celsius),
        _EPOCH,
        word("occupied_min"),
    ),
    ("up", 0x11): (
        word("firmware", _HUNDREDTHS),
        byte("clock"),
        _EPOCH,
        byte("rssi"),
        byte("module"),
        Field("iccid", 20, text),
        byte("host_type_code", hex_),
        word("frequency"),
        Field("module_imei", 15, text),
        Field("module_firmware", 24, text),
    ),
    ("down", 0x12): (_EPOCH,),
    ("up", 0x20): (
        word("firmware", _HUNDREDTHS),
        byte("ports"),
        byte("virtual_id"),
        _DEVICE,
        byte("work_mode"),
        word("psu_firmware"),
    ),
    ("down", 0x22): (_EPOCH,),
    ("down", 0x34): (word("port"), byte("module"), byte("socket_b"), Field("host", 46, _host)),
    ("up", 0x41): (byte("ports"), long("doors_code", hex_), long("fans_code", hex_)),
    ("up", 0x42): (byte("alarm"), byte("port"), byte("input")),
    ("up", 0x43): _SETTLED,
    ("up", 0x44): (byte("alarm"), byte("port"), _ORDER),
    ("down", 0x72): (byte("port"), _ORDER),
    ("down", 0x82): (
        byte("rate_mode"),
        long("balance_cents"),
        byte("port"),
        byte("action"),
        word("duration_s"),
        _ORDER,
        word("max_duration_s"),
        word("overload_w", _TENTHS),
        byte("qr_light"),
        byte("long_mode"),
        word("extra_float_s"),
        byte("skip_short_check"),
        byte("ignore_unplug"),
        byte("force_full_stop"),
        byte("full_power_w"),  # whole watts, unlike all other powers
        byte("full_power_max_min"),
    ),
    ("down", 0x83): _RUNNING,
    ("up", 0x90): _RUNNING,
    ("down", 0x85): _LIMITS,
    ("up", 0x92): _LIMITS,
    ("down", 0x86): _CARDS,
    ("up", 0x93): _CARDS,
    ("down", 0x8A): (byte("rate_mode"), byte("port"), word("duration_s")),
    ("down", 0x8D): (byte("work_mode"),),
    ("down", 0x8F): (byte("card_mode"),),
    ("down", 0x96): (byte("locate_s"),),
    ("down", 0x97): (byte("mute"),),
    ("down", 0x98): (byte("function"), byte("port")),
}
# What begins with a result: of an order or of a piece of firmware.
_RESULT = byte("result")
_RESULT_SHORT = (_RESULT, byte("port"))  # some units answer a start with no more than that
RESULTS: dict[int, tuple[Field, ...]] = {
    0x72: (_RESULT, _ORDER),
    0x82: (_RESULT, _ORDER, byte("port"), word("waiting_ports")),
} | dict.fromkeys(_PACKETS, (_RESULT, word("packet")))


def _ported(data: bytes, *, old: bool) -> tuple[Field, ...]:
    """The heartbeat, whose fields are as many as the ports it counts; the older form has power per port."""
    before = [word("firmware", _HUNDREDTHS)] if old else []
    before += [word("voltage_v", _TENTHS), byte("ports")]
    at = sum(field.size for field in before) - 1
    ports = data[at] if len(data) > at else 0
    states = Field("port_states", ports, list)
    if not old:
        return (*before, states, byte("rssi"), byte("temperature_c", _celsius))
    powers = (Field("power_w", 2 * ports, whole_list(2, _TENTHS)), Field("peak_w", 2 * ports, whole_list(2, _TENTHS)))
    return (*before, states, *powers, byte("virtual_id"), byte("rssi"), _DEVICE)


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    if payload == dny.LINK:
        return {"fields": {"link": True}}
    if not payload.startswith(b"DNY") and len(payload) == 20:
        return {"fields": {"iccid": dny.read_iccid(payload)}}
    frame = dny.read(payload)
    return {"cmd": f"{frame.command:02X}"} | _means(frame, direction)


def _means(frame: Frame, direction: str) -> dict[str, object]:
    data, fields = frame.data, fields_of(frame, direction)
    if len(data) == 1 and _answers(frame, direction) and (not fields or fields[0].size > 1):
        return {"fields": {"ack": data[0]}}
    if not fields and data:
        return {"data": data.hex(" ").upper(), "fields": {}}
    values = read_fields(data, fields)
    if (direction, frame.command) == ("up", 0x02) and values:
        values = _with_number(values, data)
    result = {"result": values.pop("result")} if "result" in values else {}
    return result | {"fields": values}


def fields_of(frame: Frame, direction: str) -> tuple[Field, ...]:
    """What its data is made of, as far as that is known."""
    if direction == "up" and frame.command in RESULTS:
        return _RESULT_SHORT if frame.command == 0x82 and len(frame.data) == 2 else RESULTS[frame.command]
    if direction == "up" and frame.command in (0x01, 0x21):
        return _ported(frame.data, old=frame.command == 0x01)
    fields = FIELDS.get((direction, frame.command), ())
    if direction == "down" and frame.command in (0x82, 0x8A) and frame.data[:1] == _METERED:
        return tuple(_ENERGY if field.name == "duration_s" else field for field in fields)
    return fields


def _answers(frame: Frame, direction: str) -> bool:
    """What the server asks is acknowledged by the pile, what the pile says by the server."""
    asked = frame.command >= 0x70 or 0x31 <= frame.command <= 0x3A
    return asked == (direction == "up")


def _with_number(values: dict[str, object], data: bytes) -> dict[str, object]:
    """A card's number is its bytes, the lowest first; a longer one may follow, with its length before it."""
    means = {"card_bytes": values["card_bytes"], "card_number": whole(data[:4])} | values
    longer = data[13 : 13 + data[12]] if len(data) > 12 else b""
    return means | ({"card2_hex": hex_(longer)} if longer else {})
