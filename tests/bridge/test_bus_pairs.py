"""Every driver of a bus against units of its kind: found, set up, switched, renewed, cut by its lease, off, seen."""

import math
from collections.abc import Iterable, Sequence

import pytest

from controller.core import events as ev
from controller.core.errors import BadFrame
from firmware_bridge.drivers import ON_BUS
from firmware_bridge.wire import AskNow, Driver, Message, Pile, Provision, SwitchOff, SwitchOn, Wish
from simulators.twins.contact import Fault
from simulators.twins.line import Line, WireFault
from simulators.twins.lines import BOARD, LINES

T0 = 1_800_000_000.0
LEASE_S = 120.0
SILENT_AFTER_S = 0.3
BUS = "shed-1"
METER = "modbus:11"
COMPOSITES = pytest.mark.parametrize("name", ["waveshare-relay"])


class Lamp:
    """Draws the same for ever."""

    def __init__(self, power_w: float) -> None:
        self.power_w = power_w

    def draw_w(self, dt_s: float) -> float:
        return self.power_w


class Pair:
    """A driver and its units on one line, on virtual time; `heard` is every event the driver made of it."""

    def __init__(self, name: str, *powers_w: float, line: Line | None = None) -> None:
        self.now_s = T0
        self.line = line or LINES[name]([Lamp(power_w) for power_w in powers_w], T0)
        self.heard: list[ev.Event] = []
        self.bad: list[str] = []
        self.family = ON_BUS[name]
        self.driver = self._opened(name, len(powers_w))

    def _opened(self, name: str, relays: int) -> Driver:
        address = f"{BUS}/{BOARD}"
        answers = (answer for probe in self.family.probes(address) for answer in self._asked(probe))
        found = next(pile for answer in answers for pile in self.family.discover(answer, self.stamp()))
        assert (found.family, found.address) == (name, address)
        outlets = tuple(f"o{channel}" for channel in range(relays))
        meters = [{"family": "pzem-004t", "address": f"{BUS}/modbus:{11 + channel}"} for channel in range(relays)]
        return self.family.open(Pile("p", name, address, outlets, found.params | {"meters": meters}))

    def stamp(self) -> ev.Stamp:
        return ev.Stamp(self.now_s, self.now_s - T0)

    def _asked(self, message: Message) -> Sequence[Message]:
        """One transaction of a bus, as it comes back."""
        answers = self.line(message.payload, self.now_s)
        if not answers or answers[-1][0] > SILENT_AFTER_S:
            self.now_s += SILENT_AFTER_S
            return [Message(message.address, b"", asked=message.payload, fault="silent")]
        self.now_s += answers[-1][0]
        return [Message(message.address, b"".join(part for _, part in answers), asked=message.payload)]

    def wish(self, wish: Wish) -> None:
        self._say(self.driver.orders(wish))

    def _say(self, messages: Iterable[Message]) -> None:
        for message in messages:
            for answer in self._asked(message):
                self._hear(answer)

    def _hear(self, answer: Message) -> None:
        try:
            self.heard += iter(self.driver.receive(answer, self.stamp()))
        except BadFrame as bad:
            self.bad.append(bad.kind)

    def run(self, seconds: float) -> None:
        """Time passes, and the driver asks in its turn."""
        end_s = self.now_s + seconds
        while (turn_s := self._turn_s()) < end_s:
            self.now_s = turn_s
            self._say(self.driver.polls(self.stamp()))
        self.now_s = max(self.now_s, end_s)
        self.line.advance(self.now_s)

    def _turn_s(self) -> float:
        every_s = self.family.CAPABILITIES.asked_every_s or math.inf
        return T0 + ((self.now_s - T0) // every_s + 1) * every_s

    def powered(self, channel: int = 0) -> bool:
        return self.line.powered(BOARD, channel)

    def inject(self, fault: Fault | WireFault, address: str = BOARD, channel: int = 0) -> None:
        self.line.inject(fault, self.now_s, address, channel)

    def last(self, outlet: str = "o0") -> ev.Reading:
        return [event for event in self.heard if isinstance(event, ev.Reading) and event.outlet == outlet][-1]

    def last_relay(self, outlet: str = "o0") -> bool:
        return [event.on for event in self.heard if isinstance(event, ev.RelayReported) and event.outlet == outlet][-1]

    def settings(self, outlet: str = "o0") -> dict[str, float]:
        told = [event for event in self.heard if isinstance(event, ev.SettingReported) and event.outlet == outlet]
        return {event.setting: event.value for event in told}

    def links(self, outlet: str = "o0") -> list[str]:
        return [type(e).__name__ for e in self.heard if isinstance(e, ev.LinkUp | ev.LinkLost) and e.outlet == outlet]


def provisioned(name: str, *powers_w: float) -> Pair:
    pair = Pair(name, *powers_w)
    pair.wish(Provision(LEASE_S))
    pair.run(1)
    return pair


def test_every_driver_has_a_line() -> None:
    assert sorted(ON_BUS) == sorted(LINES)


@COMPOSITES
def test_an_outlet_is_there_once_board_and_meter_have_answered(name: str) -> None:
    pair = Pair(name, 100, 60)
    pair.run(6)

    assert (pair.links("o0"), pair.links("o1")) == (["LinkUp"], ["LinkUp"])


@COMPOSITES
@pytest.mark.parametrize("relays", [1, 2, 4, 8])
def test_provisioning_tells_all_that_commissioning_wants(name: str, relays: int) -> None:
    pair = provisioned(name, *[100.0] * relays)

    wanted = {"power_up_off": -1, "sees_power_when_off": 1, "own_counter": 1, "inputs_detached": 1}
    for channel in range(relays):
        assert pair.settings(f"o{channel}").items() >= wanted.items()
        assert not pair.powered(channel)


@COMPOSITES
def test_on_is_confirmed_by_the_coil_and_seen_by_the_meter(name: str) -> None:
    pair = provisioned(name, 100, 60)

    pair.wish(SwitchOn(1, LEASE_S))
    assert (pair.last_relay("o0"), pair.last_relay("o1")) == (False, True)
    pair.run(6)

    assert (pair.powered(0), pair.powered(1)) == (False, True)
    assert (pair.last("o0").power_w, pair.last("o1").power_w) == (0, 60)


@COMPOSITES
def test_the_lease_cuts_by_itself(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))

    pair.run(LEASE_S - 1)
    assert pair.powered()
    pair.run(7)

    assert not pair.powered()
    assert (pair.last_relay(), pair.last().power_w) == (False, 0)


@COMPOSITES
def test_a_renewal_counts_from_the_full_value(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))

    for _ in range(9):
        pair.run(LEASE_S / 3)
        pair.wish(SwitchOn(0, LEASE_S))
    pair.run(LEASE_S - 1)
    assert pair.powered()
    pair.run(2)

    assert not pair.powered()


@COMPOSITES
def test_asking_never_lengthens_or_shortens_a_lease(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))

    for _ in range(10):
        pair.wish(AskNow())
        pair.run(11.7)
    assert pair.powered()
    pair.run(3)

    assert not pair.powered()


@COMPOSITES
def test_off_is_off_and_the_meter_proves_it_at_once(name: str) -> None:
    pair = provisioned(name, 100, 100)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(20)
    before_s = pair.now_s

    pair.wish(SwitchOff(0))

    assert not pair.powered()
    assert (pair.last_relay(), pair.last().power_w) == (False, 0)
    assert pair.last().at > before_s


@COMPOSITES
def test_a_welded_relay_is_seen_after_the_off(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.inject(Fault.WELDED)

    pair.wish(SwitchOff(0))

    assert (pair.last_relay(), pair.last().power_w) == (False, 100)


@COMPOSITES
def test_a_relay_that_will_not_close_is_told_by_the_meter(name: str) -> None:
    pair = provisioned(name, 100)
    pair.inject(Fault.WONT_CLOSE)

    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(6)

    assert (pair.last_relay(), pair.last().power_w) == (True, 0)


@COMPOSITES
@pytest.mark.parametrize("address", [BOARD, METER])
def test_a_silent_unit_takes_its_outlets_out_of_reach_and_the_lease_cuts(name: str, address: str) -> None:
    pair = provisioned(name, 100, 60)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.inject(Fault.SILENT, address)

    pair.run(20)
    assert pair.powered()
    pair.run(LEASE_S - 19)

    assert pair.links("o0")[:2] == ["LinkUp", "LinkLost"]
    assert ("LinkLost" in pair.links("o1")) is (address == BOARD)
    assert not pair.powered()
    pair.line.mend(Fault.SILENT, pair.now_s, address)
    pair.run(6)
    assert pair.links("o0")[-1] == "LinkUp"


@COMPOSITES
def test_what_half_an_outlet_says_does_not_bring_it_within_reach(name: str) -> None:
    pair = provisioned(name, 100)
    pair.inject(Fault.SILENT, METER)
    pair.run(20)
    before = len(pair.heard)

    pair.run(20)

    about = [e for e in pair.heard[before:] if isinstance(e, ev.RelayReported | ev.LinkLost)]
    assert [type(event) for event in about] == [ev.RelayReported, ev.LinkLost] * 4


@COMPOSITES
def test_mains_that_come_back_leave_an_outlet_off(name: str) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.run(10)

    pair.line.power_cycle(pair.now_s)
    pair.run(6)

    assert not pair.powered()
    assert (pair.last_relay(), pair.last().power_w) == (False, 0)


@COMPOSITES
@pytest.mark.parametrize("fault", [Fault.METER_NAN, Fault.METER_GARBAGE, WireFault.OTHER_KIND])
def test_a_broken_or_another_meter_is_blamed_and_lost(name: str, fault: Fault | WireFault) -> None:
    pair = provisioned(name, 100)
    pair.wish(SwitchOn(0, LEASE_S))
    pair.inject(fault, METER)

    pair.run(20)

    assert set(pair.bad) <= {"range", "malformed"}
    assert len(pair.bad) == 4
    assert pair.links()[1] == "LinkLost"


@COMPOSITES
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
