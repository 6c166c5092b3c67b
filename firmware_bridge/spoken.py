"""Who speaks which protocol, as `anchong decode` calls it: adopted piles by their family, strangers by their looks."""

import re
from collections.abc import Iterable, Mapping, Sequence

from firmware_bridge.orders import UNFIT
from firmware_bridge.transports.memory import matches
from firmware_bridge.wire import AskNow, Family, Overhears, Pile, Provision, SwitchOff, SwitchOn, Wish

# What `anchong decode` calls the wire of a family; a family with a protocol of its own is called by its name.
PROTOCOL_OF = {
    "tasmota": "tasmota-mqtt",
    "shelly": "shelly-rpc-mqtt",
    "anchong": "anchong-1",
    "pzem-004t": "modbus-pzem-004t-v3",
    "eastron-sdm": "modbus-eastron-sdm",
    "waveshare-relay": "modbus-relay-waveshare",
    "lc-relay": "modbus-relay-lc",
    "coil-relay": "modbus-rtu",
    "dlt645": "dlt645-2007",
}
OF_WIRE = {"modbus": "modbus-rtu", "dlt645": "dlt645-2007"}  # a unit of a bus that is none of ours


def protocol_of(family: str) -> str:
    return PROTOCOL_OF.get(family, family)


class Known:
    """Which address speaks which protocol: of the piles that are adopted, and by its looks of anything else."""

    def __init__(self, families: Mapping[str, Family], piles: Iterable[Pile] = ()) -> None:
        self.piles: list[Pile] = []
        self._families = families
        self._of: dict[str, str] = {}
        self.up: set[str] = set()  # what piles say
        self.down: set[str] = set()  # what they are told
        self._told_under: set[str] = set()
        self._said_under: set[str] = set()
        for pile in piles:
            self.add(pile)

    def add(self, pile: Pile) -> None:
        family = self._families.get(pile.family)
        try:
            driver = None if family is None else family.open(pile)
        except UNFIT:
            return  # the gateway's log says so
        if family is None or driver is None:
            return
        self.piles.append(pile)
        wishes: list[Wish] = [Provision(60.0), AskNow()]
        wishes += [
            wish for at, outlet in enumerate(pile.outlets) if outlet for wish in (SwitchOn(at, 60), SwitchOff(at))
        ]
        orders = {message.address for wish in wishes for message in driver.orders(wish)}
        heard = [*driver.listens(), *(driver.overhears() if isinstance(driver, Overhears) else ())]
        self.up |= set(heard)
        self.down |= orders | set(family.retained_commands(pile))
        self._of |= dict.fromkeys([*heard, *orders, *family.retained_commands(pile)], protocol_of(pile.family))
        self._of |= _meters(pile.params)
        self._told_under |= {topic.rpartition("/")[0] for topic in self.down}
        self._said_under |= {topic.rpartition("/")[0] for topic in self.up}

    def direction(self, topic: str) -> str:
        """A neighbour of nothing but commands is one."""
        parent = topic.rpartition("/")[0]
        told = topic in self.down or (parent in self._told_under and parent not in self._said_under)
        return "down" if told and topic not in self.up else "up"

    def protocol(self, address: str) -> str:
        return self._of.get(address) or self._discovered(address) or _by_looks(address)

    def _discovered(self, topic: str) -> str:
        """Where strangers of a family make themselves known."""
        families = (
            family for family in self._families.values() if any(matches(one, topic) for one in family.DISCOVERY)
        )
        return next((protocol_of(family.NAME) for family in families), "")


def _meters(params: Mapping[str, object]) -> dict[str, str]:
    """Of a composite: each meter at its own address speaks its own way."""
    meters = params.get("meters")
    named = [meter for meter in meters if isinstance(meter, dict)] if isinstance(meters, Sequence) else []
    return {str(meter.get("address")): protocol_of(str(meter.get("family"))) for meter in named}


def on_bus(address: str) -> bool:
    """`<bus>/<protocol>:<unit>`, not a topic."""
    return address.count("/") == 1 and ":" in address and _wire(address) in OF_WIRE


def _wire(address: str) -> str:
    return address.rpartition("/")[2].partition(":")[0]


def _by_looks(address: str) -> str:
    """Of a stranger; a guess that `decode` may refuse."""
    if on_bus(address):
        return OF_WIRE[_wire(address)]
    return next((protocol for pattern, protocol in _LOOKS if pattern.search(address)), "tasmota-mqtt")


_LOOKS = [
    (re.compile(pattern), protocol)
    for pattern, protocol in (
        (r"(^|/)(cmnd|stat|tele)(/|$)", "tasmota-mqtt"),
        (r"/(rpc|online)$|/(status|command)/[^/]+$", "shelly-rpc-mqtt"),
        (r"/(switch|sensor)/[^/]+/(state|command)$|/outlet/\d+/\w+$|/(boot|anchong|ask)$", "esphome"),
        (r"^zigbee2mqtt/|/bridge/|/(availability|set|get)$|^[^/]+/[^/]+$", "zigbee2mqtt"),
    )
]
