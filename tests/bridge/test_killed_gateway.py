"""A gateway that dies at any moment: every device with a timer is dark within its lease, whatever it was just told.

And what has no timer can't be put into service.
"""

from typing import Any

import pytest

from controller.core import events as ev
from controller.core.state import OutletPhase
from firmware_bridge.drivers import DRIVERS, ON_BROKER, ON_BUS
from firmware_bridge.wire import LeaseClass, Message, Pile, Provision, SwitchOff, SwitchOn
from simulators.twins.lines import BOARD, WATCHDOG
from tests.bridge import test_pairs as broker
from tests.bridge.on_a_bus import BOARDS, METERS, Pair
from tests.core.desk_rig import Desk

LEASE_S = 120.0
LEEWAY_S = 1.0
TIMED = sorted([*ON_BROKER, *BOARDS])  # by itself, or by the timer relay before it


class Device:
    """A twin of either kind with its driver, until the gateway dies: from then on time passes for the twin alone."""

    def __init__(self, name: str) -> None:
        self.pair = broker.Pair(name, 100.0) if name in ON_BROKER else Pair(name, 100.0)
        self.lease_s = WATCHDOG[0] if name == "coil-relay" else LEASE_S

    def renew(self) -> None:
        self.pair.wish(SwitchOn(0, self.lease_s))

    def orders(self) -> list[Message]:
        return list(self.pair.driver.orders(SwitchOn(0, self.lease_s)))

    def told(self, message: Message) -> None:
        if isinstance(self.pair, Pair):
            self.pair.line(message.payload, self.pair.now_s)
        else:
            self.pair.twin.receive(message.address, message.payload, message.retained, self.pair.now_s)

    def powered(self, dead_for_s: float = 0.0) -> bool:
        at_s = self.pair.now_s + dead_for_s
        if isinstance(self.pair, Pair):
            self.pair.line.advance(at_s)
            return self.pair.line.powered(BOARD, 0)
        self.pair.twin.advance(at_s)
        return self.pair.twin.powered(0)

    def cycle(self) -> None:
        twin = self.pair.line if isinstance(self.pair, Pair) else self.pair.twin
        twin.power_cycle(self.pair.now_s)


# How long, in leases, after each ON but the last the next one comes.
LIVES: dict[str, list[float]] = {
    "just switched on": [],
    "renewed once": [1 / 3],
    "renewed for long": [1 / 3] * 30,
    "renewed late": [0.95, 1 / 3],
    "renewed after its cut": [1.5],
}


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("name", TIMED)
def test_it_is_dark_within_its_lease_of_the_last_word(name: str, life: str) -> None:
    device = Device(name)
    for leases in LIVES[life]:
        device.renew()
        device.pair.run(leases * device.lease_s)
    device.renew()
    assert device.powered()

    assert not device.powered(dead_for_s=device.lease_s + LEEWAY_S)


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("renewing", [False, True])
def test_a_death_in_the_middle_of_an_order_leaves_no_power_without_an_end(name: str, renewing: bool) -> None:
    for count in range(1, len(Device(name).orders()) + 1):
        device = Device(name)
        if renewing:
            device.renew()
            device.pair.run(device.lease_s / 3)
        for message in device.orders()[:count]:
            device.told(message)

        assert not device.powered(dead_for_s=device.lease_s + LEEWAY_S), f"after {count} of its messages"


@pytest.mark.parametrize("name", TIMED)
def test_one_message_of_an_order_alone_leaves_no_power_without_an_end(name: str) -> None:
    for place in range(len(Device(name).orders())):
        device = Device(name)
        device.told(device.orders()[place])

        assert not device.powered(dead_for_s=device.lease_s + LEEWAY_S), f"of its message {place} alone"


@pytest.mark.parametrize("name", TIMED)
def test_mains_that_return_to_a_dead_gateway_bring_no_power(name: str) -> None:
    device = Device(name)
    device.pair.wish(Provision(LEASE_S))
    device.pair.run(1.0)
    device.renew()
    assert device.powered()

    device.cycle()

    assert not device.powered(dead_for_s=1.0)


# -- without a timer ----------------------------------------------------------------------------------------------


def test_every_family_has_a_timer_or_says_that_it_has_none() -> None:
    assert {name for name in DRIVERS if DRIVERS[name].CAPABILITIES.lease_class is LeaseClass.METERING_ONLY} == {
        "coil-relay",
        *METERS,
    }
    assert sorted(TIMED) == sorted({*DRIVERS} - {*METERS})


def test_an_order_to_a_board_without_a_timer_is_never_given() -> None:
    pile = Pile("p", "coil-relay", "shed-1/modbus:1", ("o0",), {"meters": [None]})

    driver = ON_BUS["coil-relay"].open(pile)

    assert driver.orders(SwitchOn(0, LEASE_S)) == []
    assert driver.orders(SwitchOff(0))  # what somebody else has switched on


@pytest.mark.parametrize("name", ["coil-relay", *METERS])
def test_what_has_no_timer_cannot_be_put_into_service(name: str) -> None:
    desk, family = Desk(), ON_BUS[name]
    kept = family.CAPABILITIES
    desk.do(
        ev.PileFound(
            **desk.stamp(),
            family=name,
            address="b/modbus:2",
            model="m",
            firmware="",
            channels=1,
            params={"meters": [None]} if name in BOARDS else {},
            lease_class=str(kept.lease_class),
            lease_s_max=kept.lease_s_max,
        ),
        ev.PileFound(
            **desk.stamp(),
            family="pzem-004t",
            address="b/modbus:11",
            model="m",
            firmware="",
            channels=1,
            params={},
            lease_class="metering_only",
        ),
    )
    meters = ["pzem-004t:b/modbus:11"] if name in BOARDS else None
    ids: dict[str, Any] = {"numbers": ["1"], "outlets": ["n1"], "stickers": ["k1"], "meters": meters}
    desk.wait(1)
    desk.ask(desk.change(ev.Change.ADOPT, f"{name}:b/modbus:2", site="s1", name="P", pile="p2", **ids))

    assert desk.house.outlets["n1"].phase is OutletPhase.METERING_ONLY
    for change in (ev.Change.COMMISSION, ev.Change.OPEN):
        assert desk.code(desk.change(change, "n1")) in ("metering_only", "not_commissioned")
    assert not [line for line in desk.gear.log if line.startswith("on n1")]
