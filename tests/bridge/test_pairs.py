"""Every driver against the twin of its name: found, provisioned, switched, renewed, cut by its own lease, off, seen."""

import math
from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core import events as ev
from controller.core.errors import BadFrame
from firmware_bridge.drivers import ON_BROKER
from firmware_bridge.wire import AskNow, Driver, Message, Overhears, Pile, Provision, SwitchOff, SwitchOn, Wish
from simulators.twins import TWINS
from simulators.twins.contact import Fault, Publish

T0 = 1_800_000_000.0
LEASE_S = 120.0
MAC = "00000049A3BC"
FAMILIES = pytest.mark.parametrize("name", sorted(ON_BROKER))


class Lamp:
    """Draws the same for ever."""

    def __init__(self, power_w: float) -> None:
        self.power_w = power_w

    def draw_w(self, dt_s: float) -> float:
        return self.power_w


class Pair:
    """A driver and its twin on one wire, on virtual time; `heard` is every event the driver made of it."""

    def __init__(self, name: str, *powers_w: float) -> None:
        self.now_s = T0
        self.twin = TWINS[name](MAC, [Lamp(power_w) for power_w in powers_w], T0)
        self.heard: list[ev.Event] = []
        self._every_s = ON_BROKER[name].CAPABILITIES.asked_every_s
        first = self.twin.start(T0)
        self.driver = self._opened(name, first, len(powers_w))
        self._carry(first)

    def _opened(self, name: str, first: list[Publish], relays: int) -> Driver:
        family = ON_BROKER[name]
        heard = (Message(p.topic, p.payload, p.retain) for p in first if p.payload)
        found = next(pile for message in heard for pile in family.discover(message, self._stamp()))
        assert (found.family, found.channels) == (name, relays)
        outlets = tuple(f"o{channel}" for channel in range(relays))
        return family.open(Pile("p", name, found.address, outlets, found.params))

    def _stamp(self) -> ev.Stamp:
        return ev.Stamp(self.now_s, self.now_s - T0)

    def _carry(self, said: Iterable[Publish]) -> None:
        for publish in said:
            common = self.driver.overhears() if isinstance(self.driver, Overhears) else ()
            if publish.topic in (*self.driver.listens(), *common):
                # retain is seen only by those who come later; a live subscriber gets the plain message
                self.heard += self.driver.receive(Message(publish.topic, publish.payload), self._stamp())

    def wish(self, wish: Wish) -> None:
        self._say(self.driver.orders(wish))

    def _say(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._carry(self.twin.receive(message.address, message.payload, message.retained, self.now_s))

    def run(self, seconds: float) -> None:
        """Time passes; a pile that has to be asked is asked in its turn."""
        end_s = self.now_s + seconds
        while (wake_s := min(self.twin.next_wake_s(), self._turn_s())) < end_s:
            asks = wake_s == self._turn_s()
            self.now_s = wake_s
            self._carry(self.twin.advance(wake_s))
            if asks:
                self._say(self.driver.polls(self._stamp()))
        self.now_s = end_s
        self._carry(self.twin.advance(end_s))

    def _turn_s(self) -> float:
        if self._every_s is None:
            return math.inf
        return T0 + ((self.now_s - T0) // self._every_s + 1) * self._every_s

    def inject(self, fault: Fault) -> None:
        self._carry(self.twin.inject(fault, self.now_s))

    def last(self, outlet: str = "o0") -> ev.Reading:
        return [event for event in self.heard if isinstance(event, ev.Reading) and event.outlet == outlet][-1]

    def last_relay(self, outlet: str = "o0") -> bool:
        return [event.on for event in self.heard if isinstance(event, ev.RelayReported) and event.outlet == outlet][-1]

    def settings(self, outlet: str = "o0") -> dict[str, float]:
        told = [event for event in self.heard if isinstance(event, ev.SettingReported) and event.outlet == outlet]
        return {event.setting: event.value for event in told}


def provisioned(name: str, *powers_w: float) -> Pair:
    pair = Pair(name, *powers_w)
    pair.wish(Provision(LEASE_S))
    pair.run(1)
    return pair


def test_every_driver_has_a_twin() -> None:
    assert sorted(ON_BROKER) == sorted(TWINS)


@FAMILIES
def test_a_new_device_says_that_it_is_there(name: str) -> None:
    assert [event.outlet for event in Pair(name, 100).heard if isinstance(event, ev.LinkUp)] == ["o0"]


@FAMILIES
@pytest.mark.parametrize("relays", [1, 2, 4, 8])
def test_provisioning_reads_back_all_that_commissioning_wants(name: str, relays: int) -> None:
    pair = provisioned(name, *[100.0] * relays)

    wanted = {"power_up_off": 1, "sees_power_when_off": 1, "own_counter": 1, "inputs_detached": 1}
    for channel in range(relays):
        told = pair.settings(f"o{channel}")
        assert told.items() >= wanted.items()
        assert told.get("lease_s", LEASE_S) == LEASE_S  # a lease that travels in each ON stands in no setting
        assert not pair.twin.powered(channel)


@FAMILIES
def test_on_is_confirmed_and_seen_by_the_meter(name: str) -> None:
    pair = provisioned(name, 100, 60)

    pair.wish(SwitchOn(1, LEASE_S))
    pair.run(15)

    assert (pair.last_relay("o0"), pair.last_relay("o1")) == (False, True)
    assert (pair.twin.powered(0), pair.twin.powered(1)) == (False, True)
    assert (pair.last("o0").power_w, pair.last("o1").power_w) == (0, 60)


@FAMILIES
def test_a_load_that_comes_is_seen_well_before_the_next_regular_report(name: str) -> None:
    pair = provisioned(name, 100)
    pair.run(11)

    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(3)

    assert pair.last().power_w == 100


@FAMILIES
def test_the_lease_cuts_by_itself(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))

    pair.run(LEASE_S - 1)
    assert pair.twin.powered(0)
    pair.run(2)

    assert not pair.twin.powered(0)
    assert pair.last_relay() is False


@FAMILIES
def test_the_lease_cuts_even_a_device_that_was_never_provisioned(name: str) -> None:
    pair = Pair(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))

    pair.run(LEASE_S + 1)

    assert not pair.twin.powered(0)


@FAMILIES
def test_a_renewal_counts_from_the_full_value(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))

    for _ in range(9):
        pair.run(LEASE_S / 3)
        pair.wish(SwitchOn(0, LEASE_S))
    pair.run(LEASE_S - 1)
    assert pair.twin.powered(0)
    pair.run(2)

    assert not pair.twin.powered(0)


@FAMILIES
def test_asking_never_lengthens_or_shortens_a_lease(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))

    for _ in range(10):
        pair.wish(AskNow())
        pair.run(11.8)
    assert pair.twin.powered(0)
    pair.run(3)

    assert not pair.twin.powered(0)


@FAMILIES
def test_off_is_off_and_the_meter_proves_it(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(20)

    pair.wish(SwitchOff(0))
    assert not pair.twin.powered(0)
    pair.wish(AskNow())

    assert pair.last_relay() is False
    assert (pair.last().at, pair.last().power_w) == (pair.now_s, 0)


@FAMILIES
def test_an_order_that_arrives_twice_does_no_harm(name: str) -> None:
    pair = provisioned(name, 100)
    for _ in range(2):
        pair.wish(SwitchOn(0, LEASE_S))
    for _ in range(2):
        pair.wish(SwitchOff(0))
    pair.run(LEASE_S * 2)

    assert not pair.twin.powered(0)


@FAMILIES
def test_a_welded_relay_is_seen_after_the_off(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.inject(Fault.WELDED)

    pair.wish(SwitchOff(0))
    pair.run(11)

    assert pair.last_relay() is False  # it believes so
    assert pair.last().power_w == 100


@FAMILIES
def test_a_relay_that_will_not_close_is_told_by_the_meter(name: str) -> None:
    pair = provisioned(name, 100)
    pair.inject(Fault.WONT_CLOSE)

    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(11)

    assert (pair.last_relay(), pair.last().power_w) == (True, 0)


@FAMILIES
def test_a_silent_device_is_lost_by_its_will_and_dark_by_its_lease(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.inject(Fault.SILENT)
    before = len(pair.heard)

    pair.wish(SwitchOff(0))
    pair.run(100)
    assert [type(event) for event in pair.heard[before:]] == [ev.LinkLost]
    assert pair.twin.powered(0)
    pair.run(LEASE_S - 99)

    assert not pair.twin.powered(0)


@FAMILIES
def test_mains_that_come_back_leave_a_provisioned_outlet_off(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(10)

    pair._carry(pair.twin.power_cycle(pair.now_s))

    assert not pair.twin.powered(0)
    assert any(isinstance(event, ev.DeviceRestarted) for event in pair.heard)
    assert pair.last_relay() is False


@FAMILIES
@pytest.mark.parametrize("fault", [Fault.METER_NAN, Fault.METER_GARBAGE])
def test_a_broken_meter_is_blamed_on_the_wire(name: str, fault: Fault) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.inject(fault)

    with pytest.raises(BadFrame):
        pair.run(11)


@FAMILIES
@pytest.mark.parametrize("fault", [Fault.CLOCK_1970, Fault.CLOCK_AHEAD, Fault.CLOCK_BEHIND])
def test_a_device_with_a_wrong_clock_is_read_all_the_same(name: str, fault: Fault) -> None:
    pair = provisioned(name, 100)
    pair.inject(fault)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(15)

    assert pair.last().power_w == 100
    assert pair.now_s - 15 <= pair.last().at <= pair.now_s


@FAMILIES
def test_the_counter_only_rises_and_counts_what_flowed(name: str) -> None:
    pair = provisioned(name, 100, 50)
    for _ in range(30):
        pair.wish(SwitchOn(0, LEASE_S))
        pair.wish(SwitchOn(1, LEASE_S))
        pair.run(LEASE_S)
    pair.wish(AskNow())

    for outlet, expected_wh in (("o0", 100.0), ("o1", 50.0)):
        told = [e.energy_wh for e in pair.heard if isinstance(e, ev.Reading) and e.outlet == outlet]
        counted = [wh for wh in told if wh is not None]
        assert counted == sorted(counted)
        assert counted[-1] == pytest.approx(expected_wh, abs=1.5)


@FAMILIES
@settings(max_examples=50, deadline=None)
@given(payload=st.binary(max_size=80), place=st.integers(min_value=0))
def test_garbage_is_a_bad_frame_and_nothing_else(name: str, payload: bytes, place: int) -> None:
    driver = ON_BROKER[name].open(Pile("p", name, MAC, ("o0",), {"topic": "plug"}))
    topics = driver.listens()

    with suppress(BadFrame):
        list(driver.receive(Message(topics[place % len(topics)], payload), ev.Stamp(T0, 0)))


@FAMILIES
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_mangled_report_is_a_bad_frame_and_nothing_else(name: str, data: st.DataObject) -> None:
    pair = provisioned(name, 100)
    publish = data.draw(st.sampled_from([p for p in pair.twin.advance(pair.now_s + 70) if p.payload]))
    at = data.draw(st.integers(0, len(publish.payload) - 1))
    byte = data.draw(st.binary(max_size=1))

    with suppress(BadFrame):
        list(
            pair.driver.receive(
                Message(publish.topic, publish.payload[:at] + byte + publish.payload[at + 1 :]), ev.Stamp(T0, 0)
            )
        )
