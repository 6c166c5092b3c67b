"""A found device becomes a pile, or takes the place of a dead one; a relay board brings meters along. Pure.

What has served keeps its name in every record; new hardware is proven before it serves, like any other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.hardware import Hardware, bus_of, device_key, hardware_of, keys_of, meters_of, placed
from controller.core.house import House
from controller.core.load import pile_key
from controller.core.state import Outlet, OutletPhase, Rules

WATCHDOG_S = (15.0, 900.0)  # no shorter than what commissioning proves with, no longer than any lease
RELAY_ONLY = ("metering_only", "watchdog")  # by itself such a board never goes dark


class Device(msgspec.Struct, frozen=True):
    """What was found, or what stands there already. `lease_class` is what it can promise by itself."""

    hardware: Hardware
    channels: int
    lease_class: str
    lease_s_max: float


def adopt(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """Its outlets are adopted, and serve nothing yet. A channel without a number is left out."""
    device, site, pile = _found(house, event.subject), str(event.values["site"]), str(event.values["pile"])
    if site not in house.sites:
        raise Refused("unknown_site", f"there is no site {site}")
    outlets, numbers, stickers = (_texts(event.values[name]) for name in ("outlets", "numbers", "stickers"))
    if pile in house.piles or any(outlet in house.outlets for outlet in outlets):
        raise Refused("conflict", "a pile or an outlet of this id is known already")  # it may be locked, or cut
    if not len(outlets) == len(numbers) == len(stickers) == device.channels:
        raise Refused("invalid", f"this device has {device.channels} outlets: name each of them, or leave it out")
    used = {channel: outlets[channel] for channel, number in enumerate(numbers) if number}
    if not used:
        raise Refused("number_missing", "at least one outlet needs a number")
    whole = _assembled(house, device, used, event.values, {})
    made = [_outlet(event, site, channel, outlet, numbers[channel], rules) for channel, outlet in used.items()]
    labels = [fx.Put("sticker", _sticker(event, stickers[channel], outlet)) for channel, outlet in used.items()]
    return (
        fx.Put("pile", {**_plain(whole.hardware), **_named(event, site)}),
        *(fx.SaveOutlet(_unproven(outlet, whole, rules)) for outlet in made),
        *labels,
        *_no_longer_found(house, whole.hardware),
        fx.PileAdopted(pile, *_opened(whole.hardware, used)),
    )


def replaced(house: House, event: ev.StaffChange, rules: Rules) -> tuple[fx.Effect, ...]:
    """Other hardware under the same names: `found` (empty: the board stays), `meters` (None: that one stays).

    Whatever is new is proven anew before it serves; its counter begins elsewhere, so no charge may be under way.
    """
    pile, subject = event.subject, str(event.values.get("found") or "")
    if pile not in house.hardware:
        raise Refused("unknown", f"there is no pile {pile}")
    old, outlets = house.hardware[pile], _at_rest(house, pile)
    device = _found(house, subject) if subject else _standing(old, outlets)
    used = {outlet.channel: outlet.id for outlet in outlets}
    if max(used, default=-1) >= device.channels:
        raise Refused("too_few_outlets", f"that device has {device.channels} outlets, and more are in use here")
    whole = _assembled(house, device, used, event.values, old.params)
    anew = [outlet for outlet in outlets if subject or _is_other(old, whole.hardware, outlet.channel)]
    if not anew:
        raise Refused("unknown_device", "say which device takes its place")
    return (
        fx.SaveHardware(pile, event.at, whole.hardware, tuple(outlet.id for outlet in anew)),
        *(fx.SaveOutlet(_unproven(outlet, whole, rules)) for outlet in anew),
        *_no_longer_found(house, whole.hardware),
        fx.Audit(event.at, event.by, "hardware_was", pile, _plain(old)),
        fx.PileReplaced(pile, *_opened(whole.hardware, used), tuple(house.wired.get(pile, ()))),
    )


# -- the device ---------------------------------------------------------------------------------------------------


def _found(house: House, key: str) -> Device:
    found = house.found.get(key)
    if found is None or device_key(found["family"], found["address"]) in house.owners:
        raise Refused("unknown_device", f"no found device {key}")
    lease_class, lease_s_max = str(found.get("lease_class", "renewed")), float(found.get("lease_s_max", 900))
    return Device(hardware_of(found), found["channels"], lease_class, lease_s_max)


def _standing(old: Hardware, outlets: Sequence[Outlet]) -> Device:
    """The board of a pile as it is, to be given other meters."""
    meters = meters_of(old.params)
    if not meters or not outlets:
        raise Refused("unknown_device", "say which device takes its place")
    own = outlets[0]
    return Device(old, len(meters), "metering_only" if own.lease_class in RELAY_ONLY else own.lease_class, own.lease_s)


def _assembled(
    house: House, device: Device, used: Mapping[int, str], values: Mapping[str, Any], old: Mapping[str, Any]
) -> Device:
    """The device with all that its driver must know: the channels left out, the meters, the watchdog."""
    params = dict(device.hardware.params)
    if len(used) < device.channels:
        params["channels"] = device.channels  # those that are not ours are no fewer of its relays
    if "meters" not in params:
        if any(values.get("meters") or ()) or values.get("watchdog"):
            raise Refused("meter_unneeded", "this device measures by itself")
        return replace(device, hardware=replace(device.hardware, params=params))
    params["meters"] = _meters(house, device, used, values.get("meters"), old)
    watchdog = values.get("watchdog") or params.get("watchdog")
    if not watchdog:
        return replace(device, hardware=replace(device.hardware, params=params))
    params["watchdog"] = _watchdog(device, used, watchdog)
    return _watched(replace(device, hardware=replace(device.hardware, params=params)), params["watchdog"]["s"])


def _watched(device: Device, watchdog_s: float) -> Device:
    """A board without a timer has the watchdog's; one with a timer keeps its own, which cuts each outlet by itself."""
    lease_class = "watchdog" if device.lease_class == "metering_only" else device.lease_class
    return replace(
        device,
        lease_class=lease_class,
        lease_s_max=watchdog_s if lease_class == "watchdog" else min(device.lease_s_max, watchdog_s),
    )


def _watchdog(device: Device, used: Mapping[int, str], watchdog: Mapping[str, Any]) -> dict[str, Any]:
    """An external timer that cuts the whole board unless a coil of the board is pulsed in time."""
    s, channel = float(watchdog["s"]), int(watchdog["channel"])
    if not WATCHDOG_S[0] <= s <= WATCHDOG_S[1]:
        raise Refused("watchdog", f"a watchdog cuts within {WATCHDOG_S[0]:.0f} to {WATCHDOG_S[1]:.0f} s")
    if not 0 <= channel < device.channels or channel in used:
        raise Refused("watchdog", "a watchdog needs a relay of the board's own, and no outlet on it")
    return {"s": s, "channel": channel}


# -- its meters ---------------------------------------------------------------------------------------------------


def _meters(
    house: House, device: Device, used: Mapping[int, str], chosen: object, old: Mapping[str, Any]
) -> list[dict[str, str] | None]:
    """By channel: as chosen, else the one that stands there; none where no outlet is."""
    keys = list(chosen) if isinstance(chosen, list | tuple) else []
    keys, before = keys + [None] * device.channels, [*meters_of(old), *[None] * device.channels]
    if any(key for channel, key in enumerate(keys) if channel not in used):
        raise Refused("number_missing", "a channel with a meter needs a number")
    meters: list[dict[str, str] | None] = []
    for channel in range(device.channels):
        new = None if keys[channel] is None or keys[channel] == "" else _meter(house, str(keys[channel]))
        meters.append((new or before[channel]) if channel in used else None)
    _check_meters(device, used, meters)
    return meters


def _meter(house: House, key: str) -> dict[str, str]:
    """A found device that measures, and nothing else."""
    found = house.found.get(key)
    family, _, address = key.partition(":")
    if device_key(family, address) in house.owners:
        raise Refused("meter_taken", f"{key} belongs to a pile already")
    if found is None:
        raise Refused("unknown_device", f"no found device {key}")
    if found["lease_class"] != "metering_only" or found["channels"] != 1 or "meters" in found["params"]:
        raise Refused("meter_unfit", f"{key} is no meter of one circuit")
    return {"family": found["family"], "address": found["address"]}


def _check_meters(device: Device, used: Mapping[int, str], meters: list[dict[str, str] | None]) -> None:
    there = [meter for meter in meters if meter is not None]
    if any(meters[channel] is None for channel in used):
        raise Refused("meter_missing", "without a meter nothing can be sold: choose one, or leave the channel out")
    bus = bus_of(device.hardware.address)
    if not bus or any(bus_of(meter["address"]) != bus for meter in there):
        raise Refused("meter_elsewhere", "a board and its meters must be on the same bus")
    units = [device.hardware.address, *(meter["address"] for meter in there)]
    if len(set(units)) < len(units):
        raise Refused("meter_taken", "a meter measures one channel only")


def _is_other(old: Hardware, new: Hardware, channel: int) -> bool:
    watchdog = old.params.get("watchdog") != new.params.get("watchdog")
    return watchdog or meters_of(old.params)[channel] != meters_of(new.params)[channel]


def _no_longer_found(house: House, hardware: Hardware) -> list[fx.Effect]:
    """Whatever else was found at these addresses is one of these devices under another name."""
    keys = set(keys_of(hardware))
    return [
        fx.Drop("found", id_) for id_, row in house.found.items() if device_key(row["family"], row["address"]) in keys
    ]


# -- rows ---------------------------------------------------------------------------------------------------------


def _at_rest(house: House, pile: str) -> list[Outlet]:
    """The pile's outlets by channel, if nothing is under way there."""
    feeder = house.grid.feeders.get(pile_key(pile))
    outlets = sorted((house.outlets[id_] for id_ in (feeder.outlets if feeder else ())), key=lambda o: o.channel)
    for outlet in outlets:
        if outlet.id in house.sessions or outlet.phase is OutletPhase.PROVING:
            raise Refused("busy", f"outlet {outlet.number} is in use")
        if outlet.locked_by is not None:
            raise Refused("locked", f"outlet {outlet.number} is locked")
    return outlets


def _outlet(event: ev.StaffChange, site: str, channel: int, outlet: str, number: str, rules: Rules) -> Outlet:
    return Outlet(
        id=outlet,
        pile=str(event.values["pile"]),
        site=site,
        channel=channel,
        number=number,
        phase=OutletPhase.ADOPTED,
        lease_class="",
        lease_s=rules.lease_s,
        power_w=rules.outlet_w,
    )


def _unproven(outlet: Outlet, device: Device, rules: Rules) -> Outlet:
    """On this device, of which nothing has been seen yet."""
    metering_only = device.lease_class == "metering_only"
    return replace(
        outlet,
        phase=OutletPhase.METERING_ONLY if metering_only else OutletPhase.ADOPTED,
        lease_class=device.lease_class,
        lease_s=min(rules.lease_s, device.lease_s_max),
        firmware=device.hardware.firmware,
        commissioned_at=None,
        record={},
        proof=None,
        failed=None,
        failure=None,
    )


def _plain(hardware: Hardware) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.structs.asdict(hardware)
    return values


def _named(event: ev.StaffChange, site: str) -> dict[str, object]:
    return {"id": event.values["pile"], "site_id": site, "name": event.values["name"], "adopted_at": event.at}


def _sticker(event: ev.StaffChange, sticker: str, outlet: str) -> dict[str, object]:
    return {"id": sticker, "outlet_id": outlet, "made_at": event.at, "retired_at": None}


def _opened(hardware: Hardware, used: Mapping[int, str]) -> tuple[str, str, tuple[str, ...], dict[str, object]]:
    return hardware.family, hardware.address, placed(used.items(), hardware.params), hardware.params


def _texts(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, list | tuple) else []
