"""What devices show that nobody has adopted: their own messages, read by a driver that switches nothing. Never ours.

Only those are heard that somebody looks at, and no more than a page has room for.
"""

from collections.abc import Container, Mapping
from contextlib import suppress

from controller.core.errors import BadFrame
from controller.core.events import Event, PileFound, Reading, RelayReported, Stamp
from controller.core.hardware import bus_of
from controller.ports import Peeked
from firmware_bridge.orders import UNFIT
from firmware_bridge.wire import AskNow, Driver, Family, Message, Pile

PEEKS_MAX = 50
ASK_S = 5.0  # while somebody looks
BUS_ASK_S = 1.0  # between one unit and the next: the line is for those who serve
LOOKED_S = 15.0  # nobody looks any more
EVER_MAX = 2_000  # topics listened to in a process's life: a link never stops listening to one
OLD_S = 60.0


class _Stranger:
    def __init__(self, driver: Driver, channels: int) -> None:
        self.driver = driver
        self.shown = [Peeked() for _ in range(channels)]
        self.at_s: list[float | None] = [None] * channels
        self.asked_s = -1e18
        self.looked_s = 0.0


class Peeks:
    """Of one link; knows no thread."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = families
        self._strangers: dict[str, _Stranger] = {}
        self._of: dict[str, _Stranger] = {}  # by address
        self._ever: set[str] = set()
        self._bus_asked_s = -BUS_ASK_S

    def look(self, found: PileFound, ours: Container[str], now: Stamp) -> tuple[list[Peeked], list[str], list[Message]]:
        """What each channel shows; which addresses are to be listened to for it, and what may be asked now."""
        key = f"{found.family}:{found.address}"
        known, listen = self._strangers.get(key), list[str]()
        if known is None:
            known, listen = self._opened(key, found, ours, now)
        if known is None:
            return [], [], []
        known.looked_s = now.steady_s
        asks = self._asks(known, now) if self._may_ask(known, bool(bus_of(found.address)), now) else []
        return _aged(known, now), listen, asks

    def _opened(
        self, key: str, found: PileFound, ours: Container[str], now: Stamp
    ) -> tuple[_Stranger | None, list[str]]:
        for old in [k for k, s in self._strangers.items() if now.steady_s - s.looked_s >= LOOKED_S]:
            self._forget(old)
        if len(self._strangers) >= PEEKS_MAX:
            return None, []
        nobody = tuple(str(channel) for channel in range(found.channels))
        try:
            driver = self._families[found.family].open(Pile("", found.family, found.address, nobody, found.params))
        except UNFIT:
            return None, []
        addresses = [address for address in driver.listens() if not {"+", "#"} & set(address)]
        new = [address for address in addresses if address not in self._ever and not bus_of(address)]
        if len(self._ever) + len(new) > EVER_MAX or any(
            address in self._of or address in ours for address in addresses
        ):
            return None, []
        self._ever.update(new)
        self._strangers[key] = stranger = _Stranger(driver, found.channels)
        self._of.update(dict.fromkeys(addresses, stranger))
        return stranger, new

    def _may_ask(self, known: _Stranger, on_bus: bool, now: Stamp) -> bool:
        """On a bus one at a time, in turn."""
        if now.steady_s - known.asked_s < ASK_S:
            return False
        if not on_bus:
            return True
        looked_at = [s.asked_s for s in self._strangers.values() if now.steady_s - s.looked_s < LOOKED_S]
        if now.steady_s - self._bus_asked_s < BUS_ASK_S or known.asked_s > min(looked_at):
            return False
        self._bus_asked_s = now.steady_s
        return True

    def _asks(self, known: _Stranger, now: Stamp) -> list[Message]:
        known.asked_s = now.steady_s
        return [message for message in known.driver.orders(AskNow()) if not message.slot]

    def _forget(self, key: str) -> None:
        gone = self._strangers.pop(key)
        self._of = {address: stranger for address, stranger in self._of.items() if stranger is not gone}

    def receive(self, message: Message, now: Stamp) -> bool:
        """True if somebody looks at whoever sent this."""
        stranger = self._of.get(message.address)
        if stranger is None:
            return False
        with suppress(BadFrame):  # whoever adopts it will see its faults on the outlet's page
            for event in stranger.driver.receive(message, now):
                _note(stranger, event, message.retained, now)
        return True


def _note(stranger: _Stranger, event: Event, retained: bool, now: Stamp) -> None:
    if not isinstance(event, Reading | RelayReported):
        return
    channel = int(event.outlet)
    shown = stranger.shown[channel]
    if isinstance(event, RelayReported):
        stranger.shown[channel] = Peeked(event.on, shown.power_w, shown.voltage_v, shown.energy_wh)
    else:
        stranger.shown[channel] = Peeked(shown.on, event.power_w, event.voltage_v, event.energy_wh)
    stranger.at_s[channel] = None if retained else now.steady_s


def _aged(stranger: _Stranger, now: Stamp) -> list[Peeked]:
    """What was kept by a broker, or said a while ago, may no longer be so."""
    ages = [OLD_S if at_s is None else now.steady_s - at_s for at_s in stranger.at_s]
    return [
        Peeked(s.on, s.power_w, s.voltage_v, s.energy_wh, age >= OLD_S)
        for s, age in zip(stranger.shown, ages, strict=True)
    ]
