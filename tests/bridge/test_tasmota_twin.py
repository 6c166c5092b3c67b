"""The Tasmota twin against what is known of the firmware: the dangers we defend against must be in it."""

import json

import pytest

from simulators.twins.tasmota import Fault, Publish, TasmotaConfig, TasmotaTwin

T0 = 1_800_000_000.0


class Lamp:
    def __init__(self, power_w: float) -> None:
        self.power_w = power_w

    def draw_w(self, dt_s: float) -> float:
        return self.power_w


class Bench:
    """A twin with its clock."""

    def __init__(self, *powers_w: float, config: TasmotaConfig | None = None) -> None:
        self.now_s = T0
        self.twin = TasmotaTwin(config or TasmotaConfig(topic="plug"), [Lamp(w) for w in powers_w or (100.0,)], T0)
        self.first = self.twin.start(T0)

    def tell(self, command: str, argument: str = "", *, retained: bool = False) -> list[Publish]:
        return self.twin.receive(f"cmnd/plug/{command}", argument.encode(), retained, self.now_s)

    def ask(self, command: str, argument: str = "") -> dict[str, object]:
        """The JSON of the last answer."""
        answers = [p for p in self.tell(command, argument) if p.payload.startswith(b"{")]
        payload: dict[str, object] = json.loads(answers[-1].payload)
        return payload

    def run(self, seconds: float) -> list[Publish]:
        self.now_s += seconds
        return self.twin.advance(self.now_s)

    def energy(self) -> dict[str, float]:
        sensor = self.ask("Status", "10")["StatusSNS"]
        assert isinstance(sensor, dict)
        energy: dict[str, float] = sensor["ENERGY"]
        return energy


def topics(said: list[Publish]) -> list[str]:
    return [publish.topic for publish in said]


def test_it_introduces_itself_with_retained_topics() -> None:
    retained = {publish.topic: publish.payload for publish in Bench().first if publish.retain}

    assert retained["tele/plug/LWT"] == b"Online"
    assert json.loads(retained["tasmota/discovery/00000049A3BC/config"])["rl"] == [1, 0, 0, 0, 0, 0, 0, 0]
    assert json.loads(retained["tasmota/discovery/00000049A3BC/sensors"])["sn"]["ENERGY"]["Power"] == 0


def test_discovery_switched_off_takes_its_topics_back() -> None:
    said = Bench().tell("SetOption19", "1")

    assert [(p.payload, p.retain) for p in said if "discovery" in p.topic] == [(b"", True), (b"", True)]


def test_a_relay_without_a_pulse_time_stays_on_for_ever() -> None:
    bench = Bench()
    bench.tell("Power", "ON")
    bench.run(100_000)

    assert bench.twin.powered(0)


def test_a_pulse_time_set_while_on_starts_to_count_at_once() -> None:
    bench = Bench()
    bench.tell("Power", "ON")
    bench.run(1_000)
    bench.tell("PulseTime1", "220")

    bench.run(119)
    assert bench.twin.powered(0)
    bench.run(2)
    assert not bench.twin.powered(0)


def test_an_off_clears_the_pulse_and_the_next_on_gets_a_whole_one() -> None:
    bench = Bench()
    bench.tell("Backlog0", "PulseTime1 220;Power1 ON")
    bench.run(100)
    bench.tell("Power1", "OFF")
    assert bench.ask("PulseTime1") == {"PulseTime1": {"Set": 220, "Remaining": 0}}

    bench.tell("Power1", "ON")
    bench.run(119)
    assert bench.twin.powered(0)
    bench.run(2)
    assert not bench.twin.powered(0)


def test_answers_move_to_topics_of_their_own_and_numbers_are_always_shown_where_options_say_so() -> None:
    bench = Bench()
    bench.tell("Backlog0", "SetOption4 1;SetOption26 1")

    assert topics(bench.tell("Power1", "ON")) == ["stat/plug/POWER1", "stat/plug/POWER1"]
    assert topics(bench.tell("PulseTime1", "220")) == ["stat/plug/PULSETIME"]


def test_remaining_time_is_told_in_the_same_code() -> None:
    bench = Bench()
    bench.tell("PulseTime1", "220")
    bench.tell("Power1", "ON")
    bench.run(70)

    assert bench.ask("PulseTime1") == {"PulseTime1": {"Set": 220, "Remaining": 150}}
    bench.run(45)
    assert bench.ask("PulseTime1") == {"PulseTime1": {"Set": 220, "Remaining": 50}}


def test_all_timers_are_listed_without_an_index() -> None:
    timers = Bench().ask("PulseTime")["PulseTime"]

    assert timers == {"Set": [0] * 32, "Remaining": [0] * 32}


def test_an_empty_power_cancels_the_pulse_in_old_firmware_alone() -> None:
    for old in (True, False):
        bench = Bench(config=TasmotaConfig(topic="plug", empty_power_cancels_pulse=old))
        bench.tell("Backlog0", "PulseTime1 220;Power1 ON")
        bench.tell("Power")
        bench.run(200)
        assert bench.twin.powered(0) == old


@pytest.mark.parametrize(
    ("state", "keeps", "was_on", "comes_back_on"),
    [
        (0, 1, True, False), (1, 1, False, True), (2, 1, True, False), (2, 1, False, True),
        (3, 1, True, True), (3, 1, False, False), (3, 0, True, False),
    ],
)  # fmt: skip
def test_mains_come_back_as_power_on_state_says(state: int, keeps: int, was_on: bool, comes_back_on: bool) -> None:
    bench = Bench()
    bench.tell("Backlog0", f"PowerOnState {state};SetOption0 {keeps};Power1 {'ON' if was_on else 'OFF'}")

    bench.twin.power_cycle(bench.now_s)

    assert bench.twin.powered(0) == comes_back_on


def test_after_a_restart_the_pulse_counts_again_from_its_full_value() -> None:
    bench = Bench()
    bench.tell("Backlog0", "PulseTime1 220;Power1 ON")
    bench.run(100)
    bench.twin.power_cycle(bench.now_s)

    bench.run(119)
    assert bench.twin.powered(0)
    bench.run(2)
    assert not bench.twin.powered(0)


def test_a_warm_restart_brings_a_saved_on_back() -> None:
    bench = Bench()
    bench.tell("Backlog0", "PowerOnState 0;Power1 ON")
    bench.tell("Restart", "1")

    assert bench.twin.powered(0)


def test_a_retained_command_is_obeyed() -> None:
    bench = Bench()
    bench.tell("POWER", "ON", retained=True)

    assert bench.twin.powered(0)


def test_a_backlog_waits_between_commands_and_backlog0_does_not() -> None:
    bench = Bench(100, 100)
    bench.tell("Backlog", "Power1 ON;Power2 ON")
    assert (bench.twin.powered(0), bench.twin.powered(1)) == (True, False)
    bench.run(0.3)
    assert bench.twin.powered(1)
    bench.tell("Backlog0", "Power1 OFF;Power2 OFF")
    assert (bench.twin.powered(0), bench.twin.powered(1)) == (False, False)


def test_an_off_overtakes_a_waiting_backlog() -> None:
    bench = Bench()
    bench.tell("Backlog", "SetOption0 0;Power1 ON")
    bench.tell("Power1", "OFF")
    bench.run(1)

    assert bench.twin.powered(0)


def test_a_backlog_drops_what_is_over_thirty() -> None:
    bench = Bench()
    bench.tell("Backlog0", ";".join(["PowerOnState 0"] * 30 + ["Power1 ON"]))

    assert not bench.twin.powered(0)


def test_readings_are_forced_to_zero_while_off_unless_told_otherwise() -> None:
    bench = Bench()
    bench.tell("Power1", "ON")
    bench.twin.inject(Fault.WELDED, bench.now_s)
    bench.tell("Power1", "OFF")

    assert bench.twin.powered(0)
    assert bench.energy()["Power"] == 0
    bench.tell("SetOption21", "1")
    assert bench.energy()["Power"] == 100


def test_totals_are_shared_unless_told_otherwise_and_where_the_chip_can() -> None:
    for splits, total in ((True, [0.1, 0.0]), (False, 0.1)):
        bench = Bench(100, 50, config=TasmotaConfig(topic="plug", splits_totals=splits))
        bench.tell("Power1", "ON")
        bench.run(3601)
        assert bench.energy()["Total"] == 0.1
        bench.tell("SetOption129", "1")
        assert bench.energy()["Total"] == total


def test_power_limit_trips_and_switches_on_again_by_itself() -> None:
    bench = Bench(900)
    bench.tell("Backlog0", "MaxPower 800;Power1 ON")

    said = bench.run(13)
    assert "stat/plug/WARNING" in topics(said)
    assert not bench.twin.powered(0)
    bench.run(31)
    assert bench.twin.powered(0)
    bench.run(1_000)
    assert not bench.twin.powered(0)  # after its five tries


def test_a_step_in_power_is_told_at_once_and_switching_off_is_not() -> None:
    bench = Bench()
    bench.tell("Backlog0", "PowerDelta1 105;TelePeriod 3600;Power1 ON")
    assert "tele/plug/SENSOR" in topics(bench.run(2))
    bench.twin.plug(0, Lamp(104), bench.now_s)
    assert "tele/plug/MARGINS" not in topics(bench.run(2))
    bench.twin.plug(0, Lamp(60), bench.now_s)
    assert topics(bench.run(2)) == ["tele/plug/MARGINS", "tele/plug/SENSOR"]
    bench.tell("Power1", "OFF")
    assert "tele/plug/MARGINS" not in topics(bench.run(2))


def test_a_silent_device_gets_its_will_from_the_broker_and_says_hello_again() -> None:
    bench = Bench()
    bench.twin.inject(Fault.SILENT, bench.now_s)

    assert bench.tell("Power1", "ON") == []
    assert bench.run(60) == [Publish("tele/plug/LWT", b"Offline", retain=True)]
    back = bench.twin.mend(Fault.SILENT, bench.now_s)
    assert Publish("tele/plug/LWT", b"Online", retain=True) in back
    assert not bench.twin.powered(0)


def test_a_stuck_meter_repeats_itself_and_a_reset_counter_falls() -> None:
    bench = Bench()
    bench.tell("Power1", "ON")
    bench.run(3_600)
    bench.twin.inject(Fault.METER_STUCK, bench.now_s)
    bench.twin.plug(0, Lamp(7), bench.now_s)
    bench.run(3_600)
    assert (bench.energy()["Power"], bench.energy()["Total"]) == (100, 0.1)

    bench.twin.mend(Fault.METER_STUCK, bench.now_s)
    assert bench.energy()["Power"] == 7
    bench.twin.inject(Fault.COUNTER_RESET, bench.now_s)
    assert bench.energy()["Total"] == 0


def test_a_tap_is_a_sensor_report_of_its_own() -> None:
    bench = Bench()

    said = bench.twin.tap("E9F35959", bench.now_s)

    assert [json.loads(publish.payload)["PN532"] for publish in said] == [{"UID": "E9F35959"}]


def test_an_unknown_command_is_answered() -> None:
    assert Bench().ask("Fly", "me") == {"Command": "Unknown"}


def test_next_wake_lets_a_world_jump_and_misses_nothing() -> None:
    jumping, crawling = Bench(), Bench()
    heard: list[list[str]] = [[], []]
    for bench in (jumping, crawling):
        bench.tell("Backlog0", "PulseTime1 220;TelePeriod 10;Power1 ON")
    while (wake_s := jumping.twin.next_wake_s()) <= T0 + 300:
        heard[0] += topics(jumping.twin.advance(wake_s))
    for tick in range(1, 3001):
        heard[1] += topics(crawling.twin.advance(T0 + tick / 10))

    assert heard[0] == heard[1]
    assert len(heard[0]) > 60
