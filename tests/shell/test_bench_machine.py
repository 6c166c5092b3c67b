"""The machine is named by the command itself."""

import json
import os

from typer.testing import CliRunner

from anchong.__main__ import app


def test_the_machine_is_named_with_all_that_a_figure_depends_on() -> None:
    result = CliRunner().invoke(app, ["bench", "machine", "--json"])
    named = json.loads(result.stdout)

    assert result.exit_code == 0
    assert named["cores"] == os.cpu_count()
    assert named["memory_bytes"] > 100_000_000
    assert all(named[name] for name in ("cpu", "kernel", "system", "python", "sqlite", "paho", "mosquitto"))
