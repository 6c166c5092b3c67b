"""A meter on a bus by itself: it is asked and shown, and there is nothing that it could be ordered."""

from collections.abc import Iterable, Sequence

from controller.core.errors import BadFrame
from controller.core.events import Event, Stamp
from firmware_bridge.drivers.bus_meters import Meter, Questions
from firmware_bridge.drivers.presence import Presence
from firmware_bridge.wire import AskNow, Message, Pile, Wish


class Metering:
    def __init__(self, pile: Pile, questions: Questions) -> None:
        self._meter = Meter(pile.outlets[0], pile.address, questions(pile.address))
        self._presence = Presence({outlet: [pile.address] for outlet in pile.outlets if outlet})

    def listens(self) -> Sequence[str]:
        return [self._meter.address]

    def polls(self, now: Stamp) -> Sequence[Message]:
        return self._meter.asks()

    def orders(self, wish: Wish) -> Sequence[Message]:
        return self._meter.asks() if isinstance(wish, AskNow) else []

    def receive(self, message: Message, now: Stamp) -> Iterable[Event]:
        if message.address != self._meter.address:
            raise BadFrame("unknown", f"{message.address} is not of this pile")
        if message.fault:
            yield from self._presence.failed(message.address, message.fault, now)
            return
        try:
            reading = self._meter.receive(message, now)
        except BadFrame:
            yield from self._presence.failed(message.address, "malformed", now)
            raise
        if reading is not None:
            yield from self._presence.answered(message.address, now)
            yield reading
