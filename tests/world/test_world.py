"""A few seeds of the world; thousands are run by hand with `anchong world`."""

import json
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from anchong.__main__ import app
from anchong.world import _repeatably, ran, reported
from firmware_bridge.drivers import tasmota
from simulators.world_cells import all_cells, unreachable
from simulators.world_faults import PROFILES

SEEDS = range(1, len(PROFILES) + 1)  # one of each profile


@pytest.mark.parametrize("seed", SEEDS)
def test_every_invariant_holds_in_a_day_of_trouble(seed: int) -> None:
    tally, _ = ran([seed])
    assert tally.violations == []
    assert tally.sessions > 0


def test_one_seed_is_one_day() -> None:
    first, second = ran([4]), ran([4])
    assert first[1] == second[1]
    assert (first[0].stop_reasons, first[0].faults) == (second[0].stop_reasons, second[0].faults)


def test_ids_that_drivers_make_up_come_from_the_seed_while_it_runs_and_from_nowhere_afterwards() -> None:
    def made(seed: int) -> list[object]:
        with _repeatably(seed):
            return [vars(tasmota)["uuid4"]() for _ in range(2)]

    assert made(4) == made(4)
    assert len({*made(4), *made(5)}) == 4
    assert vars(tasmota)["uuid4"] is uuid4


def test_the_command_prints_what_was_reached_and_why_the_rest_was_not() -> None:
    result = CliRunner().invoke(app, ["world", "--seeds", "6", "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert set(report) == {"sessions", "violations", "handlers", "stop_reasons", "faults", "unreachable"}
    assert set(report["handlers"]) == set(all_cells())
    assert report["violations"] == []


@pytest.mark.parametrize("seeds", ["", "x", "3..1", "1...2"])
def test_a_range_that_is_none_is_refused(seeds: str) -> None:
    assert CliRunner().invoke(app, ["world", "--seeds", seeds]).exit_code == 2


def test_what_is_reached_is_never_called_unreachable() -> None:
    tally, handlers = ran([5])
    report = reported(tally, handlers)
    assert not [name for name in report["unreachable"] if handlers.get(name) or tally.stop_reasons.get(name)]
    assert unreachable(dict.fromkeys(all_cells(), 1), dict.fromkeys(report["stop_reasons"], 1)) == {}
