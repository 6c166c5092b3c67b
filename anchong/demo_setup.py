"""The demonstration's compound, set up as staff would: site, tariff, owner, cards, piles adopted, proven and opened."""

import secrets
import threading
from collections.abc import Callable
from typing import Any

from anchong.wiring import Gateway
from api.auth import hashed_password
from api.services import Services
from api.stickers import new_id, sticker_path
from controller.core import events as ev
from controller.core.errors import Refused

SITE = "demo-garden"
ASK_S = 10.0
TRIES = 3
BANDS = [
    {"name": "谷", "from_min": 0, "to_min": 480, "energy_price": 3_200, "service_price": 3_000},
    {"name": "平", "from_min": 480, "to_min": 1_080, "energy_price": 5_583, "service_price": 3_000},
    {"name": "峰", "from_min": 1_080, "to_min": 1_320, "energy_price": 7_800, "service_price": 3_500},
    {"name": "谷", "from_min": 1_320, "to_min": 1_440, "energy_price": 3_200, "service_price": 3_000},
]
LINE_W = 1_200.0  # a start of 800 W and its gulp, beside a charge that has shown how little it draws: a short line
PILE_W = 1_250.0  # of two outlets: chargers draw a quarter of what their outlets may give
CARD_UID = "E9F35959"


class Setup:
    """`run` returns what the simulated world is then told: stickers to charge by, and a card to tap with."""

    def __init__(self, gateway: Gateway, services: Services, url: str, piles: int, more_w: float = 0.0) -> None:
        self._gateway = gateway
        self._services = services
        self._url = url
        self.piles = piles
        self._more_w = more_w  # of what is set up beside these piles
        self._owner = f"staff:{secrets.token_hex(4)}"
        self.login = "demo"
        self.password = secrets.token_urlsafe(9)
        self.free_sticker = ""

    def run(self) -> list[dict[str, Any]]:
        self._people()
        self.until(lambda: len(self.found()) >= self.piles)
        tales = []
        for number, found in enumerate(sorted(self.found())[: self.piles]):
            tales += self._pile(number, found)
        self._limits()
        return self._tales(tales)

    def _people(self) -> None:
        site = {"name": "锦绣花园 Jinxiu Garden", "zone": "Asia/Shanghai", "merchant": "demo", "bands": BANDS}
        self._change(ev.Change.SITE, SITE, site)
        staff = {"login": self.login, "name": "Demo owner", "role": "owner", "sites": [], "disabled": False}
        hashed = hashed_password(self.password)
        self._change(ev.Change.STAFF, self._owner.removeprefix("staff:"), {**staff, "password_hash": hashed})
        self._change(ev.Change.CARD, "demo-card", {"uid": CARD_UID, "printed": "0001"})
        self._ask(ev.CardToppedUp(**self._stamp(), key=_key(), by=self._owner, card="demo-card", amount_fen=5_000))

    def found(self) -> list[str]:
        return list(self._gateway.engine.house.found)

    def _pile(self, number: int, found: str) -> list[dict[str, Any]]:
        """Adopts one pile of two outlets, and proves and opens both at the same time."""
        outlets = [secrets.token_hex(8) for _ in range(2)]
        numbers = [f"{number + 1:02d}-{channel + 1}" for channel in range(2)]
        family, _, mac = found.partition(":")
        name = f"{number + 1} 号车棚 {family.capitalize()}"
        urls = self.adopt(found, {"name": name, "numbers": numbers, "outlets": outlets})
        threads = [threading.Thread(target=self.prove, args=(outlet,), daemon=True) for outlet in outlets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [{"mac": mac, "channel": channel, "url": url} for channel, url in enumerate(urls)]

    def adopt(self, found: str, values: dict[str, Any]) -> list[str]:
        """What its stickers say."""
        stickers = [new_id(self._services.sticker_keys) for _ in values["outlets"]]
        made = {"site": SITE, "pile": secrets.token_hex(8), "stickers": stickers}
        self._change(ev.Change.ADOPT, found, {**made, **values})
        return [self._sticker(sticker) for sticker in stickers]

    def _limits(self) -> None:
        """Enough for the whole compound, nearly always; in the first shed the second waits a while, to show a line."""
        views = self._gateway.board.views
        self._change(
            ev.Change.POWER, SITE, {"of": "site", "power_w": max(LINE_W * 2, PILE_W * self.piles) + self._more_w}
        )
        if self.piles > 1:
            first = min(views.values(), key=lambda view: view.number).pile
            self._change(ev.Change.POWER, first, {"of": "pile", "power_w": LINE_W})

    def _sticker(self, sticker: str) -> str:
        return self._url + sticker_path(sticker, self._services.sticker_keys[sticker[0]])

    def prove(self, outlet: str) -> bool:
        """Commissioning on the simulated device, as on a real one; tried again as a maintainer would."""
        for _ in range(TRIES):
            self.until(lambda: (view := self._gateway.board.views.get(outlet)) is not None and view.linked)
            self._change(ev.Change.COMMISSION, outlet, {})
            self.until(lambda: self._gateway.board.views[outlet].phase != "proving")
            if self._gateway.board.views[outlet].phase == "commissioned":
                self._change(ev.Change.OPEN, outlet, {})
                return True
        return False

    def _tales(self, tales: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The last outlet is for whoever looks; the one before it for the card; residents have the rest."""
        free = tales.pop()
        self.free_sticker = free.pop("url")
        card = tales.pop() if len(tales) > 1 else None
        told = [{**tale, "battery": "nearly-full"} for tale in tales]
        if card is not None:
            told.append({"mac": card["mac"], "channel": card["channel"], "card": CARD_UID})
        return [*told, {**free, "battery": "lithium"}]

    def _change(self, change: ev.Change, subject: str, values: dict[str, Any]) -> None:
        event = ev.StaffChange(
            **self._stamp(), key=_key(), by=self._owner, change=change, subject=subject, values=values
        )
        self._ask(event)

    def _ask(self, event: ev.Event) -> None:
        try:
            self._gateway.ask(event).result(ASK_S)
        except Refused as refused:
            raise SystemExit(f"the demonstration could not be set up: {refused.detail}") from refused

    def _stamp(self) -> dict[str, Any]:
        now = self._services.clock.now()
        return {"at": now.at, "steady_s": now.steady_s}

    def until(self, true: Callable[[], bool]) -> None:
        waiting = threading.Event()
        while not true():
            waiting.wait(0.05)


def _key() -> str:
    return secrets.token_hex(16)
