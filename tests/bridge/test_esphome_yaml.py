"""The YAML of the docs: it is read as ESPHome reads it, holds the lease on the device, and speaks on our topics."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from anchong.esphome import found_by_settings
from anchong.settings import BadSettings, Settings, check_in_earnest, parsed
from controller.core import events as ev
from firmware_bridge.codecs import esphome as codec
from firmware_bridge.drivers import esphome
from firmware_bridge.wire import AskNow, Message, Pile, Provision, SwitchOn
from simulators.twins.esphome import DEFAULT_LEASE_S, LEASE_S_MAX, EsphomeConfig, EsphomeTwin
from tests.bridge.yard import Lamp, Yard

PAGE = Path(__file__).parents[2] / "docs" / "esphome.md"


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """`!lambda` and `!secret` are ESPHome's own."""


for tag in ("!lambda", "!secret"):
    Loader.add_constructor(tag, lambda loader, node: f"{node.tag} {loader.construct_scalar(node)}")


@pytest.fixture(scope="module")
def device() -> dict[str, Any]:
    text = re.search(r"```yaml\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert text is not None
    substituted = text[1]
    for name, value in yaml.load(text[1], Loader)["substitutions"].items():  # noqa: S506 a SafeLoader with two tags
        substituted = substituted.replace(f"${{{name}}}", str(value))
    loaded: dict[str, Any] = yaml.load(substituted, Loader)  # noqa: S506
    return loaded


def actions(part: Any) -> Iterator[tuple[str, Any]]:
    """All that is done somewhere inside of it, by the action's name."""
    if isinstance(part, list):
        for one in part:
            yield from actions(one)
    elif isinstance(part, dict):
        for name, what in part.items():
            yield name, what
            yield from actions(what)


def script(device: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in device["script"] if one["id"] == name)
    return found


def test_it_is_dark_at_its_start_and_without_its_broker_and_needs_no_home_assistant(device: dict[str, Any]) -> None:
    (relay,) = device["switch"]

    assert relay["restore_mode"] == "ALWAYS_OFF"
    assert ("switch.turn_off", "relay") in list(actions(device["mqtt"]["on_disconnect"]))
    assert "api" not in device


def test_its_lease_turns_off_after_the_delay_and_begins_anew_each_time(device: dict[str, Any]) -> None:
    lease = script(device, "lease")

    assert lease["mode"] == "restart"
    done = [next(iter(step.items())) for step in lease["then"]]
    on, delay, off = (done.index(step) for step in done if step[0] in ("switch.turn_on", "delay", "switch.turn_off"))
    assert on < delay < off
    assert done[delay][1] == "!lambda return seconds * 1000;"
    assert done[off] == ("switch.turn_off", "relay")


def test_an_on_by_any_other_way_begins_a_lease_of_its_own(device: dict[str, Any]) -> None:
    (guard,) = device["switch"][0]["on_turn_on"]

    assert guard["if"]["condition"] == {"not": {"script.is_running": "lease"}}
    assert guard["if"]["then"] == [{"script.execute": {"id": "lease", "seconds": DEFAULT_LEASE_S}}]
    ways_on = [where for where, what in actions(device) if where == "switch.turn_on" and what == "relay"]
    assert len(ways_on) == 1  # in the lease itself


def test_zero_is_off_and_no_lease_is_longer_than_the_longest(device: dict[str, Any]) -> None:
    topics = {one["topic"]: one["then"] for one in device["mqtt"]["on_message"]}
    (order,) = topics["socket-1/outlet/1/lease"]

    text = " ".join(order["lambda"].split())
    assert "parse_number<int>(x)" in text
    assert "if (*seconds == 0) { id(lease).stop(); id(relay).turn_off(); }" in text
    assert f"std::min(*seconds, {LEASE_S_MAX})" in text
    assert LEASE_S_MAX == codec.LEASE_S_MAX


def test_it_hears_and_says_what_our_driver_says_and_hears(device: dict[str, Any]) -> None:
    published = {what["topic"]: what.get("payload") for name, what in actions(device) if name == "mqtt.publish"}
    (found,) = esphome.discover(
        Message("socket-1/anchong", published["socket-1/anchong"].encode(), True), ev.Stamp(0.0, 0.0)
    )
    driver = esphome.open(Pile("p", "esphome", found.address, ("o1",), found.params))
    sensors = [key for part in device["sensor"] for key, what in part.items() if isinstance(what, dict)]
    says = {*published, "socket-1/status", *(f"socket-1/sensor/{name}/state" for name in sensors)}
    orders = [m for wish in (SwitchOn(0, 60), Provision(120, 800), AskNow()) for m in driver.orders(wish)]

    assert set(driver.listens()) <= says
    assert {message.address for message in orders} == {one["topic"] for one in device["mqtt"]["on_message"]}
    assert not [what for name, what in actions(device) if name == "mqtt.publish" and what["topic"].endswith("lease")]


def test_what_it_prints_for_its_settings_and_its_start_is_what_we_read(device: dict[str, Any]) -> None:
    published = {what["topic"]: what.get("payload") for name, what in actions(device) if name == "mqtt.publish"}
    prints = [published[f"socket-1/{leaf}"].replace("\\", "") for leaf in ("outlet/1/settings", "boot")]
    settings, boot = (re.search(r"\{.*\}", text).group() for text in prints)  # type: ignore[union-attr]

    told = codec.read_settings((settings.replace("%d", "120").replace("%.0f", "1200")).encode())
    assert (told.power_up, told.lease_s) == ("off", 120)
    assert codec.read_boot(boot.replace("%08x", "0badcafe").replace("%u", "7").encode()).up_s == 7


def test_a_device_that_loses_its_broker_is_dark_at_once() -> None:
    twin = EsphomeTwin(EsphomeConfig(), [Lamp(60.0)])
    twin.start(0.0)
    twin.receive("socket-1/outlet/1/lease", b"900", False, 1.0)
    assert twin.powered(0)

    twin.lose_broker(2.0)

    assert not twin.powered(0)


# -- the settings -------------------------------------------------------------------------------------------------

SECRET = "0123456789abcdef0123456789abcdef-x"
BROKER = {"host": "127.0.0.1", "user": "gateway", "password": "long-enough"}


def settings(*sections: dict[str, Any], broker: bool = True) -> Settings:
    raw: dict[str, Any] = {"secret": SECRET, "esphome": list(sections)} | ({"broker": BROKER} if broker else {})
    return parsed(raw, "anchong.toml")


@pytest.mark.parametrize(
    ("sections", "begins"),
    [
        ([{}], "anchong.toml: esphome.0.prefix: is missing; add it"),
        ([{"prefix": "a/+"}], "anchong.toml: esphome.0.prefix: "),
        ([{"prefix": "a", "energy_unit": "J"}], "anchong.toml: esphome.0.energy_unit: "),
        ([{"prefix": "a", "outlet": []}], "anchong.toml: esphome.0.outlet: "),
        ([{"prefix": "a", "outlet": [{"relay": "x"}]}], "anchong.toml: esphome.0.outlet.0.relay: is not a setting"),
        ([{"prefix": "a", "outlet": [{"switch": "a b"}]}], "anchong.toml: esphome.0.outlet.0.switch: "),
        ([{"prefix": "a"}, {"prefix": "a"}], "anchong.toml: esphome: no two may have one prefix"),
    ],
)
def test_a_profile_that_can_t_be_is_one_line_that_names_the_key(sections: list[dict[str, Any]], begins: str) -> None:
    with pytest.raises(BadSettings) as bad:
        settings(*sections)

    assert str(bad.value).startswith(begins)


def test_a_profile_without_a_broker_is_refused() -> None:
    with pytest.raises(BadSettings, match="esphome: is reached by a broker"):
        check_in_earnest(parsed({"secret": SECRET, "esphome": [{"prefix": "a"}], "bus": [BUS]}, "anchong.toml"))


BUS = {"name": "shed", "port": "/dev/ttyUSB0"}


def test_the_example_of_the_page_is_taken_as_it_stands() -> None:
    text = re.search(r"```toml\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert text is not None
    (found,) = found_by_settings(settings(*tomllib.loads(text[1])["esphome"]).esphome, ev.Stamp(0.0, 0.0))

    driver = esphome.open(Pile("p", "esphome", found.address, ("o1",), json.loads(json.dumps(found.params))))
    assert driver.orders(SwitchOn(0, 60.0)) == [Message("garage/left/lease_1", b"60")]
    assert "garage/left/sensor/energy_1/state" in driver.listens()


def test_a_pile_of_the_settings_is_found_proven_and_charges_though_it_tells_no_profile(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    try:
        yard.open()
        config = EsphomeConfig(prefix="garage/left", tells_profile=False, kilo=True)
        twin = yard.connect(EsphomeTwin(config, [Lamp(60.0)], yard.clock.now().at))
        section = {"prefix": "garage/left", "energy_unit": "kWh", "power_unit": "kW", "ask": True}
        for found in found_by_settings(settings(section).esphome, yard.clock.now()):
            yard.gateway.tell(found)
        yard.run(2.0)

        (outlet,) = yard.sells(twin)
        yard.plug(twin, 0, 180.0)
        yard.begin(outlet)
        yard.run(60.0)

        assert twin.powered(0)
    finally:
        yard.stop()


def test_a_pile_of_the_settings_that_answers_nothing_shows_all_but_its_power_up_by_itself(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    try:
        config = EsphomeConfig(prefix="own", tells_profile=False, answers=False)
        twin = yard.connect(EsphomeTwin(config, [Lamp(60.0)], yard.clock.now().at))
        yard.turn()
        yard.open()  # what it said at its start is old news by now
        for found in found_by_settings(settings({"prefix": "own"}).esphome, yard.clock.now()):
            yard.gateway.tell(found)
        yard.run(2.0)
        (outlet,) = yard.adopt(twin)
        yard.run(12.0)
        yard.change(ev.Change.COMMISSION, outlet)

        def at_its_end() -> bool:
            proving = yard.house.outlets[outlet].proving
            return proving is None or proving.step == "power_cut"

        yard.runs_until(at_its_end, 200.0)
        assert yard.house.outlets[outlet].failed is None
        yard.run(5.0)
        yard.say(twin, twin.power_cycle(yard.clock.now().at))
        yard.runs_until(lambda: yard.house.outlets[outlet].proving is None, 100.0)

        assert yard.house.outlets[outlet].phase == "commissioned", yard.house.outlets[outlet].failed
    finally:
        yard.stop()
