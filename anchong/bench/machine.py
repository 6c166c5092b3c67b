"""`anchong bench machine`: what figures were taken on, so that nobody has to guess."""

import os
import platform
import re
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from anchong.bench.ground import NoGround, mosquitto, spoken


class Machine(msgspec.Struct, frozen=True):
    """`load` is the mean number of running programs over the last minute: figures taken above `cores` are noisy."""

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    system: str
    python: str
    sqlite: str
    paho: str
    mosquitto: str
    load: float


def described() -> Machine:
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 0,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        system=_system(),
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        paho=version("paho-mqtt"),
        mosquitto=_mosquitto(),
        load=round(os.getloadavg()[0], 2),
    )


def _cpu() -> str:
    """Boards name themselves otherwise than servers do."""
    for path in ("/proc/cpuinfo", "/proc/device-tree/model"):
        text = Path(path).read_text(encoding="utf-8", errors="replace") if Path(path).exists() else ""
        named = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
        if named is not None:
            return named[1].strip()
        if text and "device-tree" in path:
            return text.strip("\0\n ")
    return platform.processor() or platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.platform()


def _mosquitto() -> str:
    try:
        said = subprocess.run([mosquitto(), "-h"], capture_output=True, text=True, timeout=10, check=False).stdout
    except NoGround:
        return "not installed"
    found = re.search(r"version (\S+)", said)
    return found[1] if found is not None else "unknown"


def machine(as_json: Annotated[bool, typer.Option("--json", help="one line")] = False) -> None:
    """What the figures are taken on. Example: anchong bench machine --json"""
    with spoken():
        figure = described()
    if as_json:
        typer.echo(msgspec.json.encode(figure).decode())
        return
    for name in figure.__struct_fields__:
        typer.echo(f"{name:13} {getattr(figure, name)}")
