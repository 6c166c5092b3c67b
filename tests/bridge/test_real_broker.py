"""Shelly over a real mosquitto with the access rules we ship: a whole charge, and frames by mosquitto_pub."""

import json
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from anchong.wiring import Gateway, Plan
from controller.clock import Clock, FastClock
from controller.core import events as ev
from controller.core.reasons import StopReason
from controller.core.state import Rules, Session
from controller.outbox import Account
from firmware_bridge.transports.mqtt import MqttSettings, MqttTransport
from simulators.fleet import BrokerAt, Fleet, Plug
from simulators.twins import TWINS
from simulators.twins.zigbee2mqtt import NAME as ZIGBEE
from simulators.twins.zigbee2mqtt import Zigbee2MqttConfig, Zigbee2MqttTwin
from tests.house import Broker, eventually, needs
from tests.shell.killable import Opening, Yes, all_charging

ACL = Path(__file__).parents[2] / "deploy" / "mosquitto.acl"
VECTORS = Path(__file__).with_name("vectors") / "shelly.jsonl"
MACS = {"shelly": "54320464A1D0", "tasmota": "00000049A3BC", "anchong": "A0000049A3BC", "esphome": "00000049A3BC"}
# what its topics begin with, or have in the place after their root
USERS = {"shelly": "shellyplugsg3-54320464a1d0", "tasmota": "tasmota_49A3BC", "anchong": "A0000049A3BC"}
USERS |= {"zigbee2mqtt": "zigbee2mqtt", "esphome": "socket-49a3bc"}
WORD, EAR = "device-word", "?"
FACTOR = 20.0


class Steady:
    def draw_w(self, dt_s: float) -> float:
        return 200.0


def gateway(broker: Broker, folder: Path, clock: Clock, settled: list[Session]) -> Gateway:
    plan = Plan(
        clock=clock,
        rules=Rules(on_expires_s=15.0, on_confirm_s=20.0),  # at so many times real speed this machine is slow
        database=f"sqlite:///{folder / 'real.sqlite3'}",
        journal=folder / "trips",
        name="gw",
        providers={"sandbox": Yes()},
        accounts={"sandbox": Account("sandbox", "m", "app", "http://127.0.0.1/w", "http://127.0.0.1/{order}")},
    )
    link = MqttSettings(host=broker.host, port=broker.port, user="gateway", password=WORD)
    return Gateway(plan, MqttTransport(link, clock), settled.append)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def broker(mosquitto: Callable[..., Broker]) -> Broker:
    names = ("gateway", *USERS.values(), "plug")
    return mosquitto(users=dict.fromkeys(names, WORD), acl=ACL.read_text(encoding="utf-8"))


def test_piles_of_all_families_are_found_proven_and_charged_each_within_its_own_rights(
    broker: Broker, tmp_path: Path, stack: ExitStack
) -> None:
    clock, settled = FastClock(FACTOR, time.time()), list[Session]()
    fleet = Fleet([_plug(family, broker, clock) for family in sorted(TWINS)])
    stack.callback(fleet.stop)
    fleet.start()
    made = gateway(broker, tmp_path, clock, settled)
    stack.callback(made.stop)
    made.start()

    Opening(made).run(len(TWINS))
    eventually(lambda: all_charging(made, len(TWINS)), within_s=30)
    until_s = clock.now().steady_s + 1.5 * Rules().lease_s
    eventually(lambda: clock.now().steady_s > until_s, within_s=30)
    assert all_charging(made, len(TWINS))  # for longer than a lease, so renewals reach both
    for outlet in list(made.engine.house.sessions):
        _stopped(made, outlet)
    eventually(lambda: len(settled) == len(TWINS), within_s=30)

    assert {(done.reason, done.proof) for done in settled} == {(StopReason.STOPPED_BY_RESIDENT, "measured")}
    assert not [plug.twin.mac for plug in fleet.plugs if plug.twin.powered(0)]


def _plug(family: str, broker: Broker, clock: Clock) -> Plug:
    lamps, at = [Steady()], clock.now().at
    # a bridge has the rights to its own tree, by its user name, and its plugs behind it
    twin = (
        Zigbee2MqttTwin(Zigbee2MqttConfig(), lamps, at) if family == ZIGBEE else TWINS[family](MACS[family], lamps, at)
    )
    return Plug(twin, BrokerAt(broker.host, broker.port, USERS[family], WORD), clock)


def _stopped(made: Gateway, outlet: str) -> None:
    now, live = made.plan.clock.now(), made.engine.house.sessions[outlet]
    reason = StopReason.STOPPED_BY_RESIDENT
    stop = ev.StopAsked(
        at=now.at, steady_s=now.steady_s, key=outlet, session=live.id, outlet=outlet, by="party:p1", reason=reason
    )
    made.ask(stop).result(10)


def test_real_frames_by_another_program_harm_nothing_and_a_device_that_answers_is_found(
    broker: Broker, tmp_path: Path, stack: ExitStack
) -> None:
    made = gateway(broker, tmp_path, FastClock(1.0, time.time()), [])
    stack.callback(made.stop)
    made.start()
    eventually(lambda: made.router.up)
    questions = _listening(broker, "plug", "plug/rpc")
    stack.enter_context(questions)
    stack.callback(questions.kill)

    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        frame = json.loads(line)
        _say(broker, "gateway", frame["topic"] or "plug/status/switch:0", frame["payload"])
    _say(broker, "plug", "plug/online", "true", "-r")
    who = {"id": "shellyplus1pm-441793d69718", "mac": "441793D69718", "gen": 2, "ver": "1.4.4"}
    _answer(broker, questions, "Shelly.GetDeviceInfo", who)
    _answer(broker, questions, "Shelly.GetStatus", {"switch:0": {"id": 0, "output": False}, "sys": {"uptime": 99}})

    eventually(lambda: "shelly:441793D69718" in made.engine.house.found)
    found = made.engine.house.found["shelly:441793D69718"]
    assert (found["model"], found["firmware"], found["channels"]) == ("shellyplus1pm", "1.4.4", 1)
    assert found["params"]["prefix"] == "plug"
    assert "bad:bug" not in made.router.counts


def _answer(broker: Broker, questions: "subprocess.Popen[str]", method: str, result: object) -> None:
    assert questions.stdout is not None
    line = next(line for line in questions.stdout if line.strip() != EAR)
    question = json.loads(line)
    assert question["method"] == method
    reply = {"id": question["id"], "src": "shellyplus1pm-441793d69718", "dst": question["src"], "result": result}
    _say(broker, "plug", f"{question['src']}/rpc", json.dumps(reply))


def _say(broker: Broker, user: str, topic: str, payload: str, *flags: str) -> None:
    subprocess.run([needs("mosquitto_pub"), *_at(broker, user), "-t", topic, "-m", payload, *flags], check=True)


def _listening(broker: Broker, user: str, topic: str) -> "subprocess.Popen[str]":
    """Heard by its own ear first: what is said after this is not missed."""
    program = [needs("mosquitto_sub"), *_at(broker, user), "-t", topic]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while not select.select([process.stdout], [], [], 0.1)[0]:
        _say(broker, "gateway", topic, EAR)
    return process


def _at(broker: Broker, user: str) -> list[str]:
    return ["-h", broker.host, "-p", str(broker.port), "-u", user, "-P", WORD]
