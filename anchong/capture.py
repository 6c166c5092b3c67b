"""`anchong capture`: records what is said on our links, so that it can be looked at, and tested against, elsewhere."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from anchong.listening import Baud, For, Frame, Parity, Port, Protocols, Source, listening, on_broker, on_line
from anchong.settings import BadSettings, read
from firmware_bridge.capture import Tape, about, line
from firmware_bridge.veil import Veil


def capture(
    out: Annotated[Path, typer.Option(help="the file to write, JSON lines; it is begun anew")],
    config: Annotated[Path, typer.Option("-c", "--config", help="the settings")] = Path("anchong.toml"),
    port: Port = "",
    baud: Baud = 9600,
    parity: Parity = "N",
    protocols: Protocols = "",
    for_s: For = 0.0,
    device: Annotated[str, typer.Option(help="what it is and which firmware, for who gets the file")] = "",
    raw: Annotated[bool, typer.Option(help="with cards, networks and passwords: for you alone")] = False,
) -> None:
    """Record live traffic, redacted. Example: anchong capture -c anchong.toml --out shed.jsonl --for-s 600

    Each line is one frame that `anchong decode --jsonl` reads. Cards, networks, addresses and passwords are replaced.
    """
    veil = None if raw else Veil(secrets.token_bytes(16))
    try:
        source = source_of(config, port, baud, parity, protocols)
        with listening(source) as ear:
            if raw:
                typer.echo("--raw: cards, networks and passwords stand in this file; give it to nobody", err=True)
            typer.echo(f"listening to {source.where}, {len(source.known.piles)} piles known; Ctrl-C ends it", err=True)
            tape = Tape(out, lambda: about(source.known.piles, veil, device))
            count = _kept(ear.frames(for_s), tape, veil, out)
            lost = ear.lost + tape.lost
            typer.echo(f"{count} frames in {out}" + (f", {lost} lost: too slow" if lost else ""), err=True)
    except BadSettings as bad:
        raise unusable(str(bad)) from bad
    except OSError as error:
        raise unusable(f"--out {out}: {error.strerror}") from error


def _kept(frames: Iterator[Frame], tape: Tape, veil: Veil | None, out: Path) -> int:
    """All of them, to the end; how many."""
    count = 0
    try:
        for frame in frames:
            _keep(tape, frame, veil)
            count += 1
            if tape.failed:
                raise unusable(f"--out {out}: {tape.failed}")
    except KeyboardInterrupt:
        pass
    finally:
        tape.close()
    return count


def _keep(tape: Tape, frame: Frame, veil: Veil | None) -> None:
    tape.put(lambda: line(frame.t_s, frame.protocol, frame.direction, frame.message, veil))


def source_of(config: Path, port: str, baud: int, parity: str, protocols: str) -> Source:
    names = [name.strip() for name in protocols.split(",") if name.strip()]
    return on_line(port, baud, parity, names) if port else on_broker(read(config))


def unusable(why: str) -> typer.Exit:
    """Bad input: one line for people, exit code 2."""
    typer.echo(why, err=True)
    return typer.Exit(2)
