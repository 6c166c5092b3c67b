"""The ground of the figures: whatever becomes of the command, nothing of it lives on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from anchong.bench.ground import Child, NoGround, ground
from tests.house import eventually, needs


def of_ours(folder: Path) -> list[int]:
    """Processes that name the folder on their command line or as one of their open files."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _names(entry, folder)]


def _names(process: Path, folder: Path) -> bool:
    try:
        names = [str(link.readlink()) for link in (process / "fd").iterdir()]
        return any(str(folder) in name for name in (*names, (process / "cmdline").read_text(errors="replace")))
    except OSError:
        return False  # gone meanwhile


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
def test_broker_gateway_and_publisher_end_with_the_command_however_it_ends(
    blow: signal.Signals, tmp_path: Path
) -> None:
    needs("mosquitto")
    command = [sys.executable, "-m", "anchong", "bench", "ingest", "--outlets", "10", "--seconds", "60"]
    with subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as bench:
        eventually(lambda: len(of_ours(tmp_path)) >= 4, within_s=60)
        os.kill(bench.pid, blow)
        bench.wait(30)

    eventually(lambda: of_ours(tmp_path) == [], within_s=30)


def test_a_child_that_ends_early_is_one_line_with_its_last_word(tmp_path: Path) -> None:
    child = Child("anchong.bench.subject_child", tmp_path / "log")
    with pytest.raises(NoGround, match=r"anchong\.bench\.subject_child ended: .*"):
        child.ask("no start at all", 30)
    child.stop()


def test_a_broker_that_does_not_start_is_one_line_with_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "mosquitto"
    fake.write_text("#!/bin/sh\necho no such luck >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr("anchong.bench.ground.SEARCH_PATH", str(tmp_path))

    with pytest.raises(NoGround, match="mosquitto did not start: no such luck"), ground():
        pytest.fail("there is no broker")
