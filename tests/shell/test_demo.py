"""`anchong demo` from outside: a charge settles by itself, Ctrl-C ends it cleanly, and nothing of it is left."""

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

pytest.importorskip("amqtt")

SETTLED = re.compile(
    r"^  \d\d:\d\d outlet \d\d-\d: (?P<reason>\w+), (?P<wh>\d+) Wh, "
    r"paid ¥(?P<paid>\d+\.\d\d), bill ¥(?P<bill>\d+\.\d\d), back ¥(?P<back>\d+\.\d\d)$"
)
MARK = f"ANCHONG_TEST_MARK={secrets.token_hex(8)}"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Its children inherit the mark, whatever sessions and groups they are put into."""
    name, _, value = MARK.partition("=")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "anchong", "demo", "--factor", "120", "--piles", "2", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8", name: value},
        cwd=Path(__file__).parents[2],
    ) as process:
        yield process
        process.kill()


def test_a_charge_settles_by_itself_and_ctrl_c_leaves_nothing(demo: "subprocess.Popen[str]", tmp_path: Path) -> None:
    assert demo.stdout is not None
    said: list[str] = []
    while (settled := SETTLED.match(said[-1] if said else "")) is None:
        line = demo.stdout.readline()
        assert line, "".join(said)
        said.append(line.rstrip("\n"))
    pages, sticker, console = (_address(said, name) for name in ("Pages", "Sticker", "Console"))
    for url in (f"{pages}healthz", sticker, console):
        assert httpx2.get(url, follow_redirects=True, trust_env=False).status_code == 200, url
    assert len(_marked()) > 1

    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=20)

    assert demo.returncode == 0, rest
    assert "Traceback" not in "\n".join(said) + rest
    assert rest.rstrip().endswith("The demonstration has ended; nothing of it is left.")
    assert (_marked(), list(tmp_path.iterdir())) == ([], [])
    paid, bill, back = (round(100 * float(settled[name])) for name in ("paid", "bill", "back"))
    assert paid == bill + back


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
