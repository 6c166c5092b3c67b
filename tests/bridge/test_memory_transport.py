"""The broker in memory does what MQTT at QoS 0 does, and only when it is pumped."""

import random
from collections.abc import Sequence

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.transports.memory import MemoryBroker, MemoryTransport, matches
from firmware_bridge.wire import Message, Transport

LEVELS = st.sampled_from(["a", "b", "", "$SYS", "plug1"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)


class Twin:
    def __init__(self, broker: MemoryBroker, name: str, will: Message | None = None) -> None:
        self.heard: list[Message] = []
        self.name = name
        self.broker = broker
        broker.connect(name, self.heard.append, will)

    def hears(self, pattern: str) -> "Twin":
        self.broker.subscribe(self.name, pattern)
        return self

    def says(self, topic: str, payload: bytes = b"x", retained: bool = False) -> None:
        assert self.broker.publish(self.name, Message(topic, payload, retained))


def gateway(broker: MemoryBroker) -> tuple[MemoryTransport, list[Message], list[bool]]:
    transport, heard, links = MemoryTransport(broker, "gateway"), list[Message](), list[bool]()
    transport.start(heard.append, links.append)
    return transport, heard, links


def test_it_is_a_transport() -> None:
    transport: Transport = MemoryTransport(MemoryBroker(), "gateway")

    assert not transport.send(Message("t", b"before the start"))


def test_nothing_moves_before_the_pump() -> None:
    broker = MemoryBroker()
    transport, heard, links = gateway(broker)
    transport.listen("tele/+/STATE")
    Twin(broker, "plug1").says("tele/plug1/STATE")

    assert (heard, links) == ([], [True])
    broker.pump(1.0)

    assert heard == [Message("tele/plug1/STATE", b"x")]


def test_an_answer_travels_in_the_same_pump() -> None:
    broker = MemoryBroker()
    transport, heard, _ = gateway(broker)
    transport.listen("stat/plug1/POWER")

    def obey(command: Message) -> None:
        broker.publish("plug1", Message("stat/plug1/POWER", command.payload))

    broker.connect("plug1", obey)
    broker.subscribe("plug1", "cmnd/plug1/POWER")

    transport.send(Message("cmnd/plug1/POWER", b"OFF"))
    broker.pump(0.0)

    assert heard == [Message("stat/plug1/POWER", b"OFF")]


@given(TOPICS, st.lists(st.one_of(LEVELS, st.just("+")), min_size=1, max_size=4), st.booleans())
def test_wildcards_match_as_paho_says(topic: str, levels: list[str], rest: bool) -> None:
    pattern = "/".join([*levels, "#"] if rest else levels)
    if not pattern:
        return

    assert matches(pattern, topic) == paho.topic_matches_sub(pattern, topic)


@given(st.lists(st.tuples(st.sampled_from(["sub", "drop", "say"]), st.integers(0, 2), TOPICS), max_size=30))
def test_cached_routes_never_go_stale(story: list[tuple[str, int, str]]) -> None:
    broker = MemoryBroker()
    twins = [Twin(broker, str(number)) for number in range(3)]
    wanted: dict[int, set[str]] = {0: set(), 1: set(), 2: set()}
    for act, who, topic in story:
        if act == "sub":
            pattern = topic if who else "+/#"
            twins[who].hears(pattern)
            wanted[who].add(pattern)
        elif act == "drop":
            broker.drop(str(who))
            twins[who], wanted[who] = Twin(broker, str(who)), set()
        else:
            before = [len(twin.heard) for twin in twins]
            twins[who].says(topic)
            broker.pump(0.0)
            got = [len(twin.heard) - had for twin, had in zip(twins, before, strict=True)]
            assert got == [int(any(matches(pattern, topic) for pattern in wanted[n])) for n in range(3)]


def test_a_retained_message_waits_for_who_subscribes_and_is_marked() -> None:
    broker = MemoryBroker()
    first = Twin(broker, "first").hears("t")
    first.says("t", b"kept", retained=True)
    broker.pump(0.0)

    late = Twin(broker, "late").hears("+")
    broker.pump(1.0)

    assert first.heard == [Message("t", b"kept")]
    assert late.heard == [Message("t", b"kept", retained=True)]


def test_a_retained_command_is_found_and_cleared() -> None:
    broker = MemoryBroker()
    Twin(broker, "attacker").says("cmnd/plug1/POWER", b"ON", retained=True)
    broker.pump(0.0)

    assert broker.clear_retained(["cmnd/+/POWER", "cmnd/plug1/POWER"]) == ("cmnd/plug1/POWER",)
    assert broker.retained == {}


def test_an_empty_retained_message_clears() -> None:
    broker = MemoryBroker()
    twin = Twin(broker, "plug1")
    twin.says("t", b"kept", retained=True)
    twin.says("t", b"", retained=True)
    broker.pump(0.0)

    assert broker.retained == {}


def test_the_will_speaks_for_who_is_dropped_and_not_for_who_leaves() -> None:
    broker = MemoryBroker()
    watcher = Twin(broker, "watcher").hears("lwt/#")
    Twin(broker, "plug1", Message("lwt/plug1", b"Offline"))
    Twin(broker, "plug2", Message("lwt/plug2", b"Offline"))

    broker.drop("plug1")
    broker.disconnect("plug2")
    broker.pump(0.0)

    assert watcher.heard == [Message("lwt/plug1", b"Offline")]
    assert not broker.publish("plug1", Message("t", b"from the grave"))


def test_a_cut_link_loses_what_was_under_way_and_queues_nothing() -> None:
    broker = MemoryBroker()
    transport, heard, links = gateway(broker)
    transport.listen("t")
    twin = Twin(broker, "plug1").hears("cmnd")
    twin.says("t", b"under way")

    transport.cut()
    assert not transport.send(Message("cmnd", b"ON"))
    broker.pump(1.0)
    transport.restore()
    broker.pump(2.0)

    assert (heard, twin.heard, links) == ([], [], [True, False, True])
    twin.says("t", b"after")
    broker.pump(3.0)
    assert heard == [Message("t", b"after")]


def test_mangling_loses_doubles_and_delays() -> None:
    fates: dict[bytes, list[float]] = {b"lost": [], b"twice": [0.0, 0.0], b"late": [5.0], b"plain": [0.0]}

    def mangle(message: Message, _now_s: float) -> Sequence[tuple[float, Message]]:
        return [(delay_s, message) for delay_s in fates[message.payload]]

    broker = MemoryBroker(mangle)
    twin = Twin(broker, "plug1").hears("t")
    for payload in (b"late", b"lost", b"twice", b"plain"):
        twin.says("t", payload)

    broker.pump(4.9)
    assert [message.payload for message in twin.heard] == [b"twice", b"twice", b"plain"]
    assert broker.next_due_s() == 5.0
    broker.pump(5.0)
    assert twin.heard[-1].payload == b"late"
    assert broker.next_due_s() is None


def test_the_same_seed_gives_the_same_story() -> None:
    assert _noisy_story(7) == _noisy_story(7)


def _noisy_story(seed: int) -> list[Message]:
    dice = random.Random(seed)
    broker = MemoryBroker(lambda message, _: [(dice.random() * 3, message)] * dice.randrange(3))
    twin = Twin(broker, "plug1").hears("#")
    for second in range(100):
        twin.says(f"t/{second % 7}", str(second).encode())
        broker.pump(float(second))
    return twin.heard


def test_handlers_that_answer_each_other_for_ever_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware_bridge.transports.memory.PUMPED_MAX", 100)
    broker = MemoryBroker()

    def echo(message: Message) -> None:
        broker.publish("echo", message)

    broker.connect("echo", echo)
    broker.subscribe("echo", "t")
    broker.publish("echo", Message("t", b"x"))

    with pytest.raises(RuntimeError, match="without end, lately on t"):
        broker.pump(0.0)
