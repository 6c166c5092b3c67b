"""Contacts at a device's inputs, driver and twin together: they report, they switch nothing, and old news is none."""

from collections.abc import Callable, Iterable

import msgspec
import pytest

from controller.core.errors import BadFrame
from controller.core.events import Event, InputReported, SettingReported, Stamp
from firmware_bridge.codecs import tasmota as tasmota_codec
from firmware_bridge.contacts import AGAIN_S
from firmware_bridge.drivers import DRIVERS
from firmware_bridge.wire import AskNow, Driver, Message, Pile, Provision, SetInputs, Wish
from simulators.twins.contact import Nothing, Publish
from simulators.twins.shelly import ShellyConfig, ShellyTwin
from simulators.twins.tasmota import TasmotaConfig, TasmotaTwin
from simulators.twins.twin import Twin

NOW_S = 1_800_000_000.0


def tasmota() -> tuple[Twin, Pile]:
    config = TasmotaConfig(inputs=2)
    params: dict[str, object] = {"topic": config.topic, "relays": [1]}
    return TasmotaTwin(config, [Nothing()], NOW_S), Pile("p1", "tasmota", config.mac, ("o1",), params)


def shelly() -> tuple[Twin, Pile]:
    config = ShellyConfig(model="shellyplus1pm", inputs=2)
    params: dict[str, object] = {"prefix": config.id, "switches": [0]}
    return ShellyTwin(config, [Nothing()], NOW_S), Pile("p1", "shelly", config.mac, ("o1",), params)


class Pair:
    """A device of ours and its driver; what each says the other hears."""

    def __init__(self, made: Callable[[], tuple[Twin, Pile]]) -> None:
        self.twin, pile = made()
        self.driver: Driver = DRIVERS[pile.family].open(pile)
        self.now_s = NOW_S
        self.relay_was_on = False
        self.heard(self.twin.start(NOW_S))

    def stamp(self) -> Stamp:
        return Stamp(self.now_s, self.now_s - NOW_S)

    def heard(self, said: Iterable[Publish], retained: bool = False) -> list[Event]:
        events: list[Event] = []
        for each in said:
            if each.topic in self.driver.listens():
                events += self.driver.receive(Message(each.topic, each.payload, retained), self.stamp())
        self.relay_was_on |= self.twin.powered(0)
        return events

    def told(self, wish: Wish) -> list[Event]:
        events: list[Event] = []
        for message in self.driver.orders(wish):
            events += self.heard(self.twin.receive(message.address, message.payload, False, self.now_s))
        return events + self.later(5.0)

    def later(self, seconds: float) -> list[Event]:
        self.now_s += seconds
        return self.heard(self.twin.advance(self.now_s))

    def wired(self, number: int, closed: bool) -> list[Event]:
        return self.heard(self.twin.wire(number, closed, self.now_s))


@pytest.fixture(params=[tasmota, shelly], ids=["tasmota", "shelly"])
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


def shown(events: Iterable[Event]) -> list[tuple[str, int, bool]]:
    return [(each.pile, each.input, each.on) for each in events if isinstance(each, InputReported)]


def test_each_change_is_told_at_once_and_closed_is_on(pair: Pair) -> None:
    pair.told(SetInputs((1, 2)))

    assert shown(pair.wired(1, True)) == [("p1", 1, True)]
    assert shown(pair.wired(2, True)) == [("p1", 2, True)]
    assert shown(pair.wired(1, False)) == [("p1", 1, False)]
    assert not pair.relay_was_on


def test_what_a_contact_showed_when_we_came_is_learnt_by_asking(pair: Pair) -> None:
    pair.told(SetInputs((1,)))
    pair.wired(1, True)
    fresh = Pair.__new__(Pair)
    fresh.__dict__ |= pair.__dict__
    pile = _pile_of(pair)
    fresh.driver = DRIVERS[pile.family].open(pile)  # a restart of ours

    assert ("p1", 1, True) in shown(fresh.told(AskNow((1, 2))))


def _pile_of(pair: Pair) -> Pile:
    return (tasmota if isinstance(pair.twin, TasmotaTwin) else shelly)()[1]


def test_an_input_left_as_it_came_from_the_shop_switches_its_relay_and_after_provisioning_does_not(pair: Pair) -> None:
    pair.wired(1, True)
    assert pair.twin.powered(0)
    pair.wired(1, False)
    pair.relay_was_on = False

    settings = [each for each in pair.told(Provision(120.0, 800.0)) if isinstance(each, SettingReported)]
    settings += [each for each in pair.later(30.0) if isinstance(each, SettingReported)]

    assert ("inputs_detached", 1.0) in [(each.setting, each.value) for each in settings]
    pair.told(SetInputs((1,)))
    if pair.twin.powered(0):
        pytest.fail("left on by the switch of before")
    pair.wired(1, True)
    assert not pair.relay_was_on


def test_the_same_again_is_told_only_now_and_then(pair: Pair) -> None:
    pair.told(SetInputs((1,)))
    pair.wired(1, True)
    assert shown(pair.told(AskNow((1,)))) == []
    pair.now_s += AGAIN_S
    assert ("p1", 1, True) in shown(pair.told(AskNow((1,))))


def test_a_message_that_the_broker_kept_says_nothing_of_now(pair: Pair) -> None:
    pair.told(SetInputs((1,)))
    said = pair.twin.wire(1, True, pair.now_s)
    assert said

    assert pair.heard(said, retained=True) == []
    assert shown(pair.heard(said)) == [("p1", 1, True)]


def test_mains_that_come_back_tell_a_contact_that_closed_meanwhile(pair: Pair) -> None:
    pair.told(SetInputs((1,)))
    pair.heard(pair.twin.cut_mains(pair.now_s))
    pair.wired(1, True)
    events = pair.heard(pair.twin.restore_mains(pair.now_s + 1.0))
    events += pair.later(15.0)

    assert ("p1", 1, True) in shown(events)


# -- what is on the wire ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "means"),
    [
        ('{"Switch1":{"Action":"ON"}}', {1: True}),
        ('{"Switch2":{"Action":"OFF"}}', {2: False}),
        ('{"Switch1":{"Action":"TOGGLE"}}', {}),
        ('{"Time":"2027-01-15T08:00:00","Switch1":"ON","Switch12":"OFF","ENERGY":{"Power":3}}', {1: True, 12: False}),
        ('{"StatusSNS":{"Time":"2027-01-15T08:00:00","Switch1":"OFF"}}', {1: False}),
        ('{"Switch0":"ON","Switch100":"ON","SwitchX":"ON","SwitchMode1":2}', {}),
        ('{"POWER":"ON"}', {}),
    ],
)
def test_switches_are_read_wherever_they_stand(payload: str, means: dict[int, bool]) -> None:
    assert tasmota_codec.read_switches(payload.encode()) == means


@pytest.mark.parametrize("payload", ['{"Switch1":7}', '{"Switch1":{"Act":"ON"}}', '{"Switch1":null}', '{"Switch1":[]}'])
def test_a_switch_that_is_none_is_a_bad_frame(payload: str) -> None:
    with pytest.raises(BadFrame):
        tasmota_codec.read_switches(payload.encode())


def test_a_device_with_words_of_its_own_is_understood() -> None:
    words = ("AUS", "AN", "UM", "HALT")
    assert tasmota_codec.read_switches(b'{"Switch1":{"Action":"AN"}}', words) == {1: True}
    assert tasmota_codec.read_switches(b'{"Switch1":{"Action":"ON"}}', words) == {}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"id": 0, "state": True}, [("p1", 1, True)]),
        ({"id": 0, "state": False}, [("p1", 1, False)]),
        ({"id": 0, "state": None}, []),
        ({"id": 0, "percent": 7}, []),
    ],
)
def test_a_shelly_input_without_a_state_says_nothing(
    status: dict[str, object], told: list[tuple[str, int, bool]]
) -> None:
    driver = DRIVERS["shelly"].open(shelly()[1])
    frame = {"src": "shellyplus1pm-54320464a1d0", "method": "NotifyStatus", "params": {"ts": 1.0, "input:0": status}}
    address = next(each for each in driver.listens() if each.endswith("/events/rpc"))
    assert shown(driver.receive(Message(address, msgspec.json.encode(frame)), Stamp(NOW_S, 0.0))) == told
