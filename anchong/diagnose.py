"""`anchong diagnostics`: one file for whoever helps, with the gateway running or stopped."""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

from anchong.bundle import WITHIN_S, bundle, packed, unpacked
from anchong.diagnostics import from_files
from anchong.log_lines import Redactor
from anchong.logs import quiet
from anchong.run import watch_key
from anchong.settings import BadSettings, Settings, read, secrets_of

ANSWER_S = WITHIN_S + 5.0
MINE_TOO = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


def diagnostics(
    output: Annotated[Path, typer.Option("-o", "--output", help="where to put the .tar.gz")],
    config: Annotated[Path, typer.Option("-c", "--config", help="the settings")] = Path("anchong.toml"),
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """What a maintainer far away needs; no secrets. Example: anchong diagnostics -c anchong.toml -o bundle.tar.gz"""
    quiet()
    try:
        settings = read(config)
    except BadSettings as bad:
        typer.echo(str(bad), err=True)
        raise typer.Exit(2) from bad
    files, running = gathered(config, settings)
    try:
        _put(output, packed(files))
    except OSError as error:
        typer.echo(f"{output}: can't be written: {error.strerror}; name another file with -o", err=True)
        raise typer.Exit(2) from error
    typer.echo(_said(output, files, running, as_json))


def gathered(config: Path, settings: Settings) -> tuple[dict[str, bytes], str]:
    """Every part by name, and what the running gateway answered: "yes", or why it gave nothing."""
    files = unpacked(bundle(from_files(config, settings), Redactor(secrets_of(settings)).text))
    inside, running = _from_the_running(settings)
    files |= {f"running/{name}": body for name, body in inside.items()}
    return files, running


def _from_the_running(settings: Settings) -> tuple[dict[str, bytes], str]:
    host = MINE_TOO.get(settings.web.host, settings.web.host)
    request = urllib.request.Request(f"http://{host}:{settings.web.port}/diagnostics")
    request.add_header("authorization", f"Bearer {watch_key(settings)}")
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with straight.open(request, timeout=ANSWER_S) as answer:
            return unpacked(answer.read()), "yes"
    except urllib.error.HTTPError as error:
        error.close()
        return {}, f"it answered {error.code}"
    except OSError as error:
        return {}, f"no answer: {getattr(error, 'reason', error)}"


def _put(path: Path, raw: bytes) -> None:
    """For its owner alone."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        path.chmod(0o600)  # it may have been there before
        file.write(raw)


def _said(output: Path, files: dict[str, bytes], running: str, as_json: bool) -> str:
    if as_json:
        sizes = {name: len(body) for name, body in sorted(files.items())}
        return json.dumps({"file": str(output), "running": running, "parts": sizes}, ensure_ascii=False)
    return f"{output}: {len(files)} parts. From the running gateway: {running}."
