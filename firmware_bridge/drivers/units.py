"""Addresses of units on a bus: `<bus>/<protocol>:<unit>`."""

MODBUS, DLT645 = "modbus", "dlt645"


def modbus_unit(address: str) -> int:
    """ValueError if it is no address of Modbus."""
    return int(_of(address, MODBUS))


def meter_number(address: str) -> str:
    """Twelve digits, as on the meter's plate. ValueError if it is none."""
    number = _of(address, DLT645)
    if len(number) != 12 or not number.isdecimal():
        raise ValueError(f"{address} is no meter's address")
    return number


def _of(address: str, protocol: str) -> str:
    spoken, _, unit = address.rpartition("/")[2].partition(":")
    if spoken != protocol:
        raise ValueError(f"{address} is no address of {protocol}")
    return unit
