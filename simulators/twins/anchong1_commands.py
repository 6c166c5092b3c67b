"""What the reference device of anchong/1 does when told: each command once, an ON only if all of it is right."""

from typing import TYPE_CHECKING

from controller.core.errors import BadFrame
from firmware_bridge.codecs import anchong1 as codec

if TYPE_CHECKING:
    from simulators.twins.anchong1_firmware import Firmware
    from simulators.twins.anchong1_outlet import Outlet


def heard(firmware: "Firmware", payload: bytes, *, retained: bool) -> None:
    try:
        command = codec.read_down(payload)
    except BadFrame:
        refused = codec.refused_id(payload)
        if refused is not None:
            firmware.ack("unread", *refused, None)
        return
    id_, outlet = _id(command), _outlet(command)
    if firmware.repeats(_kind(command), id_):
        return
    why = _carried_out(firmware, command, retained)
    firmware.ack(_kind(command), id_, why, outlet)
    if why is None:
        _show(firmware, command)


def _kind(command: codec.Command) -> str:
    return type(command).__name__


def _id(command: codec.Command) -> str:
    return command.id if isinstance(command.id, str) else ""


def _outlet(command: codec.Command) -> int | None:
    match command:
        case codec.Ask():
            return None
        case codec.Off():
            return command.named
    return command.outlet


def _carried_out(firmware: "Firmware", command: codec.Command, retained: bool) -> str | None:
    """None, or the word why not."""
    match command:
        case codec.On():
            why = firmware.refuses(command, retained=retained)
            if why is None:
                firmware.switch_on(firmware.outlets[command.outlet - 1], command)
            return why
        case codec.Off():
            return _off(firmware, command)
        case codec.Set():
            return _set(firmware, command, retained)
        case codec.Ask():
            return None


def _off(firmware: "Firmware", order: codec.Off) -> str | None:
    """Never refused for its age: when in doubt, off. A number of this start also refuses what was sent before it."""
    meant = _meant(firmware, order.named)
    for outlet in meant:
        outlet.n = max(outlet.n, order.number if order.boot == firmware.boot_id else 0)
        outlet.switch_off("command")
        firmware.watch_soon()
    return None if meant else "outlet"


def _set(firmware: "Firmware", order: codec.Set, retained: bool) -> str | None:
    why = firmware.refuses_setting(order, retained=retained)
    if why is None:
        outlet = firmware.outlets[order.outlet - 1]
        outlet.lease_max_s = order.lease_max_s or outlet.lease_max_s
        outlet.limit_w = order.limit_w or outlet.limit_w
        firmware.watch_soon()
    return why


def _show(firmware: "Firmware", command: codec.Command) -> None:
    match command:
        case codec.Ask():
            firmware.say_all()
        case codec.Set():
            firmware.say_settings(firmware.outlets[command.outlet - 1])
        case codec.On() | codec.Off():
            for outlet in _meant(firmware, _outlet(command)):
                firmware.say_state(outlet)


def _meant(firmware: "Firmware", number: int | None) -> "list[Outlet]":
    return firmware.outlets if number is None else firmware.outlets[number - 1 : number]
