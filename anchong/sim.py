"""`anchong sim`: simulated piles, and residents if they are told of stickers, against any broker."""

import json
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from anchong.logs import quiet
from anchong.sim_bus import BusPlan, BusPlay, by_hand
from controller.clock import Clock, FastClock
from simulators.battery import BATTERIES
from simulators.fleet import BrokerAt, Fleet, Plug
from simulators.resident import CardHolder, Resident
from simulators.twins import TWINS

COUNT_MAX = 10_000
INTRODUCED_MAX = 20


class TestLamp:
    """What a maintainer plugs in for commissioning: a steady 60 W."""

    def draw_w(self, dt_s: float) -> float:
        return 60.0


def plugs(families: Sequence[str], count: int, outlets: int, broker: BrokerAt, clock: Clock, seed: int) -> list[Plug]:
    """Piles of the families in turn, their addresses made from the seed; a test lamp is in every outlet."""
    random = Random(seed)
    made = []
    for number in range(count):
        mac = f"{random.randrange(16**12):012X}"
        twin = TWINS[families[number % len(families)]](mac, [TestLamp() for _ in range(outlets)], clock.now().at)
        made.append(Plug(twin, broker, clock))
    return made


def sim(
    broker: Annotated[str, typer.Option(help="host:port of the MQTT broker")] = "127.0.0.1:1883",
    user: Annotated[
        str, typer.Option(help="user name at the broker; of one pile where each has its own: its topic")
    ] = "",
    password: Annotated[str, typer.Option(envvar="ANCHONG_SIM_PASSWORD", help="its password")] = "",
    family: Annotated[
        str, typer.Option(help=f"what they are: {', '.join(TWINS)}; several, by comma, take turns")
    ] = next(iter(TWINS)),
    count: Annotated[int, typer.Option(min=1, max=COUNT_MAX, help="how many piles")] = 3,
    outlets: Annotated[int, typer.Option(min=1, max=8, help="outlets of each")] = 1,
    bus: Annotated[
        Path | None,
        typer.Option(help="play relay boards and meters of an RS-485 line instead; their port appears here"),
    ] = None,
    boards: Annotated[int, typer.Option(min=1, max=9, help="on that line, each of eight relays and meters")] = 1,
    reader: Annotated[Path | None, typer.Option(help="and a card reader beside them; its port appears here")] = None,
    seed: Annotated[int, typer.Option(help="decides everything")] = 1,
    factor: Annotated[float, typer.Option(min=0.01, max=1000.0, help="how many times real time")] = 1.0,
    origin: Annotated[float, typer.Option(help="where fast time began, unix seconds", hidden=True)] = 0.0,
    told: Annotated[
        bool, typer.Option("--told", help="read stickers and cards to use from stdin", hidden=True)
    ] = False,
) -> None:
    """Simulated piles. Example: anchong sim --broker 192.168.1.10:1883 --user sim --family tasmota,shelly --count 20"""
    if bus is not None:
        _play_bus(BusPlan(bus, reader, boards), FastClock(factor, origin or time.time()), seed, told)
        return
    host, _, port = broker.rpartition(":")
    if not host or not port.isdigit():
        typer.echo(f"--broker {broker}: must be host:port", err=True)
        raise typer.Exit(2)
    families = [name.strip() for name in family.split(",")]
    if unknown := [name for name in families if name not in TWINS]:
        typer.echo(f"--family {unknown[0]!r}: must be one of {', '.join(TWINS)}, or several by comma", err=True)
        raise typer.Exit(2)
    if told:
        quiet()  # the terminal is the demonstration's
    clock = FastClock(factor, origin or time.time())
    fleet = Fleet(plugs(families, count, outlets, BrokerAt(host, int(port), user, password), clock, seed))
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # also out of a read that waits for stdin
    if not told:
        _introduce(fleet.plugs)
    fleet.start()
    try:
        _live(fleet, clock, seed, told, stopping)
    except KeyboardInterrupt:
        stopping.set()
    fleet.stop()


def _play_bus(plan: BusPlan, clock: Clock, seed: int, told: bool) -> None:
    if taken := next((port for port in (plan.bus, plan.reader) if port is not None and port.is_symlink()), None):
        typer.echo(f"{taken}: is there already; another simulation runs, or remove it", err=True)
        raise typer.Exit(2)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if told:
        quiet()
    play = BusPlay(plan, clock, seed, TestLamp)
    with suppress(KeyboardInterrupt):
        play.run(sys.stdin if told else by_hand(play, plan.boards))


def _introduce(plugs: Sequence[Plug]) -> None:
    """Who they are, and the topic that a broker with a user for each device has to know them by."""
    for plug in plugs[:INTRODUCED_MAX]:
        typer.echo(f"{plug.twin.family} {plug.twin.mac} listens to {plug.twin.subscriptions()[0]}", err=True)
    if len(plugs) > INTRODUCED_MAX:
        typer.echo(f"... and {len(plugs) - INTRODUCED_MAX} more", err=True)
    typer.echo("A lamp of 60 W is in every outlet. Ctrl-C ends it.", err=True)


def _live(fleet: Fleet, clock: Clock, seed: int, told: bool, stopping: threading.Event) -> None:
    if not told:
        stopping.wait()
        return
    by_mac = {plug.twin.mac: plug for plug in fleet.plugs}
    for number, line in enumerate(sys.stdin):
        _begin(json.loads(line), by_mac, clock, seed + number, stopping)
    stopping.set()


def _begin(
    tale: dict[str, object], by_mac: dict[str, Plug], clock: Clock, seed: int, stopping: threading.Event
) -> None:
    """A line of stdin: a sticker to charge by, a card to tap with, or an outlet to leave alone."""
    plug, channel = by_mac[str(tale["mac"])], int(str(tale.get("channel", 0)))
    plug.unplug(channel)
    if "url" in tale:
        first = str(tale.get("battery", "nearly-full"))
        Resident(plug, channel, str(tale["url"]), clock, seed, first, stopping).start()
    elif "card" in tale:
        CardHolder(plug, plug, channel, str(tale["card"]), clock, seed, stopping).start()
    elif "battery" in tale:
        plug.plug(channel, BATTERIES[str(tale["battery"])](Random(seed)))
