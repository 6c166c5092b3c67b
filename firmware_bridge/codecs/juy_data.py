"""JUY's pile boards: what the data of a frame says, as far as its maker has written it down."""

import re
from collections.abc import Callable

from controller.core.errors import BadFrame
from firmware_bridge.codecs import juy
from firmware_bridge.codecs.fields import (
    Field,
    blank,
    byte,
    hex_,
    long,
    read_blocks,
    read_fields,
    scaled,
    text,
    whole_list,
    word,
)
from firmware_bridge.codecs.juy import Frame

_TOPIC = re.compile(r"JUY/(D2S|S2D)/(\d{15})/[^/]+/(DEV|SERVER)")
_NEW_PROTOCOL = 0x64  # from here on the signal's byte tells the protocol's version instead
_TENTHS, _HUNDREDTHS, _THOUSANDTHS = scaled(10), scaled(100), scaled(1000)
_PORT, _ORDER = byte("port"), long("order")
_WHICH = (_PORT, _ORDER)
_CARD = long("card_number")
_BALANCE = long("balance_cents")
_LIMITS = {2: long("money_cents"), 3: long("duration_s"), 4: long("energy_kwh", _HUNDREDTHS)}  # by charge mode
_LIMIT_AT = 11  # of a start: after port, order, start mode, card and charge mode
_TARIFF = (
    byte("tou_mode"),
    Field("price_and_service_yuan_per_kwh", 20, whole_list(2, _THOUSANDTHS)),  # by turns, from the dearest band
    byte("loss_percent"),
    Field("half_hours", 48, list),
)
_PARAMETERS = (
    byte("billing_mode"),
    word("coin_min"),
    word("card_min"),
    word("card_cents"),
    Field("tier_power_w", 16, whole_list(2)),
    Field("tier_price", 16, whole_list(2)),
    byte("float_power_w"),
    word("float_min"),
    byte("free_mode"),
    byte("temperature_max_c"),
    byte("smoke_alarm"),
    byte("volume"),
    long("energy_kwh", _HUNDREDTHS),
    byte("switches_code", hex_),
    word("plug_wait_s"),
    word("unplug_wait_s"),
    byte("card_type"),
    byte("unplug_power_w"),
    blank(11),
)
FIELDS: dict[tuple[str, int], tuple[Field, ...]] = {
    ("down", 0x81): (Field("time_hex", 7, hex_), byte("heartbeat_s"), byte("login_result")),
    ("up", 0x83): (*_WHICH, byte("start_mode"), byte("start_result")),
    ("down", 0x84): _WHICH,
    ("up", 0x84): (*_WHICH, byte("stop_result")),
    ("down", 0x85): _WHICH,
    ("up", 0x86): (*_WHICH, byte("start_mode"), long("money_cents"), _BALANCE, _CARD),
    ("down", 0x86): _WHICH,
    ("up", 0x87): (_PORT, _CARD, byte("operation")),
    ("down", 0x87): (_PORT, _CARD, _BALANCE, byte("card_result")),
    ("up", 0x89): _PARAMETERS,
    ("down", 0x8A): _PARAMETERS,
    ("down", 0x8C): (
        byte("link_mode"),
        Field("host", 18, text),
        Field("tcp_port", 6, text),
        Field("user", 10, text),
        Field("password", 10, text),
    ),
    ("down", 0x8D): _TARIFF,
    ("up", 0x8E): _TARIFF,
    ("up", 0xC0): (byte("rssi"), Field("device_imei", 15, text), blank(10)),
}
_AT_PORTS = (byte("charging_ports"), word("voltage_v", _TENTHS), byte("temperature_c"))
_AT_PORT = (
    _PORT,
    byte("tier"),
    word("price_cents"),
    word("power_w"),
    long("charged_s"),
    word("money_cents"),
    long("energy_kwh", _HUNDREDTHS),
    byte("port_temp_c"),
)
_PRICE = word("price_yuan_per_kwh", _THOUSANDTHS)
_BANDED = (
    _PORT,
    byte("band"),
    word("power_w"),
    long("charged_s"),
    word("money_yuan", _THOUSANDTHS),
    Field("band_energy_kwh_and_yuan", 20, whole_list(2, _THOUSANDTHS)),  # by turns, from the dearest band
    byte("port_temp_c"),
)


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    """Over MQTT the topic says who it is and which way it goes."""
    frame = juy.read(payload)
    sent = _TOPIC.fullmatch(topic or "")
    imei = frame.imei or (sent[2] if sent else "")
    means: dict[str, object] = {"command": f"{frame.command:02X}", "result": frame.result}
    means |= {"imei": imei} if imei else {}
    means |= {"data": frame.data.hex(" ").upper()} if frame.data else {}
    fields = _known(frame, ("up" if sent[1] == "D2S" else "down") if sent else direction)
    return means | ({"fields": fields} if fields else {})


def _known(frame: Frame, direction: str) -> dict[str, object]:
    """Nothing where the data is not what its maker writes of this command: it is shown as its bytes all the same."""
    blocks = _BLOCKS.get((direction, frame.command))
    try:
        return read_fields(frame.data, fields_of(frame, direction)) if blocks is None else blocks(frame.data)
    except BadFrame:
        return {}


def fields_of(frame: Frame, direction: str) -> tuple[Field, ...]:
    """What its data is made of, as far as that is known; ports that charge, told one by one, are not."""
    shape = _SHAPES.get((direction, frame.command))
    return FIELDS.get((direction, frame.command), ()) if shape is None else shape(frame.data)


def _login(data: bytes) -> tuple[Field, ...]:
    version = len(data) > 53 and data[53] >= _NEW_PROTOCOL
    signal = byte("protocol_version" if version else "rssi")
    named = (Field("hardware", 16, text), Field("software", 16, text), Field("iccid", 20, text))
    return (byte("ports"), *named, signal, byte("login_reason"))


def _heartbeat(data: bytes) -> tuple[Field, ...]:
    ports = data[2] if len(data) > 2 else 0
    return (byte("rssi"), byte("temperature_c"), byte("ports"), Field("port_states", ports, list))


def _start(data: bytes) -> tuple[Field, ...]:
    mode = data[_LIMIT_AT - 1] if len(data) >= _LIMIT_AT else 0
    limit = _LIMITS.get(mode, long("limit"))
    return (*_WHICH, byte("start_mode"), _CARD, byte("charge_mode"), limit, _BALANCE)


def _settlement(data: bytes) -> tuple[Field, ...]:
    """Of the tiers all that is certain is how many there were: the maker's table and example order them otherwise."""
    tiers = data[24] if len(data) > 24 else 0
    charged = (long("duration_s"), long("energy_kwh", _HUNDREDTHS), long("money_cents"))
    ended = (byte("stop_reason"), word("power_w"), _CARD)
    return (*_WHICH, *charged, *ended, byte("tiers"), Field("tiers_hex", 4 * tiers, hex_))


def _at_ports(data: bytes) -> dict[str, object]:
    return read_fields(data[:4], _AT_PORTS) | {"charging": read_blocks(data[4:], _AT_PORT)}


def _banded(data: bytes) -> dict[str, object]:
    """The price stands once, or with each port: which, the length tells."""
    means = read_fields(data[:4], _AT_PORTS)
    if (len(data) - 4) % 33 == 0:
        return means | {"charging": read_blocks(data[4:], (_PRICE, *_BANDED))}
    return means | read_fields(data[4:6], (_PRICE,)) | {"charging": read_blocks(data[6:], _BANDED)}


_SHAPES: dict[tuple[str, int], Callable[[bytes], tuple[Field, ...]]] = {
    ("up", juy.LOGIN): _login,
    ("up", juy.HEARTBEAT): _heartbeat,
    ("down", juy.START): _start,
    ("up", juy.SETTLEMENT): _settlement,
}
_BLOCKS: dict[tuple[str, int], Callable[[bytes], dict[str, object]]] = {("up", 0x88): _at_ports, ("up", 0x8F): _banded}
