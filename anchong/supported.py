"""`python -m anchong.supported > SUPPORTED.md`: what is supported, and how far that is proven, from the code's tables.

Of a checkout, as captures are not installed. A device is real where its capture doesn't call itself simulated.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from anchong.decode import PROTOCOLS
from anchong.settings import Reader
from controller.core.programme import Step
from firmware_bridge.drivers import DRIVERS, ON_BUS
from firmware_bridge.overheard import WAYS
from firmware_bridge.spoken import protocol_of
from firmware_bridge.wire import Capabilities, Family, LeaseClass
from simulators.twins import TWINS
from simulators.twins.lines import LINES

CAPTURES = Path(__file__).parents[1] / "tests" / "captures"
READER_PROTOCOLS = {"pn532": "pn532-hsu", "m1": "m1-reader-serial", "hid": ""}
HEAD = """# What is supported

<!-- Generated: python -m anchong.supported > SUPPORTED.md. A test compares it with the code. -->

An outlet serves only after *it* was commissioned, on the device itself: {steps}.
What was measured is kept with the outlet; another firmware means once more. So a family in this list is one that we can
speak to; whether your device may serve, it says itself.

How far a family is proven:

- **twin**: against our own simulation of it, written from its documentation: tests, faults and the seeded world.
- **capture**: a recording of a real device is in `tests/captures/` and decoded and played by the tests.
- **hardware**: the recording tells of a device that passed commissioning.

`docs/capture.md` says how to contribute one; `docs/add-a-device.md` how to add a family.
"""
SERVES = {
    LeaseClass.RENEWED: "a timer in the device, renewed",
    LeaseClass.ORDER_BOUND: "an order that the device itself ends",
    LeaseClass.WATCHDOG: "an external watchdog that was seen to cut",
}


def text() -> str:
    parts = [HEAD.format(steps=", ".join(f"`{step}`" for step in Step)), *_sockets(), *_readers(), *_protocols()]
    return "\n".join(parts) + "\n"


# -- sockets, boards, meters --------------------------------------------------------------------------------------


def _sockets() -> Iterator[str]:
    yield "## Sockets, relay boards and meters\n"
    yield _row("family", "what", "link", "off without us by", "at most", "measured by", "cards", "proven by")
    yield _row(*["---"] * 8)
    for name, family in DRIVERS.items():
        can = family.CAPABILITIES
        most = f"{can.lease_s_max} s" if can.lease_class is not LeaseClass.METERING_ONLY or _switches(family) else "–"
        link = "RS-485" if name in ON_BUS else "MQTT"
        cards = "yes" if can.reads_cards else "–"
        yield _row(
            f"`{name}`", _what(family), link, _serves(family, can), most, _meter(family, can), cards, _proof(name)
        )
    yield ""


def _what(family: Family) -> str:
    """The first words of its module."""
    return (family.__doc__ or "").strip().splitlines()[0].rstrip(".").partition(":")[0]


def _switches(family: Family) -> bool:
    return family.NAME not in ON_BUS or hasattr(family, "RELAYS")


def _serves(family: Family, can: Capabilities) -> str:
    if can.lease_class is not LeaseClass.METERING_ONLY:
        return SERVES[can.lease_class]
    return f"only {SERVES[LeaseClass.WATCHDOG]}" if _switches(family) else "never on: metering only"


def _meter(family: Family, can: Capabilities) -> str:
    if hasattr(family, "RELAYS"):
        return "a meter beside each relay"
    return "itself" if can.meters else "nobody"


def _proof(name: str) -> str:
    played = ["twin"] if name in TWINS or name in LINES else []
    real = [device for device in _devices(name) if not device.get("simulated")]
    seen = sorted({str(device.get("device") or "unnamed") for device in real})
    passed = sorted({str(device["commissioned"]) for device in real if device.get("commissioned")})
    told = [*played, *(f"capture of {device}" for device in seen), *(f"hardware, {when}" for when in passed)]
    return ", ".join(told) or "nothing yet"


def _devices(family: str) -> Iterator[dict[str, Any]]:
    for about in _abouts():
        if any(pile["family"] == family for pile in about.get("piles", [])):
            yield about


def _abouts() -> Iterator[dict[str, Any]]:
    for file in sorted(CAPTURES.glob("*.jsonl")):
        first = json.loads(file.read_text(encoding="utf-8").partition("\n")[0])
        yield first.get("about", {})


# -- readers and protocols ----------------------------------------------------------------------------------------


def _readers() -> Iterator[str]:
    yield "## Card readers at the gateway\n"
    yield _row("kind", "protocol")
    yield _row("---", "---")
    for kind in get_args(Reader.model_fields["kind"].annotation):
        yield _row(f"`{kind}`", _code(READER_PROTOCOLS.get(kind, "")) or "a keyboard's events")
    yield ""


def _protocols() -> Iterator[str]:
    spoken = {protocol_of(name): name for name in DRIVERS} | {
        p: f"reader {k}" for k, p in READER_PROTOCOLS.items() if p
    }
    yield "## Protocols that `anchong decode` understands\n"
    yield _row("protocol", "spoken with", "`capture` and `sniff` hear it on")
    yield _row(*["---"] * 3)
    for protocol in PROTOCOLS:
        yield _row(_code(protocol), _code(spoken.get(protocol, "")) or "nobody: decoded only", _heard(protocol, spoken))
    yield ""
    yield "What is decoded only is never switched: nobody has shown that it cuts itself, or it has no driver yet."


def _heard(protocol: str, spoken: Iterable[str]) -> str:
    on = ["a serial line"] if protocol in WAYS else []
    on += ["the broker"] if protocol in spoken and protocol not in WAYS else []
    return ", ".join(on) or "–"


def _code(word: str) -> str:
    return f"`{word}`" if word else ""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(text(), end="")
