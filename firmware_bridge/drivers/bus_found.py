"""Who answered on a bus: each unit's answers to the probes of all families, put together until they say what it is.

Nothing is guessed: what answers as two families do is ambiguous, and counted as that.
"""

from collections.abc import Callable, Mapping, Sequence

from controller.core.errors import BadFrame
from controller.core.events import PileFound, Stamp
from firmware_bridge.codecs import eastron, modbus, pzem, relay_lc, relay_waveshare
from firmware_bridge.codecs.modbus import READ_COILS, READ_HOLDING, READ_REGISTERS, Frame
from firmware_bridge.wire import Message

UNITS_MAX = 1_000  # remembered; a bus has 255
STALE_S = 900.0  # a scan is over by then; another device may have come to the same address
RELAYS = 8  # of a board that does not say how many; who adopts it names those that are ours


def _waveshare_unit(reply: Frame) -> float | None:
    (unit,) = modbus.registers_of(reply)
    return unit if unit == reply.unit else None


def _waveshare_version(reply: Frame) -> float | None:
    return float(relay_waveshare.read_version(reply))


def _lc_baud(reply: Frame) -> float | None:
    (code,) = modbus.registers_of(reply)
    return relay_lc.BAUD_CODES.get(code)


def _coils(reply: Frame) -> float | None:
    return float(len(modbus.bits_of(reply)))


def _pzem(reply: Frame) -> float | None:
    return pzem.read_values(reply).voltage_v


def _between(least: float, most: float) -> "Shows":
    def shows(reply: Frame) -> float | None:
        (value,) = eastron.read_floats(reply)
        return value if least <= value <= most else None

    return shows


def ask_coils(unit: int) -> Frame:
    return modbus.ask(unit, READ_COILS, 0, RELAYS)


# What an answer to a read (function, address, count) shows; None, or a BadFrame: nothing.
Shows = Callable[[Frame], float | None]
FACTS: Mapping[tuple[int, int, int], tuple[str, Shows]] = {
    (READ_HOLDING, relay_waveshare.UNIT, 1): ("waveshare unit", _waveshare_unit),
    (READ_HOLDING, relay_waveshare.VERSION, 1): ("waveshare version", _waveshare_version),
    (READ_HOLDING, relay_lc.BAUD_READ, 1): ("lc baud", _lc_baud),
    (READ_COILS, 0, RELAYS): ("coils", _coils),
    (READ_REGISTERS, 0, pzem.VALUES): ("pzem", _pzem),
    (READ_REGISTERS, eastron.VOLTAGE, 2): ("eastron voltage", _between(60, 300)),
    (READ_REGISTERS, eastron.FREQUENCY, 2): ("eastron frequency", _between(40, 70)),
}
# What must have been shown by whom; coils are also of those who are nobody else.
EVIDENCE: Mapping[str, frozenset[str]] = {
    "waveshare-relay": frozenset(("waveshare unit", "waveshare version")),
    "lc-relay": frozenset(("lc baud", "coils")),
    "pzem-004t": frozenset(("pzem",)),
    "eastron-sdm": frozenset(("eastron voltage", "eastron frequency")),
}
PLAIN = "coil-relay"
OF_PLAIN = frozenset(("coils", "waveshare unit", "waveshare version"))
MODELS: Mapping[str, tuple[str, int]] = {
    "waveshare-relay": ("Waveshare Modbus RTU Relay", RELAYS),
    "lc-relay": ("LC relay board", RELAYS),
    PLAIN: ("Modbus coils", RELAYS),
    "pzem-004t": ("PZEM-004T v3", 1),
    "eastron-sdm": ("Eastron SDM", 1),
}


class Shown:
    """What every unit has shown, by address."""

    def __init__(self) -> None:
        self._facts: dict[str, tuple[float, dict[str, float]]] = {}

    def heard(self, message: Message, now: Stamp) -> dict[str, float]:
        """All that this unit has shown in this scan; hearing one answer again changes nothing."""
        since_s, facts = self._facts.get(message.address, (now.steady_s, {}))
        if now.steady_s - since_s > STALE_S:
            since_s, facts = now.steady_s, {}
        fact = _fact(message)
        if fact is not None:
            if len(self._facts) >= UNITS_MAX:
                self._facts.clear()
            facts = {**facts, fact[0]: fact[1]}
            self._facts[message.address] = since_s, facts
        return facts


SHOWN = Shown()


def _fact(message: Message) -> tuple[str, float] | None:
    try:
        asked = modbus.read_request(message.asked)
        fact = FACTS.get((asked.function, asked.address, asked.value))
        value = None if fact is None else fact[1](modbus.read_reply(message.payload))
    except (BadFrame, ValueError):
        return None
    return None if fact is None or value is None else (fact[0], value)


def discover(family: str, message: Message, now: Stamp) -> Sequence[PileFound]:
    """BadFrame("ambiguous") if it is as much of another family."""
    facts = SHOWN.heard(message, now)
    whose = [name for name, needed in EVIDENCE.items() if needed <= facts.keys()]
    if "coils" in facts and facts.keys() <= OF_PLAIN:
        whose = whose or [PLAIN]
    if len(whose) > 1:
        raise BadFrame("ambiguous", f"answers as {' and '.join(whose)} do")
    return [_found(family, message, now, facts)] if whose == [family] else ()


def _found(family: str, message: Message, now: Stamp, facts: Mapping[str, float]) -> PileFound:
    model, channels = MODELS[family]
    version = facts.get("waveshare version")
    return PileFound(
        at=now.at,
        steady_s=now.steady_s,
        family=family,
        address=message.address,
        model=model,
        firmware="" if version is None else f"{version:.2f}",
        channels=channels,
        params={"meters": [None] * channels} if channels > 1 else {},  # a board measures nothing by itself
    )
