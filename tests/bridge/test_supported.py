"""SUPPORTED.md says what the code's tables say, and nothing by hand."""

import json
from pathlib import Path
from typing import get_args

import pytest

from anchong import supported
from anchong.decode import PROTOCOLS
from anchong.settings import Reader
from firmware_bridge.drivers import DRIVERS

FILE = Path(__file__).parents[2] / "SUPPORTED.md"


def test_the_page_is_as_the_code_says() -> None:
    assert FILE.read_text(encoding="utf-8") == supported.text(), "python -m anchong.supported > SUPPORTED.md"


def test_every_family_reader_and_protocol_stands_in_it() -> None:
    text = supported.text()

    assert all(f"| `{name}` |" in text for name in (*DRIVERS, *PROTOCOLS))
    assert set(get_args(Reader.model_fields["kind"].annotation)) == set(supported.READER_PROTOCOLS)
    assert set(filter(None, supported.READER_PROTOCOLS.values())) <= set(PROTOCOLS)


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"device": "our own twin", "simulated": True}, "twin"),
        ({"device": "Athom Plug V3, 13.3.0"}, "twin, capture of Athom Plug V3, 13.3.0"),
        ({"device": "Athom", "commissioned": "2026-11-27"}, "twin, capture of Athom, hardware, 2026-11-27"),
        ({}, "twin, capture of unnamed"),
    ],
)
def test_a_recording_of_a_real_device_is_told_and_one_of_a_twin_is_no_more_than_the_twin(
    about: dict[str, object], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pile = {"family": "tasmota", "address": "x", "ours": [True], "params": {}}
    (tmp_path / "one.jsonl").write_text(json.dumps({"about": {**about, "piles": [pile]}}) + "\n", encoding="utf-8")
    monkeypatch.setattr(supported, "CAPTURES", tmp_path)

    row = next(line for line in supported.text().splitlines() if line.startswith("| `tasmota` |"))

    assert row.endswith(f"| {told} |")
