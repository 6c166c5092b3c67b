"""Messages over a broker: one link that reads, one that commands, and nothing that leaves later than it was meant."""

import threading
from collections.abc import Iterable
from typing import Any

import structlog

from controller.clock import Clock
from firmware_bridge.transports.mqtt_client import PAYLOAD_MAX, MqttSettings, new_client
from firmware_bridge.transports.mqtt_link import Link
from firmware_bridge.wire import Linked, Message, Receive

URGENT_MESSAGES_MAX = 16_384  # an OFF for each of ten thousand outlets, all still unsent
URGENT_BYTES_MAX = 2 << 20
BURST_S = 60.0  # one traceback a minute says as much as a thousand
SETTLE_S = 0.5  # a broker may send retained messages after its answer to SUBSCRIBE

log = structlog.get_logger(__name__)

__all__ = ["MqttSettings", "MqttTransport", "clear_retained"]


class MqttTransport:
    """`wire.Transport` over MQTT: QoS 0, clean sessions. All calls may come from any thread.

    `receive` is called by the reading link's thread; `linked` by either link's thread, in order, never by a sender.
    """

    def __init__(self, settings: MqttSettings, clock: Clock) -> None:
        self.oversized = 0
        self.unreadable = 0
        self.handler_errors = 0
        self.not_sent = 0
        self._settings = settings
        self._clock = clock
        self._arrived: list[Message] = []
        self._reading = Link(settings, "-read", clock, self._links_changed, self._arrived)
        self._commanding = Link(settings, "-send", clock, self._links_changed)
        self._telling = threading.Lock()
        self._told = False
        self._quiet_until_s = 0.0
        self._reading.client.on_message = self._on_message
        if settings.will_topic:
            self._commanding.client.will_set(settings.will_topic, settings.will_payload, retain=True)

    def start(self, receive: Receive, linked: Linked) -> None:
        self._receive = receive
        self._linked = linked
        self._reading.start(self._deliver)
        self._commanding.start(_nothing)

    def listen(self, pattern: str) -> None:
        self._reading.listen(pattern)

    def send(self, message: Message, urgent: bool = False) -> bool:
        """False: it did not leave, and never will. An ON or a renewal leaves only where nothing waits before it.

        `urgent` is for OFFs: they may wait behind a slow socket, in order, up to URGENT_MESSAGES_MAX messages or
        URGENT_BYTES_MAX bytes. After STALLED_S without progress the connection and all that waits are thrown away.
        """
        room = _room_for_urgent if urgent else _nothing_waits
        left = self._reading.up and self._commanding.publish(message.address, message.payload, room)
        self.not_sent += not left
        return left

    @property
    def refusals(self) -> int:
        """How often the broker said no: a wrong password, as a rule."""
        return self._reading.refusals + self._commanding.refusals

    def stop(self) -> None:
        self._commanding.stop()
        self._reading.stop()

    def _links_changed(self) -> None:
        with self._telling:
            both = self._reading.up and self._commanding.up
            if both != self._told:
                self._told = both
                self._guarded(self._linked, both)

    def _on_message(self, _client: Any, _userdata: Any, message: Any) -> None:
        if len(message.payload) > PAYLOAD_MAX:
            self.oversized += 1
            return
        try:
            self._arrived.append(Message(message.topic, message.payload, message.retain))
        except UnicodeDecodeError:
            self.unreadable += 1

    def _deliver(self) -> None:
        """Outside the link's lock, so that a handler may wait for a gate whose holder is sending."""
        for message in self._arrived:
            self._guarded(self._receive, message)
        self._arrived.clear()

    def _guarded(self, handler: Any, argument: object) -> None:
        """A handler's bug must not end the thread that the next OFF's reading comes through."""
        try:
            handler(argument)
        except Exception:
            self.handler_errors += 1
            now_s = self._clock.now().steady_s
            if now_s >= self._quiet_until_s:
                log.exception("handler_failed", site=self._settings.site, errors=self.handler_errors)
            self._quiet_until_s = now_s + BURST_S


def _nothing_waits(messages: int, _bytes: int) -> bool:
    return messages == 0


def _room_for_urgent(messages: int, held_bytes: int) -> bool:
    return messages < URGENT_MESSAGES_MAX and held_bytes < URGENT_BYTES_MAX


def _nothing() -> None:
    pass


def clear_retained(settings: MqttSettings, topics: Iterable[str], wait_s: float = 5.0) -> tuple[str, ...]:
    """Empties the command topics (or patterns) that hold a retained message; OSError if the broker can't be asked.

    A retained command would switch its device at each of its reconnects.
    """
    return _Broom(settings, tuple(topics)).sweep(wait_s)


class _Broom:
    """A short connection of its own, as it must publish retained and wait for the broker's word."""

    def __init__(self, settings: MqttSettings, topics: tuple[str, ...]) -> None:
        self._topics = topics
        self._found: dict[str, None] = {}
        self._asked = threading.Event()
        self._refusal = ""
        self._client = new_client(settings, "-broom")
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._unanswered = 0

    def sweep(self, wait_s: float) -> tuple[str, ...]:
        if not self._topics:
            return ()
        self._client.reconnect()
        self._client.loop_start()
        try:
            if not self._asked.wait(wait_s) or self._refusal:
                raise ConnectionError(f"the broker did not answer{self._refusal}")
            threading.Event().wait(SETTLE_S)
            return self._empty(wait_s)
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def _empty(self, wait_s: float) -> tuple[str, ...]:
        found = tuple(self._found)
        for topic in found:
            self._client.publish(topic, b"", qos=1, retain=True).wait_for_publish(wait_s)
        return found

    def _on_connect(self, client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = f": {reason}"
            self._asked.set()
            return
        self._unanswered = len(self._topics)
        for topic in self._topics:
            client.subscribe(topic)

    def _on_subscribe(self, *_: object) -> None:
        self._unanswered -= 1
        if self._unanswered <= 0:
            self._asked.set()

    def _on_message(self, _client: Any, _userdata: Any, message: Any) -> None:
        if message.retain and message.payload:
            self._found[message.topic] = None
