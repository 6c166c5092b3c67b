"""What comes over the wires, in words: what strangers show (plug a lamp in and see), and what goes wrong."""

from api.pages.console.desk import Desk
from controller.ports import Peeked


def peeked(desk: Desk, found: str) -> str:
    """All channels of one device; a dash where nothing has been heard."""
    shown = desk.services.strangers.peek(found)
    if len(shown) == 1:
        return _channel(desk, shown[0]) or "–"
    said = [f"{place}: {words}" for place, one in enumerate(shown, 1) if (words := _channel(desk, one))]
    return " · ".join(said) or "–"


def _channel(desk: Desk, one: Peeked) -> str:
    parts = [
        "" if one.on is None else desk.t("peek.on" if one.on else "peek.off"),
        desk.power(one.power_w),
        "" if one.voltage_v is None else f"{one.voltage_v:.0f} V",
        "" if one.energy_wh is None else desk.energy(one.energy_wh),
    ]
    said = " ".join(part for part in parts if part)
    return desk.t("peek.old", what=said) if said and one.old else said


def fault_words(desk: Desk, kind: str) -> dict[str, str]:
    """Its name, and one sentence: what it means and what to do. Of a kind nobody has words for the name alone."""
    return {"name": desk.or_plain(f"fault.{kind}", kind), "do": desk.or_plain(f"fault.{kind}.do", "")}
