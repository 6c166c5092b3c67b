"""`anchong demo`: everything on loopback: broker, SQLite, sandbox payments, simulated piles and residents, pages."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from anchong.broker import BrokerFailed, DemoBroker, start_broker
from anchong.demo_bus import BOARDS, BusShed, ports
from anchong.demo_setup import Setup
from anchong.logs import Logs, quiet
from anchong.settings import derived
from anchong.watching import Watching
from anchong.web import WebPlan, serve, services
from anchong.wiring import Gateway, Plan, spare_what_stands
from api.providers.sandbox import Sandbox
from controller.clock import FastClock
from controller.core.state import Rules, Session
from controller.outbox import Account
from controller.postman import Postman
from controller.views import Board
from firmware_bridge.transports.mqtt import MqttSettings, MqttTransport

PORT = 8080
FACTOR, BUS_FACTOR = 30.0, 10.0  # a line is asked one unit after the other, however fast time runs
KEY_ID = "demo"
MERCHANT = "demo"
APP = "demo"
ZONE = "Asia/Shanghai"


def demo(
    factor: Annotated[
        float, typer.Option(min=0.0, max=300.0, help="how many times real time; 0: 30, or 10 with a bus")
    ] = 0.0,
    piles: Annotated[int, typer.Option(min=1, max=50, help="simulated piles of two outlets")] = 4,
    port: Annotated[int, typer.Option(min=0, max=65535, help="of the pages; another if it is taken")] = PORT,
    seed: Annotated[int, typer.Option(help="decides what the residents do")] = 7,
    bus: Annotated[bool, typer.Option("--bus", help="and a shed of sixteen sockets on one RS-485 line")] = False,
    for_s: Annotated[float, typer.Option(min=0.0, max=1e6, help="end after so many real seconds; 0: never")] = 0.0,
) -> None:
    """A whole compound on this machine, for a look. Example: anchong demo --factor 60"""
    logs = quiet()
    with tempfile.TemporaryDirectory(prefix="anchong-demo-") as folder:
        try:
            factor = max(1.0, factor) if factor else (BUS_FACTOR if bus else FACTOR)
            shed = BusShed(Path(folder), factor) if bus else None
            Demo(Path(folder), factor, piles, _free(port), seed, logs, shed).run(for_s)
        except BrokerFailed as failed:
            typer.echo(str(failed), err=True)
            raise typer.Exit(2) from failed


class Demo:
    """Starts the parts in order, sets the compound up through the one door, and ends all of it cleanly."""

    def __init__(
        self, folder: Path, factor: float, piles: int, port: int, seed: int, logs: Logs, shed: BusShed | None = None
    ) -> None:
        self.folder = folder
        self._logs = logs
        self._shed = shed
        self.factor = factor
        self.piles = piles
        self.port = port
        self.seed = seed
        self.origin = time.time()
        self.clock = FastClock(factor, self.origin)
        self.secret = secrets.token_hex(32)
        self.url = f"http://127.0.0.1:{port}"
        self._children: list[subprocess.Popen[str]] = []
        self._board: Board | None = None
        self._telling = threading.Lock()

    def run(self, for_s: float) -> None:
        typer.echo(f"Anchong demonstration: time runs {self.factor:g} times real. Ctrl-C ends it.")
        broker = start_broker()
        provider_url = self._start_provider()
        gateway = self._gateway(broker, provider_url)
        self._board = gateway.board
        gateway.start()
        spare_what_stands()
        sim = self._start_sim(broker)
        readers = None if self._shed is None else self._shed.readers(gateway)
        the = services(gateway, self._web_plan(), None, Watching(gateway, self._logs))
        setup = Setup(gateway, the, self.url, self.piles, 0.0 if self._shed is None else self._shed.watts)
        threading.Thread(target=self._set_up, args=(gateway, setup, sim, broker), daemon=True).start()
        if readers is not None:
            readers.start()
        try:
            serve(the, "127.0.0.1", self.port, for_s)
        finally:
            if readers is not None:
                readers.stop()
            self._end(gateway, broker)

    def _end(self, gateway: Gateway, broker: DemoBroker) -> None:
        for child in self._children:
            child.terminate()
        for child in self._children:
            try:
                child.wait(5.0)
            except subprocess.TimeoutExpired:
                child.kill()
        gateway.stop()
        broker.stop()
        typer.echo("The demonstration has ended; nothing of it is left.")

    def _gateway(self, broker: DemoBroker, provider_url: str) -> Gateway:
        key = derived(self.secret, "sandbox").hex().encode()
        sandbox = Sandbox(provider_url, KEY_ID, key, lambda: self.clock.now().at, simulator=True)
        account = Account("sandbox", MERCHANT, APP, f"{self.url}/webhooks/sandbox", f"{self.url}/paid/{{order}}")
        plan = Plan(
            clock=self.clock,
            rules=_rules(self.factor),
            database=f"sqlite:///{self.folder / 'demo.sqlite3'}",
            journal=self.folder / "trips",
            name="demo",
            providers={"sandbox": sandbox},
            accounts={"sandbox": account},
            postman=Postman(derived(self.secret, "hook"), at_home=True),
        )
        link = MqttSettings(
            host=broker.host, port=broker.port, user=broker.user, password=broker.password, client_id="gateway"
        )
        buses = {} if self._shed is None else self._shed.buses
        return Gateway(plan, MqttTransport(link, self.clock), self._tell_settled, buses=buses)

    def _web_plan(self) -> WebPlan:
        return WebPlan(
            sticker_keys={"A": derived(self.secret, "sticker")},
            sign_key=derived(self.secret, "sign"),
            public_url=self.url,
            provider="sandbox",
            provider_keys={KEY_ID: derived(self.secret, "sandbox").hex().encode()},
            merchant=MERCHANT,
            app=APP,
            demo=True,
            factor=self.factor,
        )

    def _start_provider(self) -> str:
        key = derived(self.secret, "sandbox").hex()
        flags = ["--port", "0", "--key-id", KEY_ID, "--token", secrets.token_hex(16)]
        flags += ["--factor", str(self.factor), "--origin", str(self.origin), "--with-parent"]
        child = self._spawn("simulators.provider", *flags, env={"ANCHONG_SANDBOX_KEY": key})
        line = _output(child).readline()
        return line.rsplit(" ", 1)[-1].strip()

    def _start_sim(self, broker: DemoBroker) -> "subprocess.Popen[str]":
        flags = ["sim", "--broker", f"{broker.host}:{broker.port}", "--user", broker.user, "--count", str(self.piles)]
        flags += ["--family", "tasmota,shelly"]
        flags += ["--outlets", "2", "--seed", str(self.seed), "--factor", str(self.factor)]
        flags += ["--origin", str(self.origin), "--told"]
        return self._spawn("anchong", *flags, env={"ANCHONG_SIM_PASSWORD": broker.password})

    def _spawn(self, module: str, *flags: str, env: dict[str, str]) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            [sys.executable, "-m", module, *flags],
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us; the children are ended in their turn
        )
        self._children.append(child)
        return child

    def _start_bus(self) -> "subprocess.Popen[str]":
        bus, reader = ports(self.folder)
        flags = ["sim", "--bus", str(bus), "--reader", str(reader), "--boards", str(BOARDS), "--seed", str(self.seed)]
        return self._spawn(
            "anchong", *flags, "--factor", str(self.factor), "--origin", str(self.origin), "--told", env={}
        )

    def _set_up(self, gateway: Gateway, setup: Setup, sim: "subprocess.Popen[str]", broker: DemoBroker) -> None:
        typer.echo(f"Pages:   {self.url}/")
        tales = setup.run()
        typer.echo(f"Console: {self.url}/console  (name {setup.login}, password {setup.password})")
        typer.echo(f"Sticker: {setup.free_sticker}  (plug is in: pay and start, as a resident)")
        typer.echo(f"Broker:  {broker.host}:{broker.port}  (to add piles as a maintainer, in another terminal:")
        typer.echo(f"         ANCHONG_SIM_PASSWORD={broker.password} .venv/bin/anchong sim --count 1 --seed 99 \\")
        typer.echo(f"         --broker {broker.host}:{broker.port} --user {broker.user} --factor {self.factor:g})")
        typer.echo("Charges as they settle:")
        for tale in tales:
            self._tell_sim(sim, tale)
        if self._shed is not None:
            typer.echo(
                f"Shed:    {self.url}/reader/shed  (a card reader; its sixteen sockets are found and proven first,"
            )
            typer.echo("         a minute or two: watch them at the console)")
            line = self._start_bus()
            self._shed.run(gateway, setup, lambda tale: self._tell_sim(line, tale))

    def _tell_sim(self, sim: "subprocess.Popen[str]", tale: dict[str, Any]) -> None:
        with self._telling:
            if sim.stdin is not None:
                sim.stdin.write(json.dumps(tale) + "\n")
                sim.stdin.flush()

    def _tell_settled(self, session: Session) -> None:
        at = datetime.fromtimestamp(session.settled_at or 0.0, ZoneInfo(ZONE))
        bill_fen = session.bill.total_fen if session.bill is not None else 0
        typer.echo(
            f"  {at:%H:%M} outlet {self._number(session.outlet)}: {session.reason}, {session.meter.used_wh:.0f} Wh, "
            f"paid ¥{session.hold_fen / 100:.2f}, bill ¥{bill_fen / 100:.2f}, back ¥{session.returned_fen / 100:.2f}"
        )

    def _number(self, outlet: str) -> str:
        view = self._board.views.get(outlet) if self._board is not None else None
        return outlet if view is None else view.number


def _rules(factor: float) -> Rules:
    """Where seconds pass in hundredths, what waits for this machine itself needs a real half second and a second."""
    return Rules(on_expires_s=max(5.0, factor * 0.5), on_confirm_s=max(10.0, factor), db_away_s=max(5.0, factor))


def _output(child: "subprocess.Popen[str]") -> IO[str]:
    if child.stdout is None:
        raise RuntimeError("the child was started without a pipe")
    return child.stdout


def _free(port: int) -> int:
    """The wished port, or any free one."""
    for wished in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wished))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise typer.Exit(2)
