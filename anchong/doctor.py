"""`anchong doctor`: looks at settings, clock, database, broker and buses, and says of each finding what to do."""

import json
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from anchong.doctor_broker import Device, broker_findings
from anchong.doctor_database import database_findings, known_piles
from anchong.doctor_finding import Finding, State
from anchong.doctor_host import clock_findings, journal_findings
from anchong.doctor_readers import reader_findings
from anchong.doctor_serial import bus_findings
from anchong.settings import BadSettings, Settings, check_in_earnest, link_of, read

Check = Callable[[], Iterable[Finding]]


def doctor(
    config: Annotated[Path, typer.Option("-c", "--config", help="the settings")] = Path("anchong.toml"),
    device_user: Annotated[str, typer.Option(help="a second user of the broker, to try whether it can cheat")] = "",
    device_password: Annotated[str, typer.Option(envvar="ANCHONG_DEVICE_PASSWORD", help="its password")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """What is wrong here, and what to do. Example: anchong doctor -c anchong.toml --device-user test --json"""
    try:
        settings = read(config)
    except BadSettings as bad:
        typer.echo(str(bad), err=True)
        raise typer.Exit(2) from bad
    device = Device(device_user, device_password) if device_user else None
    findings = findings_of(config, settings, device)
    typer.echo(_as_json(findings) if as_json else _as_text(findings))
    raise typer.Exit(1 if any(finding.state is State.BAD for finding in findings) else 0)


def findings_of(config: Path, settings: Settings, device: Device | None = None) -> list[Finding]:
    return [finding for check in _checks(config, settings, device) for finding in _carried_out(check)]


def _checks(config: Path, settings: Settings, device: Device | None) -> tuple[tuple[str, Check], ...]:
    return (
        ("settings", lambda: settings_findings(config, settings)),
        ("clock", clock_findings),
        ("database", lambda: database_findings(settings.database)),
        ("journal", lambda: journal_findings(Path(settings.journal))),
        ("broker", lambda: _broker(settings, device)),
        ("bus", lambda: bus_findings(settings.bus)),
        ("reader", lambda: _readers(settings)),
    )


def _broker(settings: Settings, device: Device | None) -> Iterable[Finding]:
    link = link_of(settings)
    return [] if link is None else broker_findings(link, known_piles(settings.database), device)


def _readers(settings: Settings) -> Iterable[Finding]:
    return reader_findings(settings.reader, known_piles(settings.database)) if settings.reader else ()


def _carried_out(check: tuple[str, Check]) -> list[Finding]:
    area, look = check
    try:
        return list(look())
    except Exception as error:  # noqa: BLE001 - who asks what is wrong must not be answered by a traceback
        return [Finding(area, State.BAD, f"could not be looked at: {error!r}"[:300], "report this as a bug")]


def settings_findings(config: Path, settings: Settings) -> Iterable[Finding]:
    try:
        check_in_earnest(settings)
        yield Finding("settings", State.OK, "secrets are strong enough, nothing simulated")
    except BadSettings as bad:
        says, _, fix = str(bad).partition("; ")
        yield Finding("settings", State.BAD, f"`anchong run` refuses: {says}", fix or "mend this key")
    if config.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding("settings", State.WARN, f"{config} can be read by others", f"chmod 600 {config}")


def _as_json(findings: list[Finding]) -> str:
    worst = max((finding.state for finding in findings), key=list(State).index, default=State.OK)
    return json.dumps({"worst": worst, "findings": msgspec.to_builtins(findings)}, ensure_ascii=False)


def _as_text(findings: list[Finding]) -> str:
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<5} {finding.area}: {finding.says}")
        if finding.do:
            lines.append(f"      → {finding.do}")
    return "\n".join(lines)
