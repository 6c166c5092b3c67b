"""The reference device of anchong/1: whatever it is told, no outlet is on without a lease that runs."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.codecs import anchong1 as codec
from simulators.twins.anchong1 import AnchongConfig, AnchongTwin
from simulators.twins.contact import Fault, Publish
from tests.bridge.yard import Lamp

NAME = "d"
LEASES = st.sampled_from([None, 0, -1, 0.5, 1, 5, 60, 900, 901, 1e9, "5", True])


class Rig:
    """The device, and what was last heard of it."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.twin = AnchongTwin(AnchongConfig(device=NAME, inputs=1), [Lamp(100.0) for _ in range(2)], 0.0)
        self.said: list[tuple[str, dict[str, Any]]] = []
        self._take(self.twin.start(0.0))
        self._ids = 0
        self._sent: list[bytes] = []

    def does(self, what: str, how: Any) -> None:
        match what:
            case "tell" | "keep":
                self._sent.append(json.dumps(self.on(**how)).encode())
                self.tell(self._sent[-1], retained=what == "keep")
            case "again" if self._sent:
                self.tell(self._sent[how % len(self._sent)])
            case "noise":
                self.tell(how)
            case "run":
                self.run(how)
            case "mains":
                self._take(self.twin.power_cycle(self.at_s))
            case "silent":
                self._take((self.twin.inject if how else self.twin.mend)(Fault.SILENT, self.at_s))

    def _take(self, said: list[Publish]) -> None:
        self.said += [(one.topic.rpartition("/")[2], json.loads(one.payload)) for one in said]

    def run(self, seconds: float) -> None:
        end_s = self.at_s + seconds
        while (wake_s := self.twin.next_wake_s()) < end_s:
            self.at_s = wake_s
            self._take(self.twin.advance(wake_s))
        self.at_s = end_s
        self._take(self.twin.advance(end_s))

    def tell(self, payload: bytes, *, retained: bool = False) -> None:
        self._take(self.twin.receive(codec.down(NAME), payload, retained, self.at_s))

    def on(self, **odd: object) -> dict[str, object]:
        """A right one, but for what is odd; None takes a field away."""
        self._ids += 1
        outlet = odd.get("outlet", 1)
        n = self.twin.outlets[0 if outlet == 1 else 1].n + 1
        right = {"do": "on", "id": f"i{self._ids}", "outlet": 1, "boot": self.twin.inside.boot_id, "n": n}
        right |= {"heard_up_s": self.twin.inside._up_s(), "lease_s": 60}
        return {name: value for name, value in (right | odd).items() if value is not None}

    def order(self, **odd: object) -> dict[str, Any]:
        """Its answer."""
        self.tell(json.dumps(self.on(**odd)).encode())
        return self.last("ack")

    def last(self, kind: str) -> dict[str, Any]:
        return next(body for said, body in reversed(self.said) if said == kind)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_at_its_start_it_says_who_it_is_that_it_is_there_and_that_all_is_off(rig: Rig) -> None:
    assert [kind for kind, _ in rig.said] == ["hello", "online", "state", "state", "inputs"]
    assert [body["seq"] for _, body in rig.said] == [1, 2, 3, 4, 5]
    assert (rig.last("state")["on"], rig.last("state")["off_by"]) == (False, "boot")


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"lease_s": None}, "no_lease"),
        ({"lease_s": 0}, "malformed"),
        ({"boot": "another-start"}, "boot"),
        ({"n": 0}, "malformed"),
        ({"heard_up_s": 1e6}, "stale"),
        ({"outlet": 3}, "outlet"),
        ({"limit_w": 9_999}, "limit"),
    ],
)
def test_an_on_that_is_not_right_is_refused_with_why(rig: Rig, odd: dict[str, object], why: str) -> None:
    answer = rig.order(**odd)

    assert (answer["ok"], answer["why"]) == (False, why)
    assert not rig.twin.powered(0)


def test_an_on_is_as_old_as_what_was_last_heard_before_it(rig: Rig) -> None:
    rig.run(100.0)
    old = rig.on()

    rig.run(codec.FRESH_S + 1)
    rig.tell(json.dumps(old).encode())

    assert rig.last("ack")["why"] == "stale"


def test_a_limit_of_one_on_holds_for_that_one_and_never_lifts_the_setting(rig: Rig) -> None:
    rig.order(limit_w=50)
    rig.run(5.0)
    assert (rig.twin.powered(0), rig.last("state")["off_by"]) == (False, "overload")

    rig.order()
    rig.run(5.0)
    assert rig.twin.powered(0)


def test_a_load_that_changes_by_more_than_5_w_is_told_within_a_second(rig: Rig) -> None:
    rig.order()
    rig.run(2.0)
    before = len(rig.said)

    rig.twin.plug(0, Lamp(106.0), rig.at_s)
    rig.run(1.01)

    assert [body["power_w"] for kind, body in rig.said[before:] if kind == "state"] == [106.0]


def test_leakage_is_told_with_the_rest(rig: Rig) -> None:
    rig.twin.outlets[0].leakage_ma = 12.5

    rig.order()

    assert rig.last("state")["leakage_ma"] == 12.5


def test_an_off_reaches_only_its_outlet_or_all_if_it_names_none(rig: Rig) -> None:
    rig.order()
    rig.order(outlet=2)

    rig.tell(b'{"do":"off","outlet":2}')
    assert (rig.twin.powered(0), rig.twin.powered(1)) == (True, False)
    rig.tell(b'{"do":"off","outlet":"all of them"}')
    assert not rig.twin.powered(0)


def test_settings_outlive_the_mains_and_numbers_do_not(rig: Rig) -> None:
    rig.tell(json.dumps(rig.on(do="set", lease_max_s=20, lease_s=None, n=None)).encode())
    rig.order(lease_s=10)
    first = rig.twin.inside.boot_id

    rig.twin.power_cycle(rig.at_s)
    assert rig.twin.inside.boot_id != first
    assert not rig.twin.powered(0)

    assert rig.order(lease_s=21)["why"] == "lease"
    assert rig.order(lease_s=10, n=1)["ok"]


COMMANDS = st.fixed_dictionaries(
    {},
    optional={
        "do": st.sampled_from(["on", "off", "set", "ask", "toggle", None, 1]),
        "lease_s": LEASES,
        "lease_max_s": LEASES,
        "n": st.sampled_from([None, 0, 1, 2, 50, 2**53, "1"]),
        "boot": st.sampled_from([None, "another-start", 7]),
        "outlet": st.sampled_from([None, 0, 1, 2, 3, "1", True]),
        "heard_up_s": st.sampled_from([None, 0, -1, 1e9]),
        "limit_w": st.sampled_from([None, 1, 50, 2_000, 1e9]),
        "id": st.sampled_from([None, "same", "", "x" * 40]),
    },
)
RIGHT = st.fixed_dictionaries({}, optional={"n": st.sampled_from([1, 9]), "lease_s": st.sampled_from([5, 300])})
STEPS = st.one_of(
    *(st.tuples(st.just("tell"), RIGHT) for _ in range(3)),
    st.tuples(st.just("tell"), COMMANDS),
    st.tuples(st.just("keep"), COMMANDS),
    st.tuples(st.just("noise"), st.binary(max_size=30)),
    st.tuples(st.just("run"), st.floats(0.01, 70.0)),
    st.tuples(st.just("again"), st.integers(0, 30)),
    st.tuples(st.just("mains"), st.none()),
    st.tuples(st.just("silent"), st.booleans()),
)


@settings(max_examples=80)
@given(steps=st.lists(STEPS, min_size=6, max_size=25))
def test_no_sequence_of_messages_leaves_an_outlet_on_without_a_lease_that_runs(steps: list[tuple[str, Any]]) -> None:
    rig = Rig()
    for step in steps:
        before = [(outlet.n, outlet.lease_ends_s if outlet.on else 0.0) for outlet in rig.twin.outlets]
        rig.does(*step)
        for channel, outlet in enumerate(rig.twin.outlets):
            n, ends_s = before[channel]
            if rig.twin.powered(channel):  # only an ON with a newer number begins or lengthens
                assert outlet.lease_ends_s <= (rig.at_s + codec.LEASE_S_MAX if outlet.n > n else ends_s)
                assert rig.at_s < outlet.lease_ends_s
    rig.run(codec.LEASE_S_MAX)
    assert not rig.twin.powered(0)
    assert not rig.twin.powered(1)


@settings(max_examples=40)
@given(steps=st.lists(st.tuples(COMMANDS, st.floats(0.01, 40.0)), max_size=12))
def test_its_numbers_only_rise_within_a_start_and_every_message_can_be_read(steps: list[tuple[Any, float]]) -> None:
    rig = Rig()
    for command, seconds in steps:
        rig.tell(json.dumps(rig.on(**command)).encode())
        rig.run(seconds)

    numbers = [body["seq"] for _, body in rig.said]
    assert numbers == list(range(1, len(numbers) + 1))
    for kind, body in rig.said:
        codec.read_up(kind, json.dumps(body).encode())
