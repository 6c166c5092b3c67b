"""`anchong sim`: which piles it makes, and what it refuses."""

import pytest
import structlog
import typer
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from typer.testing import CliRunner

from anchong.sim import INTRODUCED_MAX, _introduce, plugs, sim
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
    assert result.stderr.splitlines() == [f"--family 'acme': must be one of {', '.join(TWINS)}, or several by comma"]


def test_a_broker_without_a_port_is_one_line_and_exit_2() -> None:
    result = CliRunner().invoke(APP, ["--broker", "somewhere"])

    assert (result.exit_code, result.stderr.splitlines()) == (2, ["--broker somewhere: must be host:port"])


def test_help_names_every_family() -> None:
    text = CliRunner().invoke(APP, ["--help"]).stdout

    assert all(family in text for family in TWINS)
    assert "Example" in text


def test_piles_say_by_which_topic_a_broker_knows_them(capsys: pytest.CaptureFixture[str]) -> None:
    made = plugs(["tasmota", "shelly"], INTRODUCED_MAX + 1, 1, BROKER, HandClock(), 99)

    _introduce(made)

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "tasmota C2F2676B1B69 listens to cmnd/tasmota_6B1B69/#"
    assert lines[1] == "shelly 75E42DC5FD3D listens to shellyplugsg3-75e42dc5fd3d/rpc"
    assert lines[-2] == "... and 1 more"


def test_a_pile_that_a_broker_refuses_does_not_begin() -> None:
    plug = plugs(["tasmota"], 1, 1, BROKER, HandClock(), 99)[0]
    refused = ReasonCode(PacketTypes.CONNACK, "Bad user name or password")

    with structlog.testing.capture_logs() as lines:
        plug._on_connect(plug.client, None, None, refused)

    assert [(line["mac"], line["why"]) for line in lines] == [("C2F2676B1B69", "Bad user name or password")]
    assert not plug._started
