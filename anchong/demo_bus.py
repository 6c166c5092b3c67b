"""The demonstration's second shed: sixteen sockets made of relays and meters on one RS-485 line, and a card reader."""

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from anchong.demo_setup import CARD_UID, Setup
from anchong.readers import Readers
from anchong.settings import Reader
from anchong.wiring import Gateway
from controller.core.programme import Step, todo
from firmware_bridge.transports.pace import Pace
from firmware_bridge.transports.serial import SerialBus

BUS: Final = "shed"
BOARDS: Final = 2
CHANNELS: Final = 8
METERS: Final = 10  # those of board 1 begin at 11, of board 2 at 21
OUTLET_W: Final = 625.0
LOOK_S: Final = 0.05
ANSWERS_S: Final = 0.15  # a busy machine; a pseudo-terminal itself is as fast as it is read

Tell = Callable[[dict[str, Any]], None]


def ports(folder: Path) -> tuple[Path, Path]:
    """Where the simulated adapters appear: of the bus, and of the reader."""
    return folder / "bus", folder / "reader"


class BusShed:
    """What of the gateway is there only for the bus, and how it is set up."""

    def __init__(self, folder: Path, factor: float) -> None:
        """A line keeps real time; but how long a board that was away is left alone is of the time that runs here."""
        self._bus, self._reader = ports(folder)
        pace = Pace(115_200, turnaround_s=ANSWERS_S, back_off_s=1 / factor)
        self._card_outlet = secrets.token_hex(8)
        self.buses = {BUS: SerialBus(BUS, str(self._bus), pace)}
        self.watts = OUTLET_W * BOARDS * CHANNELS

    def readers(self, gateway: Gateway) -> Readers:
        setting = Reader(name="shed", kind="pn532", port=str(self._reader), outlet=self._card_outlet)
        return Readers(gateway, [setting])

    def run(self, gateway: Gateway, setup: Setup, tell: Tell) -> None:
        """Found by a scan, adopted with its meters, proven, opened; then its people come."""
        setup.until(lambda: gateway.router.scan(BUS))
        for board in range(1, BOARDS + 1):
            wanted = {_board(board), *_meters(board)}
            setup.until(lambda wanted=wanted: wanted <= set(setup.found()))  # type: ignore[misc]
            shed = Board(gateway, setup, tell, board, self._card_outlet if board == BOARDS else "")
            threading.Thread(target=shed.run, daemon=True).start()
        gateway.router.end_scan(BUS)


class Board:
    """One board of eight, as a maintainer goes about it: a lamp in each socket, and its plug to pull."""

    def __init__(self, gateway: Gateway, setup: Setup, tell: Tell, number: int, card_outlet: str) -> None:
        self._gateway = gateway
        self._setup = setup
        self._tell = tell
        self._number = number
        self._outlets = [secrets.token_hex(8) for _ in range(CHANNELS)]
        if card_outlet:
            self._outlets[-1] = card_outlet
        self._card_outlet = card_outlet
        self._proven = False

    def run(self) -> None:
        stickers = self._setup.adopt(_board(self._number), self._values())
        threading.Thread(target=self._hold_the_plug, daemon=True).start()
        with ThreadPoolExecutor(CHANNELS) as each:
            proven = list(each.map(self._setup.prove, self._outlets))
        self._proven = True
        for channel, sticker in enumerate(stickers):
            if proven[channel]:
                self._begin(channel, sticker)

    def _values(self) -> dict[str, Any]:
        shed = f"{self._setup.piles + self._number:02d}"
        return {
            "name": f"{self._setup.piles + self._number} 号车棚 RS-485",
            "numbers": [f"{shed}-{channel + 1}" for channel in range(CHANNELS)],
            "outlets": self._outlets,
            "meters": _meters(self._number),
        }

    def _begin(self, channel: int, url: str) -> None:
        tale: dict[str, Any] = {"board": f"modbus:{self._number}", "channel": channel, "battery": "nearly-full"}
        if self._outlets[channel] == self._card_outlet:
            self._tell({**tale, "card": CARD_UID})
        else:
            self._tell({**tale, "url": url, "pulls": (self._number, channel) == (1, 0)})

    def _hold_the_plug(self) -> None:
        """Pulled when commissioning asks for it, and given back when it says so."""
        away, house = False, self._gateway.engine.house
        while not self._proven:
            wanted = "give_back" if away else "take_away"
            doing = [proving for outlet in self._outlets if (proving := house.outlets[outlet].proving) is not None]
            waiting = [todo(proving) for proving in doing if proving.step == Step.POWER_CUT]
            if waiting and all(word == wanted for word in waiting):
                away = not away
                self._tell({"board": f"modbus:{self._number}", "supply": not away})
            threading.Event().wait(LOOK_S)


def _board(number: int) -> str:
    return f"waveshare-relay:{BUS}/modbus:{number}"


def _meters(number: int) -> list[str]:
    return [f"pzem-004t:{BUS}/modbus:{METERS * number + channel + 1}" for channel in range(CHANNELS)]
