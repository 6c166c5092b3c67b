"""One Shelly payload, for people: everything known about it under plain names, the wire's own quantities and units."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from controller.core.errors import BadFrame
from firmware_bridge.codecs import shelly as codec
from firmware_bridge.codecs import shelly_names as names
from firmware_bridge.codecs.strict import KEYS, parsed, read_once, read_text

Means = dict[str, Any]
FIGURES = (
    ("id", "channel"),
    ("output", "on"),
    ("apower", "power_w"),
    ("voltage", "voltage_v"),
    ("current", "current_a"),
    ("pf", "power_factor"),
    ("freq", "frequency_hz"),
    ("source", "source"),
    ("timer_started_at", "timer_started_at"),
    ("timer_duration", "timer_duration_s"),
    ("errors", "errors"),
)
_ANY = msgspec.json.Decoder()


def decode(topic: str | None, direction: str, payload: bytes) -> Means:
    """BadFrame if nothing of it is known. A frame says itself what it is; plain words need their topic."""
    if topic is not None and topic.endswith(f"/{names.ONLINE}"):
        return {"available": codec.read_online(payload)}
    if not payload.lstrip().startswith(b"{"):
        return _plain(topic, direction, read_text(payload))
    frame = codec.read_frame(payload)
    read_once(payload)
    if frame.error is not UNSET and frame.error is not None:
        return {"id": _id(frame), "code": frame.error.code, "message": frame.error.message}
    if isinstance(frame.method, str):
        return _called(frame, frame.method)
    if isinstance(frame.result, Raw):
        return {"id": _id(frame), **_result(frame.result)}
    return _status(topic, payload)


def _id(frame: codec.Frame) -> Any:
    return codec.told(frame.id)


def _plain(topic: str | None, direction: str, text: str) -> Means:
    if text in ("true", "false") and not topic:
        return {"available": text == "true"}
    inner = names.prefix_of(topic or "", "command")
    leaf = (topic or "").rpartition("/command/")[2]
    if text in ("on", "off", "toggle", "status_update", "announce") and ("/command/" in (topic or "") or inner):
        match = codec.SWITCH_KEY.fullmatch(leaf)
        return ({"channel": int(match[1])} if match else {}) | {"command": text}
    raise BadFrame("malformed", f"{text[:40]!r} is no JSON object")


# -- frames -------------------------------------------------------------------------------------------------------


def _called(frame: codec.Frame, method: str) -> Means:
    params = frame.params if isinstance(frame.params, Raw) else None
    if method in ("NotifyStatus", "NotifyFullStatus"):
        return _src(frame) | _components(_needed(params, method))
    if method == "NotifyEvent":
        return _src(frame) | _events(_needed(params, method))
    means = ({"id": _id(frame)} if frame.id is not UNSET else {}) | _src(frame) | {"method": method}
    return means | (_params(method, params) if params is not None else {})


def _needed(params: Raw | None, method: str) -> Raw:
    if params is None:
        raise BadFrame("malformed", f"{method} without params")
    return params


def _src(frame: codec.Frame) -> Means:
    return {} if frame.src is UNSET else {"src": frame.src}


def _components(raw: Raw) -> Means:
    components = codec.components_of(raw)
    means: Means = {} if components.ts is None else {"ts": components.ts}
    if components.switches:
        switches = {f"switch:{number}": _figures(switch) for number, switch in components.switches.items()}
        means["switches"] = switches
    return means | ({"other_components": components.others} if components.others else {})


def _events(raw: Raw) -> Means:
    ts = parsed(_ANY, parsed(KEYS, raw).get("ts", Raw(b"null")))
    notes = [{"component": note.component, "event": note.event} for note in codec.notes_of(raw)]
    return ({"ts": ts} if isinstance(ts, int | float) else {}) | {"events": notes}


def _params(method: str, raw: Raw) -> Means:
    if method == "Switch.Set":
        wish = codec.set_of(raw)
        timer = {} if wish.toggle_after is UNSET else {"toggle_after": wish.toggle_after}
        return {"channel": wish.id, "on": wish.on, **timer}
    return _rest(codec.keys_of(raw))


def _rest(keys: dict[str, Raw]) -> Means:
    """As it stands, but for the number of the component, which would be taken for the frame's own."""
    return {"channel" if key == "id" else key: parsed(_ANY, value) for key, value in keys.items()}


def _result(raw: Raw) -> Means:
    keys = codec.keys_of(raw)
    if "output" in keys:
        return _figures(codec.switch_of(raw))
    if {"id", "mac", "gen"} <= keys.keys():
        return _announced(codec.announced_of(raw))
    if any(":" in key for key in keys):
        return _components(raw)
    return _rest(keys)


# -- status -------------------------------------------------------------------------------------------------------


def _status(topic: str | None, payload: bytes) -> Means:
    component, number = (topic and names.status_of(topic)) or ("switch", None)
    if component != "switch":
        return {"other_components": [component if number is None else f"{component}:{number}"]}
    keys = parsed(KEYS, payload)
    if {"id", "mac"} <= keys.keys():
        return _announced(codec.read_announced(payload))
    switch = codec.read_switch(payload)
    if number is not None and switch.id not in (UNSET, number):
        raise BadFrame("malformed", f"switch:{number} says it is {switch.id}")
    means = ({} if number is None else {"channel": number}) | _figures(switch)
    if not means.keys() - {"channel"}:
        raise BadFrame("unknown", f"none of its keys is known: {', '.join(keys)[:80]}")
    return means


def _figures(switch: codec.Switch) -> Means:
    means = {name: getattr(switch, key) for key, name in FIGURES if getattr(switch, key) is not UNSET}
    means |= _counted(switch.aenergy, "energy_total_wh")
    if isinstance(switch.aenergy, codec.Counter):
        means |= _minutes(switch.aenergy)
    means |= _counted(switch.ret_aenergy, "energy_returned_wh")
    if isinstance(switch.temperature, codec.Temperature) and switch.temperature.celsius is not UNSET:
        means["temperature_c"] = switch.temperature.celsius
    return means


def _counted(counter: codec.Counter | UnsetType | None, name: str) -> Means:
    return {name: counter.total} if isinstance(counter, codec.Counter) and counter.total is not UNSET else {}


def _minutes(counter: codec.Counter) -> Means:
    last = {"last_full_minute_mwh": counter.by_minute[0]} if counter.by_minute else {}
    return last | ({} if counter.minute_ts is UNSET else {"minute_ts": counter.minute_ts})


def _announced(told: codec.Announced) -> Means:
    known = {"device": told.id, "mac": told.mac, "generation": told.gen, "model": told.model, "firmware": told.ver}
    return {name: value for name, value in known.items() if value is not None}
