"""The Shelly twin against what is known of the firmware: the dangers we defend against must be in it."""

import json
from typing import Any

import pytest

from simulators.twins.contact import Fault, Publish
from simulators.twins.shelly import ShellyConfig, ShellyTwin

T0 = 1_800_000_000.0


class Lamp:
    def __init__(self, power_w: float) -> None:
        self.power_w = power_w

    def draw_w(self, dt_s: float) -> float:
        return self.power_w


class Bench:
    """A twin with its clock."""

    def __init__(self, *powers_w: float, **config: Any) -> None:
        self.now_s = T0
        self.config = ShellyConfig(prefix="plug", **config)
        self.twin = ShellyTwin(self.config, [Lamp(w) for w in powers_w or (100.0,)], T0)
        self.first = self.twin.start(T0)

    def call(self, method: str, *, src: object = "me", id_: object = 1, **params: Any) -> list[Publish]:
        frame = {"id": id_, "src": src, "method": method, "params": params}
        return self.twin.receive("plug/rpc", json.dumps(frame).encode(), False, self.now_s)

    def ask(self, method: str, **params: Any) -> Any:
        """What came back to whoever asked."""
        (answer,) = [json.loads(p.payload) for p in self.call(method, **params) if p.topic == "me/rpc"]
        return answer.get("result", answer.get("error"))

    def told(self, method: str, **params: Any) -> list[dict[str, Any]]:
        """What the first switch said of itself meanwhile."""
        return switches(self.call(method, **params))

    def run(self, seconds: float) -> list[Publish]:
        self.now_s += seconds
        return self.twin.advance(self.now_s)


def switches(said: list[Publish]) -> list[dict[str, Any]]:
    frames = [json.loads(p.payload) for p in said if p.topic == "plug/events/rpc"]
    return [frame["params"]["switch:0"] for frame in frames if "switch:0" in frame["params"]]


def test_it_says_all_of_itself_when_it_connects() -> None:
    bench = Bench(100, 50)
    online, full = bench.first

    assert online == Publish("plug/online", b"true", retain=True)
    frame = json.loads(full.payload)
    assert (full.topic, full.retain, frame["method"]) == ("plug/events/rpc", False, "NotifyFullStatus")
    assert frame["src"] == "shellyplugsg3-54320464a1d0"  # its id, not its prefix
    assert {"switch:0", "switch:1", "sys"} <= frame["params"].keys()


@pytest.mark.parametrize("id_", [1, "flur", None])
def test_an_answer_goes_to_its_source_with_the_id_as_it_came(id_: object) -> None:
    said = Bench().call("Switch.Set", src="my-new-topic", id_=id_, id=0, on=True)

    (answer,) = [json.loads(p.payload) for p in said if p.topic == "my-new-topic/rpc"]
    assert (answer["id"], type(answer["id"]), answer["result"]) == (id_, type(id_), {"was_on": False})


def test_a_request_without_a_source_is_obeyed_and_answered_to_nobody() -> None:
    bench = Bench()
    said = bench.call("Switch.Set", src=None, id=0, on=True)

    assert bench.twin.powered(0)
    assert {publish.topic for publish in said} == {"plug/events/rpc"}


def test_on_without_a_timer_stays_on_for_ever_unless_the_configuration_has_one() -> None:
    bench = Bench()
    bench.call("Switch.Set", id=0, on=True)
    bench.run(100_000)
    assert bench.twin.powered(0)

    bench.call("Switch.SetConfig", id=0, config={"auto_off": True, "auto_off_delay": 60})
    bench.call("Switch.Set", id=0, on=False)
    bench.call("Switch.Set", id=0, on=True)
    bench.run(61)
    assert not bench.twin.powered(0)


def test_a_timer_flips_back_and_says_so() -> None:
    bench = Bench()
    told = bench.told("Switch.Set", id=0, on=True, toggle_after=120)[0]
    assert (told["output"], told["timer_started_at"], told["timer_duration"]) == (True, T0, 120.0)

    bench.run(119)
    assert bench.twin.powered(0)
    (told,) = [status for status in switches(bench.run(2)) if "output" in status]
    assert (told["output"], told["source"]) == (False, "timer")
    assert told["timer_started_at"] is told["timer_duration"] is None  # null is gone


@pytest.mark.parametrize("rearms", [True, False])
def test_an_on_of_what_is_on_starts_the_timer_over_in_some_models(rearms: bool) -> None:
    bench = Bench(rearms=rearms)
    bench.call("Switch.Set", id=0, on=True, toggle_after=120)
    bench.run(60)
    bench.call("Switch.Set", id=0, on=True, toggle_after=120)

    assert (bench.ask("Switch.GetStatus", id=0)["timer_started_at"] == T0 + 60) == rearms
    bench.run(61)
    assert bench.twin.powered(0) == rearms


def test_off_clears_the_timer_and_an_order_that_changes_nothing_is_not_notified() -> None:
    bench = Bench()
    bench.call("Switch.Set", id=0, on=True, toggle_after=120)
    bench.call("Switch.Set", id=0, on=False)

    assert "timer_duration" not in bench.ask("Switch.GetStatus", id=0)
    assert bench.told("Switch.Set", id=0, on=False) == []
    bench.run(300)
    assert not bench.twin.powered(0)


@pytest.mark.parametrize(
    ("state", "was_on", "comes_back_on"),
    [("off", True, False), ("on", False, True), ("restore_last", True, True), ("restore_last", False, False)],
)
def test_mains_come_back_as_the_initial_state_says(state: str, was_on: bool, comes_back_on: bool) -> None:
    bench = Bench(initial_state=state)
    bench.call("Switch.Set", id=0, on=was_on)

    bench.twin.power_cycle(bench.now_s)

    assert bench.twin.powered(0) == comes_back_on


def test_a_change_is_told_without_what_has_not_changed() -> None:
    bench = Bench(names_itself=False)
    bench.call("Switch.Set", id=0, on=True)

    power = next(status for status in switches(bench.run(2)) if "apower" in status)
    assert power.keys() == {"apower", "current"}
    minute = next(status for status in switches(bench.run(60)) if "aenergy" in status)
    assert minute.keys() == {"aenergy", "ret_aenergy"}
    assert minute["aenergy"]["by_minute"][0] == pytest.approx(100_000 / 60, rel=0.05)


def test_the_status_topic_is_off_until_it_is_set_and_the_device_has_started_again() -> None:
    bench = Bench()
    assert not [p for p in bench.call("Switch.Set", id=0, on=True) if "/status/" in p.topic]

    assert bench.ask("Mqtt.SetConfig", config={"status_ntf": True}) == {"restart_required": True}
    assert not [p for p in bench.call("Switch.Set", id=0, on=False) if "/status/" in p.topic]
    bench.twin.power_cycle(bench.now_s)
    (status,) = [p for p in bench.call("Switch.Set", id=0, on=True) if p.topic == "plug/status/switch:0"]
    assert json.loads(status.payload)["output"] is True


def test_some_firmware_says_the_old_output_just_after_the_new() -> None:
    bench = Bench(stale_status=True, status_ntf=True)

    said = [p for p in bench.call("Switch.Set", id=0, on=True) if p.topic != "me/rpc"]

    assert [p.topic for p in said] == ["plug/events/rpc", "plug/status/switch:0"]
    assert json.loads(said[0].payload)["params"]["switch:0"]["output"] is True
    assert json.loads(said[1].payload)["output"] is False


def test_the_total_counts_both_ways_and_the_returns_tell_how_much_was_one() -> None:
    bench = Bench()
    bench.twin.outlets[0].returned_wh = 400.0
    bench.call("Switch.Set", id=0, on=True)
    bench.run(3_600)

    status = bench.ask("Switch.GetStatus", id=0)
    assert (status["aenergy"]["total"], status["ret_aenergy"]["total"]) == (500.0, 400.0)
    bench.call("Switch.ResetCounters", id=0, type=["ret_aenergy"])
    assert bench.ask("Switch.GetStatus", id=0)["ret_aenergy"]["total"] == 0


def test_a_retained_plain_command_is_obeyed_until_control_is_taken_away() -> None:
    bench = Bench()
    bench.twin.receive("plug/command/switch:0", b"on", True, bench.now_s)
    assert bench.twin.powered(0)

    bench.call("Mqtt.SetConfig", config={"enable_control": False})
    bench.twin.power_cycle(bench.now_s)
    bench.twin.receive("plug/command/switch:0", b"off", True, bench.now_s)
    assert bench.twin.powered(0)


def test_while_it_shuts_down_it_refuses_everything() -> None:
    bench = Bench(initial_state="off")
    bench.call("Switch.Set", id=0, on=True)
    said = bench.call("Shelly.Reboot")
    assert "scheduled_restart" in said[0].payload.decode()

    error = bench.ask("Switch.Set", id=0, on=False)
    assert error == {"code": -109, "message": "shutting down in 1000 ms"}
    assert bench.twin.powered(0)
    bench.run(2)
    assert not bench.twin.powered(0)
    assert bench.ask("Sys.GetStatus")["uptime"] <= 1


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("Fly.Me", {}, 404),
        ("Switch.GetStatus", {"id": 7}, -105),
        ("Switch.GetStatus", {}, -105),
        ("Switch.Set", {"id": 0}, -103),
        ("Switch.SetConfig", {"id": 0, "config": {"in_mode": "detached", "initial_state": "on"}}, -103),
        ("Switch.SetConfig", {"id": 0, "config": {"power_limit": 99_999}}, -103),
    ],
)
def test_what_it_can_not_do_is_refused_whole(method: str, params: dict[str, Any], code: int) -> None:
    bench = Bench()

    assert bench.ask(method, **params)["code"] == code
    assert bench.ask("Switch.GetConfig", id=0)["initial_state"] == "restore_last"


def test_its_own_limit_cuts_for_good_and_is_an_error_until_somebody_switches_on() -> None:
    bench = Bench(900)
    bench.call("Switch.SetConfig", id=0, config={"power_limit": 800})
    bench.call("Switch.Set", id=0, on=True)

    assert [status["errors"] for status in switches(bench.run(2)) if "errors" in status] == [["overpower"]]
    assert not bench.twin.powered(0)
    assert bench.ask("Switch.GetStatus", id=0)["errors"] == ["overpower"]
    bench.twin.plug(0, Lamp(100), bench.now_s)
    bench.call("Switch.Set", id=0, on=True)
    assert "errors" not in bench.ask("Switch.GetStatus", id=0)


def test_a_welded_contact_is_seen_by_its_meter_and_a_broken_meter_speaks_no_json() -> None:
    bench = Bench()
    bench.twin.inject(Fault.WELDED, bench.now_s)
    status = bench.ask("Switch.GetStatus", id=0)
    assert (status["output"], status["apower"]) == (False, 100)

    for fault in (Fault.METER_NAN, Fault.METER_GARBAGE):
        bench.twin.inject(fault, bench.now_s)
        (answer,) = [p.payload for p in bench.call("Switch.GetStatus", id=0) if p.topic == "me/rpc"]
        with pytest.raises(json.JSONDecodeError):
            json.loads(answer)
        bench.twin.mend(fault, bench.now_s)


def test_a_silent_device_gets_its_will_from_the_broker_and_says_hello_again() -> None:
    bench = Bench()
    bench.twin.inject(Fault.SILENT, bench.now_s)

    assert bench.call("Switch.Set", id=0, on=True) == []
    assert bench.run(100) == [Publish("plug/online", b"false", retain=True)]
    back = bench.twin.mend(Fault.SILENT, bench.now_s)
    assert Publish("plug/online", b"true", retain=True) in back
    assert not bench.twin.powered(0)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff\xfe", b'{"method":5}', b'"Switch.Set"'])
def test_what_is_no_request_is_passed_over(payload: bytes) -> None:
    bench = Bench()

    assert bench.twin.receive("plug/rpc", payload, False, bench.now_s) == []
