"""What is fuzzed, by name: each takes bytes and raises if something is wrong. Seeds are published frames and captures.

- `codec NAME`: a protocol of `anchong decode`: a BadFrame or JSON, never anything else; what a capture covers of it.
- `line NAME`: a finder and an ear on the line: the same frames whatever the chunks.
- `driver NAME`: a family's `receive`: no frame, no event, and no trace: what is good is answered as by a fresh driver.
- `router`: all of them behind real gates: whatever is received, no relay is ever switched on.
- `lines`: `anchong decode --jsonl`.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache

from anchong.decode import PROTOCOLS, _answer_line
from controller.core.errors import BadFrame
from controller.core.events import Event, LinkLost, Stamp
from firmware_bridge.codecs import dlt645
from firmware_bridge.drivers import DRIVERS, ON_BUS
from firmware_bridge.gate import Gates
from firmware_bridge.overheard import WAYS, Overheard
from firmware_bridge.router import Router
from firmware_bridge.veil import Veil
from firmware_bridge.wire import Driver, Linked, Message, Pile, Receive, SwitchOff
from tests.bridge.captures import T0, heard, opened
from tests.fuzz.known import TOPICS, all_captured, captured, piles, places_of
from tests.fuzz.seals import MOST, SEALS

Target = Callable[[bytes], None]
GOOD_MOST = 8  # frames that a driver is asked about afterwards
ROUTER_EVERY = 500  # frames until it begins anew
_VEIL = Veil(b"of the fuzzer")


def targets() -> dict[str, Target]:
    return {
        **{f"codec {protocol}": _codec(protocol) for protocol in PROTOCOLS},
        **{f"line {protocol}": _line(protocol) for protocol in WAYS},
        **{f"driver {family}": _driver(pile) for family, pile in piles().items()},
        "router": _router(),
        "lines": _decode_line,
    }


# -- codecs -------------------------------------------------------------------------------------------------------


def _codec(protocol: str) -> Target:
    """The first byte: the direction, whether to put a right checksum around the rest, and the topic."""
    decode, seals = PROTOCOLS[protocol], (bytes, *SEALS.get(protocol, ()))

    def run(data: bytes) -> None:
        way, body = data[:1] or b"\0", data[1:]
        direction, topic = "down" if way[0] & 1 else "up", TOPICS[(way[0] >> 2) % len(TOPICS)]
        payload = seals[(way[0] >> 1) % len(seals)](body)
        with suppress(BadFrame):
            json.dumps(decode(topic or None, direction, payload), allow_nan=False)
        _VEIL.over(protocol, direction, topic, payload)

    return run


def _line(protocol: str) -> Target:
    """The first byte: where the rest is cut, and whether it is sealed."""
    seals = (bytes, *SEALS[protocol])

    def run(data: bytes) -> None:
        way, body = data[:1] or b"\0", data[1:]
        line = seals[(way[0] >> 1) % len(seals)](body) + body
        cut = way[0] * len(line) // 256
        whole, pieces = Overheard([protocol]), Overheard([protocol])
        once = whole.feed(line) + whole.quiet()
        twice = pieces.feed(line[:cut]) + pieces.feed(line[cut:]) + pieces.quiet()
        assert [one.frame for one in once] == [one.frame for one in twice]

    return run


# -- drivers ------------------------------------------------------------------------------------------------------


def _driver(pile: Pile) -> Target:
    """The first byte: where it comes from, and whether the rest is sealed, as whatever passes a bus is."""
    places = places_of(pile.family)
    good = [message for message in captured(pile.family) if message.payload and not message.fault][:GOOD_MOST]
    fresh = _told(opened(pile), good)

    def run(data: bytes) -> None:
        place, body = data[0] if data else 0, data[1:]
        address, asked = places[(place >> 1) % len(places)]
        message = Message(address, _sealed(asked, body) if place & 1 else body, asked=asked)
        driver = opened(pile)
        events, bad = heard(driver, message, 0.0)
        json.dumps([repr(event) for event in events])
        if bad is None:
            return
        assert [event for event in events if not isinstance(event, LinkLost)] == []
        if pile.family not in ON_BUS:  # there an answer that can't be read counts as none
            assert _told(driver, good) == fresh

    return run


def _sealed(asked: bytes, body: bytes) -> bytes:
    """From the unit that was asked, where there is one."""
    if asked.lstrip(dlt645.PREAMBLE).startswith(b"\x68"):
        unit = dlt645.read(asked).address
        return dlt645.encode(dlt645.Frame(unit, body[0] if body else dlt645.ANSWERED, body[1:MOST]))
    return SEALS["modbus-rtu"][0](asked[:1] + body) if asked else body


def _told(driver: Driver, good: list[Message]) -> list[str]:
    return [event for message in good for event in _plain(heard(driver, message, 1.0)[0])]


def _plain(events: list[Event]) -> list[str]:
    """Without the ids that each start is given anew."""
    return [f"{type(event).__name__} {getattr(event, 'outlet', '')}" for event in events]


# -- all of them behind gates -------------------------------------------------------------------------------------


class _Wire:
    """Takes what is sent, and carries nothing."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def start(self, receive: Receive, linked: Linked) -> None: ...

    def listen(self, pattern: str) -> None: ...

    def send(self, message: Message, urgent: bool = False) -> bool:
        self.sent.append(message)
        return True

    def stop(self) -> None: ...


def _router() -> Target:
    """The first byte: who says it, our piles and strangers alike."""
    known = list(piles().values())
    places = sorted({message.address for message in all_captured()}) + list(TOPICS[1:])
    offs = {_shape(m) for pile in known for m in _offs(pile)}
    state: list[tuple[Router, _Wire]] = []
    count = 0

    def run(data: bytes) -> None:
        nonlocal count
        if count % ROUTER_EVERY == 0:
            state[:] = [_opened_router(known)]
        count += 1
        router, wire = state[0]
        wire.sent.clear()
        router.receive(Message(places[(data[0] if data else 0) % len(places)], data[1:]))
        assert "bad:bug" not in router.counts, router.counts
        assert all(_shape(message) in offs for message in wire.sent if message.address in _told_addresses(known))

    return run


def _opened_router(known: list[Pile]) -> tuple[Router, _Wire]:
    wire = _Wire()
    gates = Gates(lambda: Stamp(T0, 0.0))
    router = Router(DRIVERS, wire, gates, lambda: Stamp(T0, 0.0), lambda event: None, lambda trip: None)
    for pile in known:
        router.open(pile)
    router.linked(True)
    return router, wire


@cache
def _offs_of(pile_id: int) -> tuple[Message, ...]:
    pile = list(piles().values())[pile_id]
    driver = opened(pile)
    channels = [channel for channel, outlet in enumerate(pile.outlets) if outlet]
    return tuple(message for channel in channels for message in driver.orders(SwitchOff(channel)))


def _offs(pile: Pile) -> tuple[Message, ...]:
    return _offs_of(list(piles().values()).index(pile))


def _told_addresses(known: list[Pile]) -> set[str]:
    return {message.address for pile in known for message in _offs(pile)}


def _shape(message: Message) -> tuple[str, bytes]:
    """An order without the number that each is given."""
    try:
        said = json.loads(message.payload)
    except ValueError:
        return message.address, message.payload
    return message.address, json.dumps(
        {k: v for k, v in said.items() if k not in ("id", "cmd")} if isinstance(said, dict) else said
    ).encode()


# -- lines of a file ----------------------------------------------------------------------------------------------


def _decode_line(data: bytes) -> None:
    answer = _answer_line(data)
    assert answer["ok"] in (True, False)
    json.dumps(answer, allow_nan=False)
