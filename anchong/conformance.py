"""`anchong conformance`: runs one device through the specification of anchong/1, over the broker that it is on."""

import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import msgspec
import typer
from msgspec.structs import replace

from anchong.conformance_bench import Bench, Failed, Heard, Skipped
from anchong.conformance_checks import AFTER_THE_MAINS, AT_THE_END, CHECKS, Person, is_off_after_the_mains
from anchong.doctor_broker import Talker
from firmware_bridge.codecs import anchong1 as codec
from firmware_bridge.transports.mqtt_client import MqttSettings

POLL_S = 0.005
NEEDED = 2  # checks without which no other says anything


class Result(msgspec.Struct, frozen=True):
    check: str
    outcome: str  # pass, fail, skipped
    says: str = ""


class BrokerWire:
    """The device over a real broker. `factor`: how many times real time the device runs, if it is a simulated one."""

    def __init__(self, settings: MqttSettings, device: str, client_id: str, factor: float = 1.0) -> None:
        self._settings = settings
        self._device = device
        self._client_id = client_id
        self._factor = factor
        self._taken = 0
        self._talker = Talker(settings, "")
        self.error = self._talker.error
        if not self.error:
            self._talker.listen(codec.up(device, "+"))

    def now_s(self) -> float:
        return time.monotonic() * self._factor

    def say(self, payload: bytes) -> None:
        self._talker.say(codec.down(self._device), payload)

    def heard(self, within_s: float) -> Sequence[Heard]:
        end_s = self.now_s() + within_s
        while len(self._talker.heard) <= self._taken and self.now_s() < end_s:
            threading.Event().wait(POLL_S)
        fresh = self._talker.heard[self._taken :]
        self._taken += len(fresh)
        return [
            Heard(at_s * self._factor, topic.rpartition("/")[2], payload, retained)
            for topic, payload, retained, at_s in fresh
        ]

    def kick(self, keep: bytes) -> str:
        """A broker ends the older of two connections of one client id, if it lets the gateway's user take it."""
        before = len(self._talker.heard)
        with Talker(replace(self._settings, client_id=self._client_id), "") as thief:
            if thief.error:
                return f"the broker does not let us take its client id: {thief.error}"
            thief.say(codec.down(self._device), keep, keep=True)
            back = [topic for topic, payload, _, _ in self._talker.heard[before:] if topic.endswith(codec.HELLO)]
        return "the device was back sooner than the command could be kept" if back else ""

    def close(self) -> None:
        with self._talker as last:
            last.say(codec.down(self._device), b"", keep=True)


def results(bench: Bench, *, quick: bool, person: Person | None, only: str = "") -> Iterator[Result]:
    """One by one, as they are known; of the checks that have `only` in their names, and those that all stand on."""
    answers = True
    for number, check in enumerate(CHECKS):
        first = number < NEEDED
        if only not in check.name and not first:
            continue
        if not answers or (quick and check.slow):
            yield Result(check.name, "skipped", "--quick" if answers else "it does not answer")
            continue
        result = _result(check.name, check.run, bench, calm=not first)
        if first and result.outcome == "fail":
            answers = False
        yield result
    if only in AFTER_THE_MAINS:
        yield _after_the_mains(bench, person)
    for name, what in AT_THE_END.items():
        wrong = bench.wrong[what]
        yield Result(name, "fail" if wrong else "pass", "; ".join(wrong[:3]))


def _after_the_mains(bench: Bench, person: Person | None) -> Result:
    if person is None:
        return Result(AFTER_THE_MAINS, "skipped", "--unattended: nobody to cut its mains")
    return _result(AFTER_THE_MAINS, lambda on: is_off_after_the_mains(on, person), bench, calm=True)


def _result(name: str, run: Callable[[Bench], str], bench: Bench, *, calm: bool) -> Result:
    try:
        if calm:
            bench.all_off()
        return Result(name, "pass", run(bench))
    except Skipped as skipped:
        return Result(name, "skipped", str(skipped))
    except Failed as failed:
        return Result(name, "fail", str(failed))


def conformance(
    device: Annotated[str, typer.Option(help="the device's name: its user at the broker")],
    broker: Annotated[str, typer.Option(help="host:port of the MQTT broker")] = "127.0.0.1:1883",
    user: Annotated[str, typer.Option(help="the gateway's user at the broker")] = "",
    password_env: Annotated[
        str, typer.Option(help="the environment variable that holds its password")
    ] = "ANCHONG_BROKER_PASSWORD",  # noqa: S107 - where it stands, not what it is
    client_id: Annotated[str, typer.Option(help="the device's MQTT client id, if it is not its name")] = "",
    tls: Annotated[bool, typer.Option("--tls", help="speak TLS with the broker")] = False,
    ca_file: Annotated[str, typer.Option(help="whose certificates are believed, if not the system's")] = "",
    only: Annotated[str, typer.Option(help="only the checks that have this in their names")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="leave out what takes a minute")] = False,
    unattended: Annotated[bool, typer.Option("--unattended", help="ask nobody to do anything")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
    factor: Annotated[float, typer.Option(min=0.1, max=100.0, hidden=True, help="the device's pace")] = 1.0,
) -> None:
    """Run a device through the specification of anchong/1 (docs/anchong-1.md). Exit 0: all passed; 1: something failed.

    It switches the device's outlets: plug in a lamp of 10 W or more, nothing else, and stop the gateway, which would
    switch them off. Example: anchong conformance --broker 192.168.1.10:1883 --user gateway --device socket-7
    """
    host, _, port = broker.rpartition(":")
    if not host or not port.isdigit():
        raise _unusable(f"--broker {broker}: must be host:port")
    if not codec.is_name(device):
        raise _unusable(f"--device {device}: a name is of letters, digits, dot, _ and -, 64 at most")
    settings = MqttSettings(
        host=host,
        port=int(port),
        user=user,
        password=os.environ.get(password_env, ""),
        client_id=f"conformance-{secrets.token_hex(4)}",
        tls=tls,
        ca_file=ca_file,
    )
    wire = BrokerWire(settings, device, client_id or device, factor)
    if wire.error:
        raise _unusable(f"{broker} does not let us in: {wire.error}")
    told = []
    try:
        person = None if unattended else _person
        for result in results(Bench(wire, device), quick=quick, person=person, only=only):
            told.append(result)
            if not as_json:
                typer.echo(f"{result.outcome:<8}{result.check}{': ' if result.says else ''}{result.says}")
    finally:
        wire.close()
    raise typer.Exit(_concluded(told, device, as_json))


def _concluded(told: list[Result], device: str, as_json: bool) -> int:
    count = {word: sum(one.outcome == word for one in told) for word in ("pass", "fail", "skipped")}
    if as_json:
        typer.echo(json.dumps({"device": device, **count, "checks": msgspec.to_builtins(told)}, ensure_ascii=False))
    else:
        typer.echo(f"{device}: {count['pass']} passed, {count['fail']} failed, {count['skipped']} skipped")
    return 1 if count["fail"] else 0


def _person(wish: str) -> bool:
    typer.echo(f"{wish} Enter when done, s to skip: ", err=True, nl=False)
    answer = sys.stdin.readline()  # empty, without an end of line: nobody is there
    return bool(answer) and not answer.strip().lower().startswith("s")


def _unusable(line: str) -> typer.Exit:
    typer.echo(f"anchong conformance: {line}", err=True)
    return typer.Exit(2)
