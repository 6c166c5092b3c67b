"""The card readers of the settings, put together with a gateway; what pages may ask of them is `ports.CardReaders`."""

import secrets
from collections import deque
from collections.abc import Callable, Sequence

from anchong.settings import Reader as Setting
from anchong.taping import Taping
from anchong.wiring import Gateway
from controller.clock import Clock, RealClock
from controller.core.events import CardTapped
from controller.core.state import OutletPhase
from controller.ports import Shown, Standing, Swipe
from controller.views import View
from firmware_bridge.readers import said
from firmware_bridge.readers.attendant import Answer, Attendant
from firmware_bridge.readers.choice import Ask, Choice, Place
from firmware_bridge.readers.hid import Digits, Hid
from firmware_bridge.readers.m1 import BAUD as M1_BAUD
from firmware_bridge.readers.m1 import M1
from firmware_bridge.readers.pn532 import Pn532
from firmware_bridge.readers.presence import Presence
from firmware_bridge.transports.reader_port import InputPort, Port, ReaderPort, SerialPort

STRANGERS_MAX = 20
PN532_BAUD = 115200


class Readers:
    """`start` after the gateway, `stop` before it. `clock` is real time: people swipe as fast in a demonstration."""

    def __init__(
        self, gateway: Gateway, settings: Sequence[Setting], clock: Clock | None = None, taping: Taping | None = None
    ) -> None:
        self._gateway = gateway
        self._clock = clock or RealClock()
        self._taping = taping
        self._settings = {setting.name: setting for setting in settings}
        self._strangers: deque[Swipe] = deque(maxlen=STRANGERS_MAX)
        self.attended = {setting.name: self._attendant(setting) for setting in settings}
        self.ports = {name: self._port(name) for name in self._settings}
        gateway.readers = self

    def start(self) -> None:
        for port in self.ports.values():
            port.start()

    def stop(self) -> None:
        for port in self.ports.values():
            port.stop()

    # -- for pages and figures ------------------------------------------------------------------------------------

    def standing(self) -> list[Standing]:
        return [_standing(setting, self.attended[setting.name]) for setting in self._settings.values()]

    def unknown(self) -> list[Swipe]:
        """One a card, but for those that were enrolled meanwhile."""
        known = self._gateway.engine.house.uids
        newest = {swipe.uid: swipe for swipe in list(self._strangers) if swipe.uid not in known}
        return sorted(newest.values(), key=lambda swipe: swipe.at, reverse=True)

    def shown(self, name: str) -> Shown | None:
        return self.attended[name].shown(self._clock.now().steady_s)

    # -- one reader -----------------------------------------------------------------------------------------------

    def _attendant(self, setting: Setting) -> Attendant:
        return Attendant(
            make=machine_of(setting),
            choice=Choice(self._places_of(setting)),
            ask=lambda ask: self._asked(setting, ask),
            number_of=self._number_of,
            stranger=lambda uid: self._met(setting.name, uid),
        )

    def _port(self, name: str) -> ReaderPort:
        setting = self._settings[name]
        opening = opening_of(setting)
        if self._taping is not None:
            opening = self._taping.over_reader(name, setting.kind, opening)
        return ReaderPort(name, opening, self.attended[name], self._clock)

    def _places_of(self, setting: Setting) -> Callable[[], Sequence[Place]]:
        """An outlet that only measures is none that somebody could mean."""
        if setting.outlet:
            return lambda: (Place("", setting.outlet),)
        views = self._gateway.board.views
        return lambda: [_place(view) for view in views.of_pile(setting.pile) if view.phase != OutletPhase.METERING_ONLY]

    def _number_of(self, outlet: str) -> str:
        view = self._gateway.board.views.get(outlet)
        return "" if view is None else view.number

    def _asked(self, setting: Setting, ask: Ask) -> Answer:
        now = self._gateway.plan.clock.now()
        event = CardTapped(
            at=now.at,
            steady_s=now.steady_s,
            outlet=ask.outlet,
            pile=setting.pile,
            uid=ask.uid,
            session=secrets.token_hex(16),
            key=secrets.token_hex(16),
        )
        return self._gateway.ask(event)

    def _met(self, name: str, uid: str) -> None:
        """Its number is no other's after a restart either: pages may be open that name it."""
        self._strangers.append(Swipe(secrets.randbits(48), name, self._gateway.plan.clock.now().at, uid))


def _place(view: View) -> Place:
    free = view.phase == OutletPhase.OPEN and view.session is None and view.linked and view.dead is None
    return Place(view.number, view.outlet, free)


def machine_of(setting: Setting) -> Callable[[], said.Reader]:
    """A new one at each opening of its port: a card that lies there then was not swiped then."""

    def make() -> said.Reader:
        presence = Presence(setting.gone_s)
        match setting.kind:
            case "pn532":
                return Pn532(presence, setting.reverse)
            case "m1":
                return M1(presence, setting.reverse)
            case "hid":
                return Hid(presence, setting.reverse, Digits[setting.digits.upper()])

    return make


def opening_of(setting: Setting) -> Callable[[], Port]:
    if setting.kind == "hid":
        return lambda: InputPort(setting.port)
    baud = setting.baud or (PN532_BAUD if setting.kind == "pn532" else M1_BAUD)
    return lambda: SerialPort(setting.port, baud)


def _standing(setting: Setting, attendant: Attendant) -> Standing:
    return Standing(
        name=setting.name,
        kind=setting.kind,
        port=setting.port,
        outlet=setting.outlet,
        pile=setting.pile,
        state=attendant.state,
        device=attendant.device,
        faults=dict(attendant.faults),
        swipes=attendant.swipes,
    )
