"""The 0xEE family: what the data says, of the boards on TCP (DC589, WSD) and of the older ones on a serial line.

The older boards use commands below A0 and mean other things by the states of a port.
"""

from collections.abc import Callable

from controller.core.errors import BadFrame
from firmware_bridge.codecs import dongjun
from firmware_bridge.codecs.dongjun import Frame
from firmware_bridge.codecs.fields import (
    Field,
    blank,
    byte,
    digits,
    hex_,
    long,
    moment,
    read_blocks,
    read_fields,
    scaled,
    text,
    times,
    whole,
    whole_list,
    word,
)

_TENTHS, _THOUSANDTHS = scaled(10), scaled(1000)
_DIMES = times(10)  # 0.1 yuan in cents
_TIMED, _METERED = (0x00, 0x10), (0x01, 0x11)  # charge types; the second of each goes on when full
_CHARGE_TYPE_AT = 9  # of a start: after the port and the order


def _celsius(data: bytes) -> int:
    return data[0] - 50


def _seconds(data: bytes) -> int:
    """Minutes, and the seconds beside them."""
    return whole(data[:2]) * 60 + data[2]


def _host(data: bytes) -> str:
    return ".".join(str(whole(data[at : at + 2])) for at in range(0, len(data), 2))


def _span(name: str) -> Field:
    return Field(name, 3, _seconds)


_ACK, _PORT, _RESULT = byte("ack"), byte("port"), byte("result")
_CARD = long("card_number")
_ORDER = Field("order_hex", 8, digits)
_POWER = word("power_w", _TENTHS)
_BOARD, _MODULE = Field("board_number", 8, digits), Field("module_number", 8, digits)
_LEFT, _CHARGED = _span("left_s"), _span("charged_s")
_ENERGIES = (word("energy_left_kwh", _THOUSANDTHS), word("energy_kwh", _THOUSANDTHS))
_AT_PORT = (_PORT, _LEFT, _CHARGED, *_ENERGIES, _POWER)


def _time(name: str) -> Field:
    return Field(name, 6, moment)


_CHARGE = (
    _PORT,
    byte("port_state"),
    _ORDER,
    _time("started_at"),
    _LEFT,
    byte("charge_type"),
    _CHARGED,
    byte("pay_type"),
    *_ENERGIES,
    _POWER,
    byte("tier"),
    byte("money_cents", _DIMES),
    _CARD,
)
_PARAMETERS = (
    byte("work_mode"),
    byte("volume"),
    word("coin_amount"),  # minutes or 0.01 kWh, by the mode
    word("card_amount"),
    byte("card_cents", _DIMES),
    byte("card_refunds"),
    Field("tier_power_w", 10, whole_list(2, _TENTHS)),
    Field("tier_percent", 5, list),
    byte("full_stop"),
    word("float_power_w", _TENTHS),
    word("float_s"),
    word("unplug_s"),
    word("code"),
    byte("temperature_max_c"),
    Field("more_tier_power_w", 6, whole_list(2, _TENTHS)),
    Field("more_tier_percent", 3, list),
)
_DEFAULTS = (byte("kind"), word("unplug_power_w", _TENTHS), blank(2))
FIELDS: dict[int, tuple[Field, ...]] = {
    0xA0: (
        _BOARD,
        Field("hardware", 8, text),
        Field("software", 8, text),
        word("firmware"),
        _MODULE,
        Field("iccid", 10, digits),
        byte("rssi"),
    ),
    0xA1: (byte("offline"), _time("time")),
    0xA2: (byte("control"), byte("new_upgrade"), Field("upgrade", 8, text)),
    0xA3: (byte("control"), _ACK),
    0xA5: (_ACK,),
    0xA6: (word("heartbeat_s"), byte("report_ports")),
    0xA7: (_ACK,),
    0xA8: (_time("time"),),
    0xA9: (_time("time"),),
    0xB0: (byte("query"),),
    0xB2: (_PORT,),
    0xB3: _CHARGE,
    0xB4: _CHARGE,
    0xB5: (_ACK, _PORT),
    0xB6: (_PORT, _CARD, byte("fee_cents", _DIMES), blank(4)),
    0xB8: (_RESULT, _PORT),
    0xB9: (_PORT,),
    0xBA: (_RESULT, _PORT),
    0xBB: (
        byte("flag"),
        _PORT,
        _ORDER,
        _time("started_at"),
        _time("ended_at"),
        _LEFT,
        byte("charge_type"),
        _CHARGED,
        byte("pay_type"),
        *_ENERGIES,
        word("money_cents"),
        _CARD,
        byte("stop_reason"),
        byte("tier"),
        _POWER,
    ),
    0xBC: (_ACK, _PORT),
    0xBD: (byte("reason"), _CARD, word("balance_cents", _DIMES), blank(2)),
    0xC0: (_PORT, byte("fault_code", hex_), byte("temperature_c", _celsius), word("voltage_v")),
    0xC1: (_ACK, _PORT),
    0xC2: (_PORT, word("before_min"), byte("before_tier"), word("after_min"), byte("after_tier"), _POWER),
    0xC3: _PARAMETERS,
    0xC4: (_ACK,),
    0xC6: _PARAMETERS,
    0xD0: (byte("query"), _CARD),
    0xD1: (byte("card_result"), _CARD, word("balance_cents", _DIMES)),
    0xE0: (byte("action"), *_DEFAULTS),
    0xE1: (_ACK, *_DEFAULTS),
    0xF0: (Field("host", 8, _host), word("tcp_port"), blank(2)),
    0xF2: (byte("progress"), Field("module_imei", 15, text)),
}


def decode(topic: str | None, direction: str, payload: bytes) -> dict[str, object]:
    """Whoever asks begins with EE and whoever answers with 66, where the line is serial; on TCP both with EE."""
    frame = dongjun.read(payload)
    means: dict[str, object] = {"command": f"{frame.command:02X}"}
    means |= {"data": frame.data.hex(" ").upper()} if frame.data else {}
    fields = _known(frame)
    means |= {"result": fields.pop("result")} if "result" in fields else {}
    return means | ({"fields": fields} if fields else {})


def _known(frame: Frame) -> dict[str, object]:
    """Nothing where the data is not what is written of this command: makers differ, and its bytes are shown anyway."""
    board = _BOARDS.get(frame.command)
    try:
        return read_fields(frame.data, fields_of(frame)) if board is None else board(frame.data)
    except BadFrame:
        return {}


def fields_of(frame: Frame) -> tuple[Field, ...]:
    """What its data is made of, as far as that is known; a whole board's ports are not."""
    return _start(frame.data) if frame.command == 0xB7 else FIELDS.get(frame.command, ())


def _all_ports(data: bytes) -> dict[str, object]:
    """Of a serial board; its question has one byte of nothing."""
    if len(data) < 2 or len(data) != 1 + data[0]:
        return {}
    return {"ports": data[0], "port_states": list(data[1:])}


def _heartbeat(data: bytes) -> dict[str, object]:
    """The ports stand in it only where the board was told so."""
    means = read_fields(data[:17], (_BOARD, _MODULE, byte("rssi")))
    return means | (_whole_board(data[17:]) if len(data) > 17 else {})


def _whole_board(data: bytes) -> dict[str, object]:
    ports = data[4] if len(data) > 4 else 0
    states = Field("port_states", ports, list)
    board = (byte("status_code", hex_), word("voltage_v"), byte("temperature_c", _celsius), byte("ports"), states)
    means = read_fields(data, (*board, byte("charging_ports")))
    rest = data[6 + ports :]
    return means | ({"charging": read_blocks(rest, _AT_PORT)} if rest else {})


def _start(data: bytes) -> tuple[Field, ...]:
    kind = data[_CHARGE_TYPE_AT] if len(data) > _CHARGE_TYPE_AT else -1
    return (_PORT, _ORDER, byte("charge_type"), byte("pay_type"), _limit(kind), _CARD, word("balance_cents", _DIMES))


def _limit(charge_type: int) -> Field:
    if charge_type in _TIMED:
        return word("duration_s", times(60))
    return word("energy_kwh", _THOUSANDTHS) if charge_type in _METERED else word("limit")


_BOARDS: dict[int, Callable[[bytes], dict[str, object]]] = {0x01: _all_ports, 0xA4: _heartbeat, 0xB1: _whole_board}
