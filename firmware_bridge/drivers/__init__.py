"""Every device family we speak to, by name; a new one is a line here."""

from firmware_bridge.drivers import shelly, tasmota
from firmware_bridge.wire import Family


def by_name(*families: Family) -> dict[str, Family]:
    return {family.NAME: family for family in families}


DRIVERS: dict[str, Family] = by_name(tasmota, shelly)
