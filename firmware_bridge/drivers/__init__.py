"""Every device family we speak to, by name; a new one is a word here."""

from collections.abc import Mapping
from typing import TypeVar

from firmware_bridge.drivers import (
    anchong1,
    coils,
    dlt645,
    eastron,
    esphome,
    lc,
    pzem,
    shelly,
    tasmota,
    waveshare,
    zigbee2mqtt,
)
from firmware_bridge.wire import BusFamily, Family

F = TypeVar("F", bound=Family)


def by_name(*families: F) -> dict[str, F]:
    return {family.NAME: family for family in families}


ON_BROKER: Mapping[str, Family] = by_name(tasmota, shelly, anchong1, zigbee2mqtt, esphome)
ON_BUS: Mapping[str, BusFamily] = by_name(waveshare, lc, coils, pzem, eastron, dlt645)
DRIVERS: Mapping[str, Family] = {**ON_BROKER, **ON_BUS}
