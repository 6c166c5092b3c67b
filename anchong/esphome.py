"""The `[[esphome]]` sections: what somebody's own YAML has made of a device, told to the gateway as a device found."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.core.events import PileFound, Stamp
from firmware_bridge.codecs.esphome import Outlet, Profile
from firmware_bridge.drivers.esphome import found

OBJECT = r"^[a-z0-9_-]{1,64}$"  # an object id, as it stands in the device's topics
TOPIC = r"^[^+#\s$/][^+#\s]{0,127}$"


class EsphomeOutlet(BaseModel):
    """Object ids; `lease` is the topic of its own script, `<prefix>/outlet/<n>/lease` if it is not named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    switch: str = Field(default="relay", pattern=OBJECT)
    power: str = Field(default="power", pattern=OBJECT)
    energy: str = Field(default="energy", pattern=OBJECT)
    voltage: str = Field(default="", pattern=rf"^$|{OBJECT}")
    current: str = Field(default="", pattern=rf"^$|{OBJECT}")
    lease: str = Field(default="", pattern=rf"^$|{TOPIC}")


class Esphome(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: str = Field(pattern=TOPIC)  # its topic_prefix; the pile's address for ever
    name: str = Field(default="ESPHome", max_length=64)
    power_unit: Literal["W", "kW"] = "W"
    energy_unit: Literal["Wh", "kWh"] = "Wh"
    ask: bool = False  # it answers on <prefix>/ask, as our YAML does
    outlet: list[EsphomeOutlet] = Field(default=[EsphomeOutlet()], min_length=1, max_length=16)


def found_by_settings(sections: Sequence[Esphome], now: Stamp) -> list[PileFound]:
    return [found(_profile(section), now) for section in sections]


def _profile(section: Esphome) -> Profile:
    outlets = tuple(Outlet(**outlet.model_dump()) for outlet in section.outlet)
    return Profile(section.prefix, section.name, "", section.power_unit, section.energy_unit, section.ask, outlets)
