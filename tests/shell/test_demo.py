"""`anchong demo` from outside: a charge settles by itself, Ctrl-C ends it cleanly, and nothing of it is left."""

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

pytest.importorskip("amqtt")

SETTLED = re.compile(
    r"^  \d\d:\d\d outlet \d\d-\d: (?P<reason>\w+), (?P<wh>\d+) Wh, "
    r"paid ¥(?P<paid>\d+\.\d\d), bill ¥(?P<bill>\d+\.\d\d), back ¥(?P<back>\d+\.\d\d)$"
)
MARK = f"ANCHONG_TEST_MARK={secrets.token_hex(8)}"


@contextmanager
def demo(tmp_path: Path, *more: str) -> Iterator["subprocess.Popen[str]"]:
    """Its children inherit the mark, whatever sessions and groups they are put into."""
    name, _, value = MARK.partition("=")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "anchong", "demo", "--piles", "2", "--port", "0", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8", name: value},
        cwd=Path(__file__).parents[2],
    ) as process:
        yield process
        process.kill()


def test_a_charge_settles_by_itself_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with demo(tmp_path, "--factor", "120") as running:
        said = _said(running, lambda line: SETTLED.match(line) is not None)
        for url in (f"{_address(said, 'Pages')}healthz", _address(said, "Sticker"), _address(said, "Console")):
            assert httpx2.get(url, follow_redirects=True, trust_env=False).status_code == 200, url
        _ends(running, said, tmp_path)
    settled = SETTLED.match(said[-1])
    assert settled is not None
    paid, bill, back = (round(100 * float(settled[name])) for name in ("paid", "bill", "back"))
    assert paid == bill + back


def test_a_shed_on_a_line_comes_along_and_leaves_nothing_either(tmp_path: Path) -> None:
    with demo(tmp_path, "--factor", "60", "--bus") as running:
        said = _said(running, lambda line: line.startswith("Shed:"))
        reader = _address(said, "Shed")
        assert "shed" in httpx2.get(reader, follow_redirects=True, trust_env=False).text
        _ends(running, said, tmp_path)


def _said(running: "subprocess.Popen[str]", last: Callable[[str], bool]) -> list[str]:
    """Up to the line that is waited for."""
    assert running.stdout is not None
    said: list[str] = []
    while not said or not last(said[-1]):
        line = running.stdout.readline()
        assert line, "".join(said)
        said.append(line.rstrip("\n"))
    return said


def _ends(running: "subprocess.Popen[str]", said: list[str], folder: Path) -> None:
    assert len(_marked()) > 1
    running.send_signal(signal.SIGINT)
    rest, _ = running.communicate(timeout=20)
    assert running.returncode == 0, rest
    assert "Traceback" not in "\n".join(said) + rest
    assert rest.rstrip().endswith("The demonstration has ended; nothing of it is left.")
    assert (_marked(), list(folder.iterdir())) == ([], [])


def _address(said: list[str], name: str) -> str:
    return next(line.split()[1] for line in said if line.startswith(f"{name}:"))


def _marked() -> list[str]:
    """The processes that carry the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if MARK.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has ended meanwhile, or is not ours
    return [command for command in found if command]
