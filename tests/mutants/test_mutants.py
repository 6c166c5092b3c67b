"""Every mutant must be noticed: a world that sees none of these mistakes proves nothing."""

import pytest

from tests.mutants.__main__ import main
from tests.mutants.form import MUTANTS


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_the_world_notices(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["mutants", name])
    assert main() == 1
    assert "seed" in capsys.readouterr().out


def test_there_are_at_least_twelve_and_each_says_what_it_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["mutants", "--list"])
    assert main() == 0
    assert len(capsys.readouterr().out.splitlines()) == len(MUTANTS) >= 12
