"""From wire to inbox: who hears what, in which order, and how little a hostile device can do."""

import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core.errors import BadFrame
from controller.core.events import Event, LinkLost, PileFound, Reading, RelayReported, Stamp, Tripped
from controller.core.reasons import StopReason
from controller.core.state import Limits
from firmware_bridge.drivers import DRIVERS
from firmware_bridge.faults import LOGGED_MAX
from firmware_bridge.gate import Gates
from firmware_bridge.orders import together
from firmware_bridge.router import ADDRESSES_MAX, STRANGER_S, Router
from firmware_bridge.wire import (
    AskNow,
    Capabilities,
    LeaseClass,
    Message,
    Pile,
    Provision,
    SwitchOff,
    SwitchOn,
    Wish,
)

LIMITS = Limits(800.0, 8.0, 270.0, 100.0, 80.0, None, StopReason.ENERGY_LIMIT)
PILE = Pile("p1", "made-up", "AA", ("o1", ""), {})


class Family:
    """Says `w:<number>` for power, `relay:<0|1>`, `hello:<mac>`; anything else is a bad frame, `bug` is our own."""

    NAME = "made-up"
    DISCOVERY: tuple[str, ...] = ("new/#",)
    CAPABILITIES = Capabilities(LeaseClass.RENEWED, 120, meters=True)

    def discover(self, message: Message, now: Stamp) -> Sequence[PileFound]:
        word, _, mac = message.payload.decode().partition(":")
        if word != "hello":
            return ()
        return [
            PileFound(**_stamp(now), family=self.NAME, address=mac, model="m", firmware="f", channels=2, params={})
            for mac in mac.split(",")
        ]

    def introduce(self, message: Message) -> Sequence[Message]:
        return [Message(f"ask/{message.address}", b"who?")] if message.payload == b"alive" else []

    def open(self, pile: Pile) -> "Driver":
        return Driver(pile)

    def retained_commands(self, pile: Pile) -> Sequence[str]:
        return [f"cmnd/{pile.address}"]


class Driver:
    def __init__(self, pile: Pile) -> None:
        self.pile = pile

    def listens(self) -> Sequence[str]:
        return [f"tele/{self.pile.address}"]

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]:
        word, _, value = message.payload.decode("utf-8", "replace").partition(":")
        outlet = self.pile.outlets[0]
        if word == "w":
            yield Reading(**_stamp(now), outlet=outlet, power_w=float(value))
        elif word == "relay":
            yield RelayReported(**_stamp(now), outlet=outlet, on=value == "1")
        elif word == "bug":
            raise ZeroDivisionError
        else:
            raise BadFrame("malformed", word)

    def orders(self, wish: Wish) -> Sequence[Message]:
        words = {SwitchOn: b"on", SwitchOff: b"off", Provision: b"provision", AskNow: b"ask"}
        return [Message(f"cmnd/{self.pile.address}", words[type(wish)])]

    def polls(self, now: Stamp) -> Sequence[Message]:
        return [Message(f"cmnd/{self.pile.address}", b"how?")]


class Line:
    """A transport that writes everything into one story, in its order."""

    def __init__(self, story: list[str]) -> None:
        self.story = story
        self.heard: list[str] = []
        self.up = True

    def start(self, receive: object, linked: object) -> None:
        return None

    def listen(self, pattern: str) -> None:
        self.heard.append(pattern)

    def stop(self) -> None:
        return None

    def send(self, message: Message, urgent: bool = False) -> bool:
        self.story.append(f"send {message.payload.decode()}")
        return self.up


def _stamp(now: Stamp) -> dict[str, Any]:
    return {"at": now.at, "steady_s": now.steady_s}


class Bench:
    def __init__(self) -> None:
        self.now = Stamp(1_800_000_000.0, 100.0)
        self.story: list[str] = []
        self.told: list[Event] = []
        self.line = Line(self.story)
        self.gates = Gates(lambda: self.now)
        self.router = Router({"made-up": Family()}, self.line, self.gates, lambda: self.now, self._tell, self._tripped)
        self.router.open(PILE)

    def _tell(self, event: Event) -> None:
        self.story.append(f"tell {type(event).__name__}")
        self.told.append(event)

    def _tripped(self, trip: Tripped) -> None:
        self.story.append("journal")

    def receives(self, payload: str | bytes, address: str = "tele/AA") -> None:
        raw = payload.encode() if isinstance(payload, str) else payload
        self.router.receive(Message(address, raw))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_open_pile_is_listened_to_and_its_events_pass(bench: Bench) -> None:
    bench.receives("relay:1")

    assert bench.line.heard == ["tele/AA"]
    assert bench.told == [RelayReported(at=1_800_000_000.0, steady_s=100.0, outlet="o1", on=True)]


def test_a_device_of_many_topics_asks_the_broker_for_few_patterns() -> None:
    driver = DRIVERS["tasmota"].open(Pile("p1", "tasmota", "AA", ("o1",), {"topic": "plug"}))

    assert len(driver.listens()) > 6
    assert together(driver.listens()) == ["tele/plug/+", "stat/plug/+"]
    assert together(["a/b/c", "a/d/e", "17"]) == ["a/b/c", "a/d/e", "17"]


def test_a_trip_is_on_the_wire_before_anybody_is_told(bench: Bench) -> None:
    bench.gates.on(fx.SwitchOn("o1", 0, 120.0, LIMITS, 200.0))
    bench.receives("w:5000")

    assert bench.story == ["send on", "send off", "tell Tripped", "journal", "tell Reading"]


def test_a_channel_that_is_not_ours_has_no_gate(bench: Bench) -> None:
    assert bench.gates.get("") is None


def test_an_unknown_device_is_offered_once_to_discovery_and_a_known_one_is_not_found_again(bench: Bench) -> None:
    bench.receives("hello:BB", "new/BB")
    bench.receives("hello:AA", "new/AA")

    assert [event.address for event in bench.told if isinstance(event, PileFound)] == ["BB"]
    bench.receives("who?", "new/CC")
    assert bench.router.counts == {"unknown_address": 1}


@pytest.mark.parametrize(
    "payload", [b"", b"\xff\xfe", b"\0" * 10_000, b"{" * 5_000, b"w:not a number", b"bug", b"w", "关".encode()]
)
def test_whatever_a_device_sends_nothing_is_told_and_the_next_message_is_heard(bench: Bench, payload: bytes) -> None:
    bench.receives(payload)
    bench.receives(payload, "new/x")
    assert bench.told == []

    bench.receives("relay:0")
    assert len(bench.told) == 1


def test_a_burst_of_bad_frames_is_counted_all_and_logged_once_a_minute(bench: Bench) -> None:
    with structlog.testing.capture_logs() as logs:
        for _ in range(100):
            bench.receives("nonsense")
        bench.now = Stamp(bench.now.at + 61, bench.now.steady_s + 61)
        bench.receives("nonsense")

    assert bench.router.counts == {"bad:malformed": 101}
    assert [log["kind"] for log in logs] == ["malformed", "malformed"]


def test_a_flood_of_invented_addresses_does_not_fill_the_memory(bench: Bench) -> None:
    with structlog.testing.capture_logs():
        for number in range(ADDRESSES_MAX + 50):
            bench.receives(b"\xff", f"new/{number}")

    assert bench.router.counts == {"bad:bug": ADDRESSES_MAX + 50}
    assert len(bench.router._faults._logged) <= LOGGED_MAX


def test_a_log_line_is_short_however_long_the_frame(bench: Bench) -> None:
    with structlog.testing.capture_logs() as logs:
        bench.receives("x" * 100_000)

    assert len(logs[0]["detail"]) <= 200


def test_a_bad_frames_line_names_the_outlets_behind_its_address(bench: Bench) -> None:
    bench.router.open(Pile("p2", "made-up", "BB", ("o2", "o3"), {}))
    with structlog.testing.capture_logs() as logs:
        bench.receives("nonsense")
        bench.receives("nonsense", "tele/BB")
        bench.receives(b"\xff", "new/1")

    one, two, unknown = logs
    assert one["outlet"] == "o1"
    assert two["outlets"] == "o2,o3"
    assert not {"outlet", "outlets"} & set(unknown)


def test_our_own_link_lost_is_the_link_of_every_outlet_behind_it(bench: Bench) -> None:
    bench.router.linked(True)
    assert bench.told == []

    bench.router.linked(False)
    assert [event.outlet for event in bench.told if isinstance(event, LinkLost)] == ["o1"]


def test_an_adopted_pile_is_asked_at_once(bench: Bench) -> None:
    bench.router.adopted(fx.PileAdopted("p2", "made-up", "BB", ("o2", "o3"), {}))

    assert bench.story == ["send ask", "send ask"]
    assert "tele/BB" in bench.line.heard
    assert bench.gates.generation("o3") == 0


def test_settings_and_questions_reach_only_a_known_outlet_and_say_whether_they_left(bench: Bench) -> None:
    assert bench.router.tell(fx.Provision("o1", 120.0))
    assert bench.router.tell(fx.AskNow("o1"))
    assert not bench.router.tell(fx.AskNow("o9"))
    bench.line.up = False
    assert not bench.router.tell(fx.AskNow("o1"))

    assert bench.story == ["send provision", "send ask", "send ask"]


def test_discovery_is_what_the_families_ask_for(bench: Bench) -> None:
    bench.router.listen_for_unknown()

    assert bench.line.heard[-1] == "new/#"


def test_a_stranger_on_the_addresses_of_our_pile_is_not_offered_for_adoption() -> None:
    told: list[Event] = []
    gates = Gates(lambda: Stamp(0.0, 0.0))
    router = Router(DRIVERS, Line([]), gates, lambda: Stamp(0.0, 0.0), told.append, lambda trip: None)
    lines = (Path(__file__).parent / "vectors" / "tasmota.jsonl").read_text().splitlines()
    payload = next(line["payload"] for line in map(json.loads, lines) if "/config" in (line["topic"] or ""))
    router.receive(Message("tasmota/discovery/00000049A3BC/config", payload.encode()))
    first = next(event for event in told if isinstance(event, PileFound))
    router.open(Pile("p", first.family, first.address, ("o",), first.params))
    told.clear()

    stolen = payload.replace("00000049A3BC", "0000DEADBEEF")
    router.receive(Message("tasmota/discovery/0000DEADBEEF/config", stolen.encode()))

    assert told == []
    assert router.counts["address_taken"] == 1


def test_a_pile_opened_again_keeps_its_gates_and_their_generation() -> None:
    gates = Gates(lambda: Stamp(0.0, 0.0))
    router = Router({"made-up": Family()}, Line([]), gates, lambda: Stamp(0.0, 0.0), lambda e: None, lambda trip: None)
    router.open(PILE)
    gates.off("o1")

    router.open(PILE)

    assert gates.generation("o1") == 1


def test_of_two_devices_that_claim_one_address_only_the_first_opened_is_ever_switched() -> None:
    line = Line([])
    gates = Gates(lambda: Stamp(0.0, 0.0))
    router = Router(DRIVERS, line, gates, lambda: Stamp(0.0, 0.0), lambda e: None, lambda trip: None)
    router.open(Pile("first", "tasmota", "AA", ("o1",), {"topic": "plug", "relays": [1]}))

    router.open(Pile("second", "tasmota", "BB", ("o2",), {"topic": "plug", "relays": [1]}))

    assert not gates.on(fx.SwitchOn("o2", 0, 15.0, LIMITS, 5.0))
    assert line.story == []
    assert gates.on(fx.SwitchOn("o1", 0, 15.0, LIMITS, 5.0))


def test_a_stranger_that_only_shows_itself_is_asked_who_it_is_and_not_again_at_once(bench: Bench) -> None:
    for _ in range(3):
        bench.receives("alive", "new/CC")
    bench.receives("alive", "new/DD")
    assert bench.story == ["send who?", "send who?"]

    bench.now = Stamp(bench.now.at + STRANGER_S, bench.now.steady_s + STRANGER_S)
    bench.receives("alive", "new/CC")
    assert bench.story == ["send who?"] * 3


def test_a_flood_of_invented_strangers_does_not_fill_the_memory(bench: Bench) -> None:
    for number in range(ADDRESSES_MAX + 50):
        bench.receives("alive", f"new/{number}")

    assert len(bench.router._introduced) <= ADDRESSES_MAX


def test_a_pile_that_reports_too_seldom_is_asked_in_its_turn(bench: Bench) -> None:
    assert bench.router.next_round_s() is None  # this family speaks by itself
    bench.router._families["made-up"].CAPABILITIES = replace(Family.CAPABILITIES, asked_every_s=10.0)
    for name in ("p2", "p3"):
        bench.router.open(Pile(name, "made-up", name, (f"o-{name}",), {}))

    asked = []
    for second in range(100, 121):
        bench.now = Stamp(0.0, float(second))
        bench.router.ask_round()
        asked.append(len(bench.story))

    assert asked[-1] == 5  # at 0, 10 and 20 s the first, between them the second
    assert max(after - before for before, after in itertools.pairwise([0, *asked])) == 1
