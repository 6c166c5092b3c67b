"""A right checksum around anything, so that a fuzzer gets past it: bytes in, a frame out."""

from collections.abc import Callable

from controller.core.errors import BadFrame
from firmware_bridge.codecs import dlt645, dny, dongjun, juy, m1, modbus, pn532

Seal = Callable[[bytes], bytes]
MOST = 200  # bytes of data; any of the families carries as many


def _modbus(body: bytes) -> bytes:
    return body[:250] + modbus.crc16(body[:250])


def _counted(body: bytes) -> bytes:
    """An answer to a read whose count fits."""
    return _modbus(body[:2] + bytes((len(body[2 : MOST + 2]),)) + body[2 : MOST + 2])


def _dlt645(body: bytes) -> bytes:
    return dlt645.encode(dlt645.Frame("558890213594", body[0] if body else 0x91, body[1:MOST]))


def _pn532(body: bytes) -> bytes:
    return pn532.encode(pn532.Frame(pn532.FROM_READER if len(body) % 2 else pn532.TO_READER, body[:MOST] or b"\x4b"))


def _m1(body: bytes) -> bytes:
    return m1.encode(m1.Frame(int.from_bytes(body[:2], "big"), body[2:MOST]))


def _dny(body: bytes) -> bytes:
    return dny.encode(dny.Frame(0x04AB373B, 1, body[0] if body else 0x82, body[1:MOST]))


def _juy(body: bytes) -> bytes:
    return juy.encode(juy.Frame(body[0] if body else 0x81, 0, body[1:MOST]))


def _dongjun(body: bytes) -> bytes:
    return dongjun.encode(dongjun.Frame(body[0] if body else 0xA4, data=body[1:MOST]))


SEALS: dict[str, tuple[Seal, ...]] = {
    "modbus-rtu": (_modbus, _counted),
    "modbus-pzem-004t-v3": (_modbus, _counted),
    "modbus-eastron-sdm": (_modbus, _counted),
    "modbus-relay-waveshare": (_modbus, _counted),
    "modbus-relay-lc": (_modbus, _counted),
    "dlt645-2007": (_dlt645,),
    "pn532-hsu": (_pn532,),
    "m1-reader-serial": (_m1,),
    "dny-ap3000": (_dny,),
    "juy-5aa5": (_juy,),
    "dongjun-0xEE": (_dongjun,),
}


def unsealed(protocol: str, frame: bytes) -> bytes | None:
    """What its first seal makes this frame of; None where it is none of the family's."""
    try:
        return _UNSEAL[protocol](frame)
    except BadFrame:
        return None


def _said_by_reader(frame: bytes) -> bytes:
    return b"".join(said.data for said in pn532.read_all(frame) if isinstance(said, pn532.Frame))


def _body(control: int, data: bytes) -> bytes:
    return bytes((control,)) + data


_UNSEAL: dict[str, Callable[[bytes], bytes]] = {
    **dict.fromkeys((name for name in SEALS if name.startswith("modbus")), lambda frame: frame[:-2]),
    "dlt645-2007": lambda frame: _body((read := dlt645.read(frame)).control, read.data),
    "pn532-hsu": _said_by_reader,
    "m1-reader-serial": lambda frame: (read := m1.read(frame)).code.to_bytes(2, "big") + read.data,
    "dny-ap3000": lambda frame: _body((read := dny.read(frame)).command, read.data),
    "juy-5aa5": lambda frame: _body((read := juy.read(frame)).command, read.data),
    "dongjun-0xEE": lambda frame: _body((read := dongjun.read(frame)).command, read.data),
}
