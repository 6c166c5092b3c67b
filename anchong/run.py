"""`anchong run`: the gateway in earnest."""

import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from anchong.logs import plain
from anchong.settings import BadSettings, Settings, check_in_earnest, derived, read, rules
from anchong.web import WebPlan, first_owner_link, serve, services
from anchong.wiring import Gateway, Plan
from controller.clock import RealClock
from controller.database import Unusable
from controller.postman import Postman
from firmware_bridge.transports.mqtt import MqttSettings, MqttTransport, clear_retained


def run(
    config: Annotated[Path, typer.Option("-c", "--config", help="the settings")] = Path("anchong.toml"),
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error")] = "info",
) -> None:
    """The gateway. Example: ANCHONG_SECRET=… anchong run -c anchong.toml"""
    plain(log_level)
    try:
        settings = read(config)
        check_in_earnest(settings)
        gateway = gateway_of(settings)
    except (BadSettings, Unusable) as bad:
        typer.echo(str(bad), err=True)
        raise typer.Exit(2) from bad
    except SQLAlchemyError as error:
        typer.echo(f"database: can't be opened: {str(error).splitlines()[0]}; `anchong doctor` says more", err=True)
        raise typer.Exit(2) from error
    _serve(gateway, settings)


def gateway_of(settings: Settings) -> Gateway:
    clock = RealClock()
    plan = Plan(
        clock=clock,
        rules=rules(settings),
        database=settings.database,
        journal=Path(settings.journal),
        name="gw",
        providers={},
        accounts={},
        postman=Postman(derived(settings.secret, "hook")),
    )
    transport = MqttTransport(link_of(settings), clock)
    try:
        return Gateway(plan, transport, fatal=_stop_ourselves)
    except BaseException:
        transport.stop()  # it holds sockets from the start
        raise


def _stop_ourselves() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def link_of(settings: Settings) -> MqttSettings:
    return MqttSettings(**settings.broker.model_dump())


def _serve(gateway: Gateway, settings: Settings) -> None:
    first_owner, link = first_owner_link(gateway, settings.web.public_url, time.monotonic())
    if link:
        typer.echo(f"No owner yet. For 30 minutes, once, this link makes one: {link}")
    the = services(gateway, web_plan(settings), first_owner)
    _sweep(gateway, settings)
    gateway.start()
    try:
        serve(the, settings.web.host, settings.web.port)
    finally:
        gateway.stop()
    if gateway.broken:
        raise typer.Exit(1)


def _sweep(gateway: Gateway, settings: Settings) -> None:
    """A retained command on the broker would switch its outlet at each reconnect."""
    try:
        for topic in clear_retained(link_of(settings), gateway.retained_commands()):
            typer.echo(f"cleared a retained command on {topic}", err=True)
    except OSError as error:
        typer.echo(f"broker {settings.broker.host}:{settings.broker.port} not reached yet: {error}", err=True)


def web_plan(settings: Settings) -> WebPlan:
    return WebPlan(
        sticker_keys={"A": derived(settings.secret, "sticker")},
        sign_key=derived(settings.secret, "sign"),
        public_url=settings.web.public_url,
        provider="",
        provider_keys={},
        merchant="",
        app="",
    )
