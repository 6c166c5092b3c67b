"""`anchong sim`: which piles it makes, and what it refuses."""

import typer
from typer.testing import CliRunner

from anchong.sim import plugs, sim
from controller.clock import HandClock
from simulators.fleet import BrokerAt
from simulators.twins import TWINS

APP = typer.Typer()
APP.command()(sim)
BROKER = BrokerAt("127.0.0.1", 1)


def test_families_take_turns_and_a_seed_gives_the_same_addresses() -> None:
    first, again, other = (plugs(["tasmota", "shelly"], 4, 2, BROKER, HandClock(), seed) for seed in (7, 7, 8))

    assert [plug.twin.family for plug in first] == ["tasmota", "shelly", "tasmota", "shelly"]
    assert [plug.twin.mac for plug in first] == [plug.twin.mac for plug in again]
    assert {plug.twin.mac for plug in first}.isdisjoint(plug.twin.mac for plug in other)


def test_an_unknown_family_is_one_line_and_exit_2() -> None:
    result = CliRunner().invoke(APP, ["--family", "tasmota,acme", "--broker", "127.0.0.1:1"])

    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["--family 'acme': must be one of tasmota, shelly, or several by comma"]


def test_a_broker_without_a_port_is_one_line_and_exit_2() -> None:
    result = CliRunner().invoke(APP, ["--broker", "somewhere"])

    assert (result.exit_code, result.stderr.splitlines()) == (2, ["--broker somewhere: must be host:port"])


def test_help_names_every_family() -> None:
    text = CliRunner().invoke(APP, ["--help"]).stdout

    assert all(family in text for family in TWINS)
    assert "Example" in text
