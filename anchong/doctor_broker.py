"""The doctor's look at the broker: who is let in, how fast it is, what it keeps, and whether devices can cheat."""

import secrets
import statistics
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Self

import msgspec
from msgspec.structs import replace

from anchong.doctor_finding import Finding, State
from firmware_bridge.drivers import DRIVERS
from firmware_bridge.transports.mqtt_client import MqttSettings, new_client
from firmware_bridge.wire import Pile

WAIT_S = 5.0
SETTLE_S = 0.5  # what has not come by then was not passed on
ROUNDS = 40
WARM_UP = 15  # a fresh connection answers faster than one that has settled
SLOW_MS = 15.0
# where Tasmota listens, by the two usual orders of its topic; where Shelly does; and where anchong/1 does
COMMANDS = ("cmnd/#", "+/cmnd/#", "+/rpc", "+/command/#", "anchong/1/+/down")
REPORTS = ("tele/{}/SENSOR", "stat/{}/RESULT", "cmnd/{}/POWER", "anchong/1/{}/up/state", "anchong/1/{}/down")
ORDERS = ("cmnd/{}/POWER", "anchong/1/{}/down")
TREES = (*(f"{prefix}/{{}}/#" for prefix in ("tele", "stat", "cmnd")), "anchong/1/{}/#")
SHOWN = 5


class Device(msgspec.Struct, frozen=True):
    """A second user of the broker, as whom cheating is tried."""

    user: str
    password: str


class Talker:
    """One connection. `error` says why there is none."""

    def __init__(self, settings: MqttSettings, suffix: str) -> None:
        self.error = ""
        self.heard: list[tuple[str, bytes, bool, float]] = []  # topic, payload, retained, when
        self._event = threading.Event()
        self._client = new_client(settings, suffix)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._event.set()
        self._client.on_message = self._on_message
        try:
            self._client.reconnect()
        except (OSError, ValueError) as error:
            self.error = str(error) or type(error).__name__
            return
        self._client.loop_start()
        if not self._event.wait(WAIT_S):
            self.error = self.error or "no answer"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def listen(self, *topics: str) -> None:
        for topic in topics:
            self._event.clear()
            self._client.subscribe(topic)
            self._event.wait(WAIT_S)

    def say(self, topic: str, payload: bytes, *, keep: bool = False) -> None:
        """QoS 1, so that the broker has dealt with it; one that hangs up on cheats has dealt with it too."""
        with suppress(RuntimeError, ValueError):
            self._client.publish(topic, payload, qos=1, retain=keep).wait_for_publish(WAIT_S)

    def say_quickly(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=0)

    def hears(self, *payloads: bytes, within_s: float = SETTLE_S) -> bool:
        """Any of them."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            if any(said in payloads for _, said, _, _ in self.heard):
                return True
            self._event.wait(0.01)
            self._event.clear()
        return False

    def _on_connect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.error = str(reason) if reason.is_failure else ""
        self._event.set()

    def _on_message(self, _client: Any, _userdata: Any, message: Any) -> None:
        self.heard.append((message.topic, message.payload, message.retain, time.monotonic()))
        self._event.set()


def broker_findings(settings: MqttSettings, piles: Sequence[Pile], device: Device | None) -> Iterable[Finding]:
    own = replace(settings, client_id=f"doctor-{secrets.token_hex(4)}")  # beside a gateway, not instead of it
    with Talker(own, "") as gateway:
        where = f"{settings.host}:{settings.port}"
        if gateway.error:
            yield Finding(
                "broker",
                State.BAD,
                f"{where} does not let us in: {gateway.error}",
                "start it; mend broker.host, port, user and password",
            )
            return
        yield Finding("broker", State.OK, f"{where} lets us in as {settings.user or 'nobody'}")
        yield _strangers(own)
        yield _clear_text(settings)
        yield _round_trip(gateway, own)
        yield _kept(gateway, piles)
        if device is None:
            yield Finding(
                "devices",
                State.WARN,
                "whether one device can speak as another was not tried",
                "give --device-user and --device-password of a second user",
            )
        else:
            yield from _cheating(gateway, own, device)


def _strangers(own: MqttSettings) -> Finding:
    """Without a password, and with a wrong one."""
    for user, password, who in (
        ("", "", "without a password"),
        (own.user, secrets.token_hex(8), "with a wrong password"),
    ):
        with Talker(replace(own, user=user, password=password), "-stranger") as stranger:
            if not stranger.error:
                return Finding(
                    "broker",
                    State.BAD,
                    f"whoever comes {who} is let in, and may switch sockets on",
                    "allow_anonymous false, and a password_file",
                )
    return Finding("broker", State.OK, "strangers are turned away")


def _clear_text(settings: MqttSettings) -> Finding:
    if settings.tls or settings.host.startswith("127.") or settings.host in ("localhost", "::1"):
        return Finding("broker", State.OK, "passwords can't be read on the way")
    return Finding(
        "broker",
        State.WARN,
        "passwords travel in the clear",
        "broker.tls = true and port 8883, or a network of the devices' own",
    )


def _round_trip(gateway: Talker, own: MqttSettings) -> Finding:
    with Talker(own, "-plug") as plug:
        median_ms = _median_ms(gateway, plug)
    if median_ms is None:
        return Finding(
            "broker",
            State.BAD,
            "does not pass our own messages back to us",
            "let the gateway's user read and write every topic",
        )
    says = f"a command takes {median_ms:.1f} ms through the broker"
    if median_ms > SLOW_MS:
        return Finding("broker", State.WARN, says, "set_tcp_nodelay true in mosquitto.conf; else look at the network")
    return Finding("broker", State.OK, says)


def _median_ms(gateway: Talker, plug: Talker) -> float | None:
    """Of the second of two small messages to one who answers: that one waits where TCP_NODELAY is not set."""
    topic = f"anchong/doctor/{secrets.token_hex(4)}"
    plug.listen(topic)
    took_ms = []
    for number in range(ROUNDS):
        first, second = (f"{number}{word}".encode() for word in ("a", "b"))
        began_s = time.monotonic()
        gateway.say_quickly(topic, first)
        gateway.say_quickly(topic, second)
        if not plug.hears(second, within_s=WAIT_S):
            return None
        took_ms.append((plug.heard[-1][3] - began_s) * 1000)
        plug.say_quickly(f"{topic}/back", second)
    return statistics.median(took_ms[WARM_UP:])


def _kept(gateway: Talker, piles: Sequence[Pile]) -> Finding:
    known = [
        topic for pile in piles if pile.family in DRIVERS for topic in DRIVERS[pile.family].retained_commands(pile)
    ]
    gateway.listen(*COMMANDS, *known)
    threading.Event().wait(SETTLE_S)
    found = sorted({topic for topic, payload, retained, _ in gateway.heard if retained and payload})
    if not found:
        return Finding("broker", State.OK, "keeps no commands")
    shown = ", ".join(found[:SHOWN]) + (", …" if len(found) > SHOWN else "")
    return Finding(
        "broker",
        State.BAD,
        f"keeps commands that switch a socket at each reconnect: {shown}",
        "empty each: mosquitto_pub -r -n -t TOPIC, with the gateway's user",
    )


# -- can one device be another? -----------------------------------------------------------------------------------


def _cheating(gateway: Talker, own: MqttSettings, device: Device) -> Iterable[Finding]:
    """The victim is a made-up name, so no socket is switched; what is not passed on proves more than any answer."""
    victim = f"doctor{secrets.token_hex(4)}"
    gateway.listen(*(tree.format(name) for tree in TREES for name in (victim, device.user)))
    as_device = replace(own, user=device.user, password=device.password, client_id=f"{own.client_id}-d")
    with Talker(as_device, "") as honest:
        if honest.error:
            yield Finding(
                "devices",
                State.BAD,
                f"{device.user} is not let in: {honest.error}",
                "mend --device-user and --device-password",
            )
            return
        yield _itself(gateway, honest, device.user)
        yield _speaks_as(gateway, honest, victim, "by topic")
        yield _hears_as(gateway, honest, victim, "by topic")
    with Talker(replace(as_device, client_id=victim), "") as thief:
        if not thief.error:  # a broker that binds client ids to users turns it away: as good
            yield _speaks_as(gateway, thief, victim, "by client id")
            yield _hears_as(gateway, thief, victim, "by client id")


def _itself(gateway: Talker, device: Talker, user: str) -> Finding:
    """Without it, silence would prove nothing. In one of the trees: nobody needs rights in those of other makes."""
    said, told = _word(), _word()
    device.listen(f"cmnd/{user}/#", f"anchong/1/{user}/down")
    for topic in ("tele/{}/DOCTOR", "anchong/1/{}/up/state"):
        device.say(topic.format(user), said)
    for topic in ("cmnd/{}/AnchongDoctor", "anchong/1/{}/down"):
        gateway.say(topic.format(user), told)
    if gateway.hears(said) and device.hears(told):
        return Finding("devices", State.OK, f"{user} speaks and hears as itself")
    return Finding(
        "devices",
        State.WARN,
        f"{user} can't speak or hear as itself, so the rest proves little",
        f"let it write tele/{user}/# and read cmnd/{user}/#, or anchong/1/{user}/up/+ and anchong/1/{user}/down",
    )


def _speaks_as(gateway: Talker, device: Talker, victim: str, how: str) -> Finding:
    words = [_word() for _ in REPORTS]
    for topic, word in zip(REPORTS, words, strict=True):
        device.say(topic.format(victim), word)
    if gateway.hears(*words):
        return Finding("devices", State.BAD, f"one device can speak as another, {how}", _ACL)
    return Finding("devices", State.OK, f"no device can speak as another, {how}")


def _hears_as(gateway: Talker, device: Talker, victim: str, how: str) -> Finding:
    word = _word()
    device.listen(f"cmnd/{victim}/#", *(order.format(name) for order in ORDERS for name in (victim, "+")), "#")
    for order in ORDERS:
        gateway.say(order.format(victim), word)
    if device.hears(word):
        return Finding("devices", State.BAD, f"one device can hear another's commands, {how}", _ACL)
    return Finding("devices", State.OK, f"no device can hear another's commands, {how}")


_ACL = "an acl_file with patterns by user name, as deploy/mosquitto.acl has them: %u, never %c"


def _word() -> bytes:
    return secrets.token_hex(8).encode()
