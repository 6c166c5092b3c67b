"""anchong/1 on a broker with the rights that we ship, and through a whole gateway: who is heard, and who is not."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from anchong.doctor_broker import Device, Talker, _cheating
from firmware_bridge.codecs import anchong1 as codec
from firmware_bridge.transports.mqtt_client import MqttSettings
from firmware_bridge.wire import Message
from simulators.twins.anchong1 import AnchongConfig, AnchongTwin
from simulators.twins.contact import Meddling
from tests.bridge.yard import Lamp, Yard
from tests.house import Broker

ACL = Path(__file__).parents[2] / "deploy" / "mosquitto.acl"
USERS = ("gateway", "socket-1", "socket-2", "+", "#", "socket-1/up")
STATE = {"seq": 1, "up_s": 1, "outlet": 1, "on": False, "n": 0, "power_w": 0, "energy_wh": 0, "off_by": "boot"}


# -- T41 ----------------------------------------------------------------------------------------------------------


def test_T41_no_device_speaks_or_hears_as_another_whatever_it_calls_itself(mosquitto: Callable[..., Broker]) -> None:
    broker = mosquitto(users=dict.fromkeys(USERS, "word"), acl=ACL.read_text(encoding="utf-8"))
    own, order = json.dumps({"boot": "12345678", **STATE}).encode(), b'{"do":"off","id":"own"}'
    with ExitStack() as stack:
        enter = stack.enter_context
        gateway = enter(_talker(broker, "gateway", "gw"))
        gateway.listen(codec.up("+", "+"), "anchong/1/#")
        victim = enter(_talker(broker, "socket-1", "first"))
        victim.listen(codec.down("socket-1"))
        thieves = [enter(_talker(broker, user, name)) for user, name in _thieves()]
        grabs = (codec.down("socket-1"), codec.down("+"), "anchong/1/socket-1/#", "anchong/#", "#")
        for thief in (one for one in thieves if not one.error):
            thief.listen(*grabs)
            for topic in (*(codec.up("socket-1", kind) for kind in codec.KINDS), codec.down("socket-1")):
                thief.say(topic, b"forged")
                thief.say(topic, b"forged", keep=True)
        victim.say(codec.down("socket-1"), b"forged")  # nor does a device command itself
        victim.say(codec.up("socket-1", "state"), own)
        gateway.say(codec.down("socket-1"), order)

        assert gateway.hears(own)
        assert victim.hears(order)
        assert not any(thief.hears(order, within_s=0.05) for thief in thieves)
        assert not [
            topic for talker in (gateway, victim) for topic, payload, _, _ in talker.heard if payload == b"forged"
        ]
        assert not thieves[0].error  # or nothing was tried


def test_T41_the_doctor_finds_rights_that_reach_too_far(mosquitto: Callable[..., Broker]) -> None:
    rights = "user gateway\ntopic readwrite #\npattern readwrite anchong/1/+/#\n"
    broker = mosquitto(users=dict.fromkeys(USERS, "word"), acl=rights)
    own = MqttSettings(host=broker.host, port=broker.port, user="gateway", password="word", client_id="doctor")

    with Talker(own, "") as gateway:
        findings = [finding.says for finding in _cheating(gateway, own, Device("socket-2", "word"))]

    assert findings == [
        "socket-2 speaks and hears as itself",
        "one device can speak as another, by topic",
        "one device can hear another's commands, by topic",
        "one device can speak as another, by client id",
        "one device can hear another's commands, by client id",
    ]


def _thieves() -> Iterator[tuple[str, str]]:
    """By topic, by the victim's client id, by names that are wildcards, and by one that goes a level deeper."""
    yield "socket-2", "second"
    yield "socket-2", "socket-1"
    yield "+", "plus"
    yield "#", "hash"
    yield "socket-1/up", "deeper"


def _talker(broker: Broker, user: str, client_id: str) -> Talker:
    return Talker(MqttSettings(host=broker.host, port=broker.port, user=user, password="word", client_id=client_id), "")


# -- through a whole gateway --------------------------------------------------------------------------------------


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path)
    made.open()
    yield made
    made.stop()


def reference(yard: Yard, lease_max_s: float = 900.0) -> AnchongTwin:
    config = AnchongConfig(mac="socket-1", device="socket-1", lease_max_s=lease_max_s)
    twin = AnchongTwin(config, [Lamp(60.0)], yard.clock.now().at)
    yard.connect(twin)
    yard.run(2.0)
    return twin


def test_T43_a_recorded_charge_played_again_moves_nothing_and_is_counted(yard: Yard) -> None:
    twin = reference(yard)
    (outlet,) = yard.sells(twin)
    yard.begin(outlet)
    yard.run(60.0)
    recorded = [message for message in yard.said if message.address == codec.up("socket-1", codec.STATE)]
    yard.stop_charge(outlet)
    yard.runs_until(lambda: yard.settled, 30.0)
    seen, before = yard.house.seen[outlet], yard.gateway.router.counts.get("bad:replayed", 0)

    for message in recorded:
        yard.broker.publish("socket-1", Message(message.address, message.payload))
    yard.turn()

    assert yard.gateway.router.counts["bad:replayed"] == before + len(recorded)
    assert yard.house.seen[outlet] == seen
    assert yard.gateway.router.faults(outlet)["replayed"] >= len(recorded)
    assert not twin.powered(0)


def test_T43_a_recorded_on_of_ours_switches_nothing_on_after_its_charge(yard: Yard) -> None:
    twin = reference(yard)
    commands = list[bytes]()
    yard.broker.connect("spy", lambda message: commands.append(message.payload))
    yard.broker.subscribe("spy", codec.down("socket-1"))
    (outlet,) = yard.sells(twin)
    yard.begin(outlet)
    yard.run(90.0)
    yard.stop_charge(outlet)
    yard.runs_until(lambda: yard.settled, 30.0)
    assert sum(b'"do":"on"' in command for command in commands) >= 3

    for command in list(commands):
        yard.say(twin, twin.receive(codec.down("socket-1"), command, False, yard.clock.now().at))
        assert not twin.powered(0)
    yard.say(twin, twin.power_cycle(yard.clock.now().at))
    for command in list(commands):
        yard.say(twin, twin.receive(codec.down("socket-1"), command, False, yard.clock.now().at))
        assert not twin.powered(0)


def test_T44_a_retained_on_is_refused_by_the_device_and_cleared_by_us(yard: Yard) -> None:
    twin = reference(yard)
    yard.adopt(twin)
    (one,) = twin.meddled(Meddling.ON)

    yard.say(twin, twin.receive(one.topic, one.payload, True, yard.clock.now().at))
    assert not twin.powered(0)
    yard.broker.publish("socket-1", Message(one.topic, one.payload, retained=True))
    yard.broker.pump(yard.clock.now().steady_s)

    assert yard.broker.clear_retained(yard.gateway.retained_commands()) == (one.topic,)


def test_a_device_that_counts_shorter_leases_than_others_is_given_those(yard: Yard) -> None:
    twin = reference(yard, lease_max_s=60.0)
    (outlet,) = yard.sells(twin)
    yard.begin(outlet)

    yard.run(150.0)
    assert twin.powered(0)
    assert yard.house.outlets[outlet].lease_s == 60.0
    yard.transport.cut()
    yard.run(61.0)
    assert not twin.powered(0)


def test_leakage_that_a_device_measures_cuts_at_the_gate(yard: Yard) -> None:
    twin = reference(yard)
    (outlet,) = yard.sells(twin)
    yard.begin(outlet)

    twin.outlets[0].leakage_ma = 40.0
    yard.runs_until(lambda: not twin.powered(0), 15.0)
    yard.runs_until(lambda: yard.settled, 30.0)

    assert yard.settled[0].reason == "leakage"


def test_a_device_that_starts_anew_in_a_charge_is_dark_and_goes_on_only_by_a_new_on(yard: Yard) -> None:
    twin = reference(yard)
    (outlet,) = yard.sells(twin)
    yard.begin(outlet)
    yard.run(60.0)

    yard.say(twin, twin.power_cycle(yard.clock.now().at))
    assert not twin.powered(0)
    yard.runs_until(lambda: twin.powered(0), 60.0)

    assert yard.live(outlet).reason is None
