"""What a Zigbee2MQTT bridge says of its devices: who they are, which sockets they have, and by which names."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec
from msgspec import Raw

from controller.core.errors import BadFrame
from firmware_bridge.codecs.strict import parsed

DEVICES_MAX = 1 << 20
BASE = "zigbee2mqtt"
DEVICES, STATE, EVENT = "bridge/devices", "bridge/state", "bridge/event"
ON_TIME, COUNTDOWN = "on_time", "countdown"  # the timers that end an ON in the plug
TUYA = ("_TZ", "_TYZB", "_TYST")  # how the firmware of their modules names its maker, whoever sells the plug
SECONDS = ("", "s", "seconds")  # some count minutes
SOCKETS_MAX = 16
SETTABLE, ASKABLE = 0b010, 0b100
METERS = {"haElectricalMeasurement": "activePower", "seMetering": "currentSummDelivered"}  # and what is read there
INPUTS = ("switch_type", "external_trigger_mode")  # a module with terminals for a switch by the door
MEMORY = ("power_outage_memory", "power_on_behavior")  # what the relay does when the mains come back


class Socket(msgspec.Struct, frozen=True):
    """The names of what is said of one socket; empty: nobody says it. `asked` are those that can be asked for."""

    endpoint: str = ""
    state: str = "state"
    power: str = "power"
    energy: str = "energy"
    voltage: str = "voltage"
    current: str = "current"
    temperature: str = ""
    countdown: str = ""
    memory: str = ""
    memory_off: str | bool = "off"
    lock: str = ""
    asked: tuple[str, ...] = ("state",)
    reads: bool = False  # power and energy are not offered as answers, but stand in clusters that can be read


class Address(msgspec.Struct, frozen=True):
    """How to reach one device: `topic` is where it speaks, which follows its name; `ieee` is obeyed under any name."""

    topic: str
    ieee: str = ""
    base: str = BASE
    timer: str = ""  # none, and it can't be switched on
    has_inputs: bool = False
    sockets: tuple[Socket, ...] = (Socket(),)


class Feature(msgspec.Struct, frozen=True):
    type: str = ""
    name: str = ""
    property: str = ""
    access: int = 0
    endpoint: str = ""
    unit: str = ""
    value_off: object = None
    features: list["Feature"] = []


class Definition(msgspec.Struct, frozen=True):
    model: str = ""
    vendor: str = ""
    exposes: list[Feature] = []


class Clusters(msgspec.Struct, frozen=True):
    input: list[str] = []


class Endpoint(msgspec.Struct, frozen=True):
    clusters: Clusters = Clusters()


class Device(msgspec.Struct, frozen=True):
    """`definition` is null for what the bridge does not know; a device under interview may not have its name yet."""

    ieee_address: str
    friendly_name: str = ""
    type: str = ""
    disabled: bool = False
    manufacturer: str | None = None
    model_id: str | None = None
    software_build_id: str | None = None
    date_code: str | None = None
    definition: Definition | None = None
    endpoints: dict[str, Endpoint] = {}

    @property
    def meters_by_cluster(self) -> bool:
        return any(set(METERS) <= set(endpoint.clusters.input) for endpoint in self.endpoints.values())

    @property
    def firmware(self) -> str:
        return (self.software_build_id or self.date_code or "")[:64]


class _Who(msgspec.Struct, frozen=True):
    ieee_address: str = ""


class BridgeEvent(msgspec.Struct, frozen=True):
    type: str
    data: _Who = _Who()


_LIST = msgspec.json.Decoder(list[Raw])
_DEVICE = msgspec.json.Decoder(Device)
_EVENT = msgspec.json.Decoder(BridgeEvent)


@lru_cache(maxsize=2)  # every pile of a bridge reads the same list
def read_devices(payload: bytes) -> tuple[Device, ...]:
    """Those that can be read: one with an exotic definition must not hide the others."""
    if len(payload) > DEVICES_MAX:
        raise BadFrame("length", f"{len(payload)} bytes are more than any bridge lists")
    return tuple(_readable(payload))


def _readable(payload: bytes) -> Iterable[Device]:
    for raw in parsed(_LIST, payload):
        try:
            yield parsed(_DEVICE, raw)
        except BadFrame:
            continue


def read_event(payload: bytes) -> BridgeEvent:
    return parsed(_EVENT, payload)


def topic_of(base: str, device: Device) -> str:
    return f"{base}/{device.friendly_name or device.ieee_address}"


def address_of(base: str, device: Device) -> Address | None:
    """None: not a socket that we could meter, let alone switch."""
    if device.definition is None or device.disabled:
        return None
    told = {feature.property: feature for feature in _flat(device.definition.exposes) if feature.property}
    switches = [feature for feature in device.definition.exposes if feature.type == "switch"]
    states = [state for switch in switches for state in switch.features if state.name == "state" and state.property]
    if not 0 < len(states) <= SOCKETS_MAX or not any(feature.name == "power" for feature in told.values()):
        return None
    return Address(
        topic_of(base, device),
        device.ieee_address,
        base,
        _timer(device, states, told),
        any(name in told for name in INPUTS),
        tuple(_socket(state, told, reads=device.meters_by_cluster) for state in states),
    )


def _flat(features: Iterable[Feature]) -> Iterable[Feature]:
    """Switches, locks and the like have the properties inside them."""
    for feature in features:
        yield feature
        yield from _flat(feature.features)


def _timer(device: Device, states: Sequence[Feature], told: Mapping[str, Feature]) -> str:
    """A module of Tuya's takes the standard's timer for something else: it would switch ON, much later."""
    countdowns = [_named("countdown", state, told, SETTABLE) for state in states]
    if all(name and told[name].unit in SECONDS for name in countdowns):
        return COUNTDOWN
    by_tuya = (device.manufacturer or "").startswith(TUYA) or (device.model_id or "").startswith("TS0")
    return "" if by_tuya else ON_TIME


def _socket(state: Feature, told: Mapping[str, Feature], *, reads: bool) -> Socket:
    """What several sockets share is nobody's own: power and energy may not be; the voltage may."""

    def named(name: str, access: int = 0) -> str:
        return _named(name, state, told, access)

    def shared(name: str) -> str:
        return named(name) or (name if name in told else "")

    offered = (found for name in MEMORY for found in (named(name), name) if found in told)
    memory = next((found for found in offered if told[found].access & SETTABLE), "")
    lock = shared("child_lock")
    socket = Socket(
        endpoint=state.endpoint,
        state=state.property,
        power=named("power"),
        energy=named("energy"),
        current=named("current"),
        voltage=shared("voltage"),
        temperature=shared("device_temperature"),
        countdown=named("countdown", SETTABLE),
        memory=memory,
        memory_off=_off_of(told[memory]) if memory else "off",
        lock=lock if lock and told[lock].access & SETTABLE else "",
    )
    names = (socket.state, socket.power, socket.energy, socket.memory)
    asked = tuple(name for name in names if name in told and told[name].access & ASKABLE)
    # the timer's converter reads it where it is not marked as readable, too
    return msgspec.structs.replace(socket, asked=(*asked, *filter(None, [socket.countdown])), reads=reads)


def _named(name: str, state: Feature, told: Mapping[str, Feature], access: int) -> str:
    """Of the socket with this state: `power_l1` beside `state_l1`, `power` beside `state`."""
    own = f"{name}_{state.endpoint}" if state.endpoint and state.property != "state" else name
    return own if own in told and told[own].access & access == access else ""


def _off_of(memory: Feature) -> str | bool:
    return memory.value_off if isinstance(memory.value_off, str | bool) else "off"
