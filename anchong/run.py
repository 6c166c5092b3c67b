"""`anchong run`: the gateway in earnest."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import structlog
import typer
from sqlalchemy.exc import SQLAlchemyError

from anchong.esphome import found_by_settings
from anchong.logs import Logs
from anchong.readers import Readers
from anchong.settings import BadSettings, Bus, Settings, check_in_earnest, derived, link_of, read, rules, secrets_of
from anchong.taping import Taping
from anchong.watchdog import Watchdog
from anchong.watching import Watching
from anchong.web import WebPlan, first_owner_link, serve, services
from anchong.wiring import Gateway, Plan, spare_what_stands
from api.mail import Mail, MailSettings
from controller.clock import RealClock
from controller.database import Unusable
from controller.postman import Postman
from firmware_bridge.transports.mqtt import MqttTransport, clear_retained
from firmware_bridge.transports.pace import Pace
from firmware_bridge.transports.serial import SerialBus
from firmware_bridge.wire import Transport

log = structlog.get_logger()

LEVELS = ("debug", "info", "warning", "error")


def run(
    config: Annotated[Path, typer.Option("-c", "--config", help="the settings")] = Path("anchong.toml"),
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error; else what the settings say")] = "",
    capture: Annotated[Path | None, typer.Option(help="record what all links carry, redacted, in this file")] = None,
) -> None:
    """The gateway. Example: ANCHONG_SECRET=… anchong run -c anchong.toml"""
    try:
        settings = read(config)
        check_in_earnest(settings)
        logs = logs_of(settings, log_level)
        watchdog = Watchdog()
        taping = None if capture is None else Taping(settings, capture)
        gateway = gateway_of(settings, watchdog.stepped, taping)
    except (BadSettings, Unusable) as bad:
        typer.echo(str(bad), err=True)
        raise typer.Exit(2) from bad
    except (SQLAlchemyError, OSError) as error:
        typer.echo(f"database: can't be opened: {str(error).splitlines()[0]}; `anchong doctor` says more", err=True)
        raise typer.Exit(2) from error
    watching = Watching(gateway, logs, (config, settings))
    watchdog.status = watching.status
    try:
        _serve(gateway, settings, watching, watchdog, logs, taping)
    finally:
        if taping is not None:
            taping.stop()


def logs_of(settings: Settings, level: str = "") -> Logs:
    if level and level not in LEVELS:
        raise BadSettings(f"--log-level: must be one of {', '.join(LEVELS)}")
    logs = Logs(level or settings.log.level, settings.log.format, secrets_of(settings)).start()
    logs.take_in_others()
    return logs


def _notifier(settings: Settings) -> Mail | None:
    if settings.mail is None:
        return None
    return Mail(MailSettings(**settings.mail.model_dump()), settings.web.public_url)


def gateway_of(settings: Settings, stepped: Callable[[], None] = lambda: None, taping: Taping | None = None) -> Gateway:
    clock = RealClock()
    plan = Plan(
        clock=clock,
        rules=rules(settings),
        database=settings.database,
        journal=Path(settings.journal),
        name="gw",
        providers={},
        accounts={},
        notifier=_notifier(settings),
        postman=Postman(derived(settings.secret, "hook")),
    )
    link = link_of(settings)
    transport: Transport | None = None if link is None else MqttTransport(link, clock)
    buses: Mapping[str, Transport] = buses_of(settings)
    if taping is not None:
        transport = None if transport is None else taping.over(transport)
        buses = {name: taping.over(bus) for name, bus in buses.items()}
    try:
        return Gateway(plan, transport, fatal=_stop_ourselves, stepped=stepped, buses=buses)
    except BaseException:
        if transport is not None:
            transport.stop()  # it holds sockets from the start
        raise


def buses_of(settings: Settings) -> dict[str, SerialBus]:
    """By name; nothing is opened yet. A line keeps real time, whatever the gateway's clock."""
    return {bus.name: SerialBus(bus.name, bus.port, _pace(bus)) for bus in settings.bus}


def _pace(bus: Bus) -> Pace:
    return Pace(bus.baud, bus.parity, bus.stop_bits, bus.turnaround_ms / 1000)


def _stop_ourselves() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _serve(
    gateway: Gateway,
    settings: Settings,
    watching: Watching,
    watchdog: Watchdog,
    logs: Logs,
    taping: Taping | None = None,
) -> None:
    first_owner, link = first_owner_link(gateway, settings.web.public_url, time.monotonic())
    if link:
        typer.echo(f"No owner yet. For 30 minutes, once, this link makes one: {link}")
    readers = Readers(gateway, settings.reader, taping=taping)
    the = services(gateway, web_plan(settings), first_owner, watching)
    _sweep(gateway, settings)
    watching.obey_signals()
    logs.write_aside()
    gateway.start()
    for pile in found_by_settings(settings.esphome, gateway.plan.clock.now()):
        gateway.tell(pile)
    readers.start()
    spare_what_stands()
    watchdog.started()
    log.info("serving", host=settings.web.host, port=settings.web.port, public_url=settings.web.public_url)
    try:
        serve(the, settings.web.host, settings.web.port)
    finally:
        watchdog.stopping()
        readers.stop()
        gateway.stop()
        logs.stop()
    if gateway.broken:
        raise typer.Exit(1)


def _sweep(gateway: Gateway, settings: Settings) -> None:
    """A retained command on the broker would switch its outlet at each reconnect."""
    link = link_of(settings)
    if link is None:
        return
    try:
        for topic in clear_retained(link, gateway.retained_commands()):
            typer.echo(f"cleared a retained command on {topic}", err=True)
    except OSError as error:
        typer.echo(f"broker {link.host}:{link.port} not reached yet: {error}", err=True)


def web_plan(settings: Settings) -> WebPlan:
    return WebPlan(
        sticker_keys={"A": derived(settings.secret, "sticker")},
        sign_key=derived(settings.secret, "sign"),
        public_url=settings.web.public_url,
        provider="",
        provider_keys={},
        merchant="",
        app="",
        metrics_token=settings.web.metrics_token,
        watch_key=watch_key(settings),
    )


def watch_key(settings: Settings) -> str:
    """What `anchong diagnostics` shows the gateway that runs here; whoever has the settings has it."""
    return derived(settings.secret, "watch").hex()
