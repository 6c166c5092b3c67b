"""What a Shelly does when asked: one function a method, given its parameters; errors in the device's own numbers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from firmware_bridge.codecs import shelly as codec
from simulators.twins.contact import FOREVER_S

if TYPE_CHECKING:
    from simulators.twins.shelly_firmware import Firmware
    from simulators.twins.shelly_outlet import Outlet

BAD_ARGUMENT, NOT_FOUND, NO_METHOD = -103, -105, 404
REBOOT_S = 1.0


class RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def answered(firmware: "Firmware", payload: bytes) -> None:
    """A frame without a source is carried out all the same, and answered to nobody."""
    try:
        frame = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if not isinstance(frame, dict) or not isinstance(frame.get("method"), str):
        return
    source, id_ = frame.get("src"), frame.get("id")
    try:
        result = _carried_out(firmware, frame["method"], frame.get("params") or {})
    except RpcError as error:
        answer = codec.failure(id_, firmware.config.id, str(source), error.code, str(error))
    else:
        answer = codec.reply(id_, firmware.config.id, str(source), result)
    if isinstance(source, str):
        firmware.answer(source, answer)


def commanded(firmware: "Firmware", leaf: str, word: str) -> None:
    """The plain commands: `…/command/switch:N` with one word; `…/command` with `status_update` or `announce`."""
    match = codec.SWITCH_KEY.fullmatch(leaf.removeprefix("/"))
    if match is not None and int(match[1]) < len(firmware.outlets) and word in ("on", "off", "toggle"):
        outlet = firmware.outlets[int(match[1])]
        firmware.switch(outlet, on=not outlet.on if word == "toggle" else word == "on", source="MQTT")


def _carried_out(firmware: "Firmware", method: str, params: dict[str, Any]) -> Any:
    if firmware.reboot_at_s < FOREVER_S:
        left_ms = (firmware.reboot_at_s - firmware.at_s) * 1000
        raise RpcError(codec.SHUTTING_DOWN, f"shutting down in {left_ms:.0f} ms")
    handler = METHODS.get(method.lower())
    if handler is None:
        raise RpcError(NO_METHOD, f"No handler for {method}")
    return handler(firmware, params)


def _outlet(firmware: "Firmware", params: dict[str, Any]) -> "Outlet":
    number = params.get("id")
    if not isinstance(number, int) or not 0 <= number < len(firmware.outlets):
        raise RpcError(NOT_FOUND, f"Argument 'id', value {number} not found!")
    return firmware.outlets[number]


def _set(firmware: "Firmware", params: dict[str, Any]) -> Any:
    outlet = _outlet(firmware, params)
    if not isinstance(params.get("on"), bool):
        raise RpcError(BAD_ARGUMENT, "Missing or bad argument 'on'!")
    was_on, after_s = outlet.on, params.get("toggle_after")
    firmware.switch(outlet, on=params["on"], source="MQTT", toggle_after_s=None if after_s is None else float(after_s))
    return {"was_on": was_on}


def _status(firmware: "Firmware", params: dict[str, Any]) -> Any:
    return firmware.switch_status(_outlet(firmware, params))


def _config(firmware: "Firmware", params: dict[str, Any]) -> Any:
    return _outlet(firmware, params).config


def _set_config(firmware: "Firmware", params: dict[str, Any]) -> Any:
    """All or nothing: one key that this model has not, or a limit beyond its own, and the whole is refused."""
    outlet, config = _outlet(firmware, params), params.get("config") or {}
    unknown = [key for key in config if key not in outlet.config]
    too_much = config.get("power_limit", 0) > firmware.config.power_limit
    if unknown or too_much:
        raise RpcError(BAD_ARGUMENT, f"Invalid argument {unknown or 'power_limit'}!")
    outlet.config |= config
    firmware.watch_soon()
    return {"restart_required": False}


def _place(firmware: "Firmware", params: dict[str, Any]) -> int:
    number = params.get("id")
    if not isinstance(number, int) or not 0 <= number < len(firmware.closed):
        raise RpcError(NOT_FOUND, f"Argument 'id', value {number} not found!")
    return number


def _input_status(firmware: "Firmware", params: dict[str, Any]) -> Any:
    return firmware.input_status(_place(firmware, params))


def _set_input(firmware: "Firmware", params: dict[str, Any]) -> Any:
    place, config = _place(firmware, params), params.get("config") or {}
    firmware.input_types[place] = config.get("type", firmware.input_types[place])
    return {"restart_required": False}


def _set_mqtt(firmware: "Firmware", params: dict[str, Any]) -> Any:
    firmware.configure_mqtt(params.get("config") or {})
    return {"restart_required": firmware.sys_status()["restart_required"]}


def _reset(firmware: "Firmware", params: dict[str, Any]) -> Any:
    outlet = _outlet(firmware, params)
    kinds = params.get("type") or ["aenergy", "ret_aenergy"]
    if "aenergy" in kinds:
        outlet.total_wh = 0.0
    if "ret_aenergy" in kinds:
        outlet.returned_wh = 0.0
    return {}


def _reboot(firmware: "Firmware", params: dict[str, Any]) -> Any:
    firmware.reboot_soon(REBOOT_S)
    return None


METHODS: dict[str, Callable[["Firmware", dict[str, Any]], Any]] = {
    "switch.set": _set,
    "switch.getstatus": _status,
    "switch.getconfig": _config,
    "switch.setconfig": _set_config,
    "switch.resetcounters": _reset,
    "input.getstatus": _input_status,
    "input.setconfig": _set_input,
    "mqtt.setconfig": _set_mqtt,
    "sys.getstatus": lambda firmware, params: firmware.sys_status(),
    "shelly.getstatus": lambda firmware, params: firmware.status(),
    "shelly.getdeviceinfo": lambda firmware, params: firmware.device_info(),
    "shelly.reboot": _reboot,
}
