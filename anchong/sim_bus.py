"""Simulated relay boards, meters and a card reader behind pseudo-terminals, for `anchong sim --bus` and the demo."""

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import msgspec
import typer

from controller.clock import Clock
from simulators.battery import BATTERIES
from simulators.bus_end import BusEnd, BusSockets
from simulators.reader_ends import PtyEnd, Running
from simulators.resident import CardHolder, Resident
from simulators.twins.contact import Load
from simulators.twins.line import Line
from simulators.twins.meter_units import pzem_unit
from simulators.twins.pn532_twin import Pn532Twin
from simulators.twins.relay_boards import waveshare

CHANNELS = 8
METERS = 10  # the meters of board 1 are 11 to 18, of board 2 21 to 28
AWAY_S = 10.0  # as people are told: they count to ten
RIDES_AWAY_S = 600.0
CARD = "04A1B2C3"
CARD_NUMBER = re.compile(r"[0-9A-Fa-f]{8}|[0-9A-Fa-f]{14}|[0-9A-Fa-f]{20}")


class BusPlan(msgspec.Struct, frozen=True):
    """Where the adapters are to be, and what hangs on the line. An empty `reader` is none."""

    bus: Path
    reader: Path | None
    boards: int


def line_of(boards: int, load: Callable[[], Load], now_s: float) -> Line:
    """Waveshare boards of eight, and a PZEM behind each of their relays."""
    line = Line([waveshare(number, [load() for _ in range(CHANNELS)]) for number in range(1, boards + 1)], now_s)
    for number in range(1, boards + 1):
        for channel in range(CHANNELS):
            line.add(pzem_unit(METERS * number + channel + 1, line.circuit(f"modbus:{number}", channel)))
    return line


class ReaderEnd:
    """A PN532 to which cards are held."""

    def __init__(self, link: Path) -> None:
        self._twin = Pn532Twin()
        self._running = Running(PtyEnd(self._twin, link))

    def tap(self, uid: str) -> None:
        with self._running.lock:
            self._twin.field.tap(bytes.fromhex(uid), time.monotonic())

    def stop(self) -> None:
        self._running.stop()


class BusPlay:
    """One line and its people. `obey` takes one line of what the demonstration tells."""

    def __init__(self, plan: BusPlan, clock: Clock, seed: int, load: Callable[[], Load]) -> None:
        self.end = BusEnd(line_of(plan.boards, load, clock.now().at), clock, plan.bus)
        self.reader = ReaderEnd(plan.reader) if plan.reader is not None else None
        self._clock = clock
        self._seed = seed
        self._stopping = threading.Event()

    def run(self, told: Iterable[str]) -> None:
        self.end.start()
        try:
            for line in told:
                self.obey(json.loads(line))
        finally:
            self._stopping.set()
            self.end.stop()
            if self.reader is not None:
                self.reader.stop()

    def obey(self, tale: dict[str, object]) -> None:
        board = str(tale["board"])
        match tale:
            case {"supply": False}:
                self.end.cut_supply(board)
            case {"supply": True}:
                self.end.restore_supply(board)
            case _:
                self._begin(tale, BusSockets(self.end, board), int(str(tale["channel"])))

    def _begin(self, tale: dict[str, object], sockets: BusSockets, channel: int) -> None:
        """A sticker to charge by, a card to tap with, or a bike that only stands there."""
        self._seed += 1
        sockets.unplug(channel)
        battery = str(tale.get("battery", "nearly-full"))
        if "url" in tale:
            pulls_s = RIDES_AWAY_S if tale.get("pulls") else None
            url, stopping = str(tale["url"]), self._stopping
            Resident(sockets, channel, url, self._clock, self._seed, battery, stopping, pulls_s).start()
        elif "card" in tale and self.reader is not None:
            uid = str(tale["card"])
            CardHolder(sockets, self.reader, channel, uid, self._clock, self._seed, self._stopping).start()
        else:
            sockets.plug(channel, BATTERIES[battery](Random(self._seed)))  # noqa: S311 - seeded, on purpose


def by_hand(play: BusPlay, boards: int) -> Iterable[str]:
    """A maintainer's terminal: a board's number takes its supply away for a moment, a card's is held to the reader."""
    lamps = f"A lamp of 60 W is in every socket. A board's number and Enter: it is without supply for {AWAY_S:g} s."
    typer.echo(lamps, err=True)
    if play.reader is not None:
        typer.echo(f"A card's number, {CARD} say, and Enter: it is held to the reader.", err=True)
    for line in sys.stdin:
        number = line.strip() or "1"
        if play.reader is not None and CARD_NUMBER.fullmatch(number):
            play.reader.tap(number)
            continue
        if not number.isdigit() or not 1 <= int(number) <= boards:
            typer.echo(f"{number}: there are boards 1 to {boards}", err=True)
            continue
        yield json.dumps({"board": f"modbus:{number}", "supply": False})
        threading.Event().wait(AWAY_S)
        yield json.dumps({"board": f"modbus:{number}", "supply": True})
