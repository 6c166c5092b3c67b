"""One connection to a broker, kept up by a thread of its own that owns the socket's reading, back-off and closing.

The loop is ours and not paho's for four reasons found in its source: its `select` fails for good on file descriptors
above 1023, its `loop_stop` waits for ever while a stalled socket holds packets, its back-off has no jitter, and what
one thread publishes may be written in the middle of what the loop writes.
"""

import contextlib
import random
import select
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import MQTTErrorCode

from controller.clock import Clock
from firmware_bridge.transports.mqtt_client import CONNECT_S, MqttSettings, new_client
from firmware_bridge.transports.mqtt_drain import DrainingClient, paho_fits
from firmware_bridge.wire import Message

HOUSEKEEPING_S = 1.0  # pings are sent and stalls noticed this often
BACKOFF_S = (0.5, 30.0)  # a compound's broker is back in seconds; a fleet must not hammer one that is not
STALLED_S = 2.0  # an ON expires within seconds: what could not be written by then is thrown away with the connection
PATTERNS_A_PACKET = 100  # keeps a SUBSCRIBE within any broker's packet limit
LINGER_NONE = struct.pack("ii", 1, 0)  # on close, drop what the kernel still holds instead of delivering it late

log = structlog.get_logger(__name__)


class Link:
    """`up` from the broker's yes to CONNECT and to every SUBSCRIBE until the end; `changed` is called by our thread.

    With `into` given, plain messages are put there in whole buffers; the others come by `client.on_message`.
    """

    def __init__(
        self,
        settings: MqttSettings,
        suffix: str,
        clock: Clock,
        changed: Callable[[], None],
        into: list[Message] | None = None,
    ) -> None:
        self.up = False
        self.refusals = 0
        self.waiting: deque[int] = deque()  # sizes of what paho holds and the kernel does not, in order
        self.waiting_bytes = 0
        self.client = new_client(settings, suffix, paho.Client if into is None or not paho_fits() else DrainingClient)
        self._into = [] if into is None else into
        self._five = settings.version == "5"
        self._clock = clock
        self._name = f"{settings.site}:{settings.client_id}{suffix}"
        self._changed = changed
        self._lock = threading.Lock()  # one writer on the socket at a time; never held while somebody else is called
        self._stopping = threading.Event()
        self._bell, self._ringer = _bell()
        self._thread = threading.Thread(target=self._run, name=f"mqtt{suffix}", daemon=True)
        self._wanted: dict[str, None] = {}
        self._fresh: deque[str] = deque()
        self._unanswered: set[int] = set()
        self._accepted = False
        self._told = False
        self._waiting_since_s = self._tidy_s = self._now_s()
        self._complaint = ""
        self._attach()

    def _attach(self) -> None:
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_publish = self._on_publish
        self.client.on_socket_register_write = _leave_it  # then publish() only queues, and we choose who writes

    def start(self, between: Callable[[], None]) -> None:
        """`between` runs in the link's thread after each turn, with no lock held."""
        self._between = between
        self._thread.start()

    def stop(self) -> None:
        """Waits for a connection attempt under way at most; what a stalled socket holds is thrown away."""
        self._stopping.set()
        self._ring()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(CONNECT_S + 1)
        self._bell.close()
        self._ringer.close()

    def listen(self, pattern: str) -> None:
        if pattern not in self._wanted:
            self._wanted[pattern] = None
            self._fresh.append(pattern)
            if self._accepted:  # before that all that is wanted is asked for at once
                self._ring()

    def publish(self, topic: str, payload: bytes, room: Callable[[int, int], bool]) -> bool:
        """To the kernel now, or to the buffer if there is `room(messages, bytes)`. Never waits for the network."""
        if not self.up:
            return False
        with self._lock:
            return room(len(self.waiting), self.waiting_bytes) and self._publish(topic, payload)

    def _publish(self, topic: str, payload: bytes) -> bool:
        if not self.up or self.client.publish(topic, payload, qos=0).rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        if not self.waiting:
            self._waiting_since_s = self._now_s()
        self.waiting.append(len(topic) + len(payload))
        self.waiting_bytes += self.waiting[-1]
        self.client.loop_write()
        if self.waiting or not self.up:
            self._ring()
        return self.up

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake anyway; closed: it has stopped
            self._ringer.send(b"!")

    def _run(self) -> None:
        backoff_s = BACKOFF_S[0]
        while not self._stopping.is_set():
            if self._connect():
                self._serve()
            backoff_s = BACKOFF_S[0] if self._accepted else min(backoff_s * 2, BACKOFF_S[1])
            self._stopping.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads gateways, guards nothing

    def _connect(self) -> bool:
        """Without the lock, as it may take seconds: senders turn away at `up` meanwhile."""
        self._accepted = False
        try:
            self.client.reconnect()
        except (OSError, ValueError) as failure:
            self._complain(str(failure))
            return False
        return True

    def _serve(self) -> None:
        watched: Any = self.client.socket()
        poller = select.poll()
        poller.register(self._bell, select.POLLIN)
        while not self._stopping.is_set() and self._watch(poller, watched):
            ready = {fd for fd, _ in poller.poll(self._patience_ms(watched))}
            try:
                self._turn(watched, ready)
            except Exception:
                log.exception("broker_not_understood", link=self._name)  # what it sent is beyond paho: begin again
                self._between()  # what came before is told now, not as new when there is a connection again
                break
            self._tell()
            self._between()
        with self._lock:
            self._close()
        self._tell()

    def _watch(self, poller: select.poll, watched: Any) -> bool:
        with self._lock:
            if not self._stands(watched):
                return False
            poller.register(watched, select.POLLIN | (select.POLLOUT if self.client.want_write() else 0))
            return True

    def _stands(self, watched: Any) -> bool:
        """Whoever meets the end first closes the socket; a number may then be another's."""
        return watched is not None and self.client.socket() is watched

    def _patience_ms(self, sock: Any) -> float:
        decrypted = sock.pending() if isinstance(sock, ssl.SSLSocket) else 0  # poll can't see what TLS has read
        return 0 if decrypted else HOUSEKEEPING_S * 1000

    def _turn(self, watched: Any, ready: set[int]) -> None:
        if self._bell.fileno() in ready:
            self._bell.recv(4096)
        with self._lock:
            if not self._stands(watched):
                return
            self._subscribe_fresh()
            if self.client.want_write():
                self.client.loop_write()
            if watched.fileno() in ready or isinstance(watched, ssl.SSLSocket):
                self._read()
            self._keep_house(bool(ready))

    def _read(self) -> None:
        if isinstance(self.client, DrainingClient):
            self.client.drain(self._into, self._five)
        else:
            self.client.loop_read()

    def _keep_house(self, busy: bool) -> None:
        now_s = self._now_s()
        if not busy or now_s - self._tidy_s >= HOUSEKEEPING_S:
            self._tidy_s = now_s
            self.client.loop_misc()
            if self.waiting and now_s - self._waiting_since_s >= STALLED_S:
                self._complain("stalled: what was waiting is thrown away")
                self._drop()

    def _close(self) -> None:
        self.client.disconnect()
        self.client.loop_write()
        self._drop()
        self.up = False

    def _drop(self) -> None:
        sock: Any = self.client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
                sock.shutdown(socket.SHUT_RDWR)
            self.client.loop_write()  # meets the end, and closes

    def _subscribe_fresh(self) -> None:
        if self._accepted and self._fresh:
            patterns = [self._fresh.popleft() for _ in range(len(self._fresh))]
            self._subscribe(patterns)

    def _subscribe(self, patterns: list[str]) -> None:
        for first in range(0, len(patterns), PATTERNS_A_PACKET):
            chunk = [(pattern, 0) for pattern in patterns[first : first + PATTERNS_A_PACKET]]
            _, mid = self.client.subscribe(chunk)
            if mid is not None:
                self._unanswered.add(mid)

    def _on_connect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.refusals += 1
            self._complain(f"refused: {reason}")
            return
        self._accepted = True
        self._complaint = ""
        self._forget_waiting()
        self._unanswered.clear()
        self._fresh.clear()
        self._subscribe(list(self._wanted))
        self.up = not self._unanswered

    def _on_subscribe(self, _client: Any, _userdata: Any, mid: int, reasons: Any, _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._complain("a subscription was refused")
        self._unanswered.discard(mid)
        self.up = self.up or not self._unanswered

    def _on_publish(self, _client: Any, _userdata: Any, _mid: int, _reason: Any, _properties: Any) -> None:
        if self.waiting:
            self.waiting_bytes -= self.waiting.popleft()
        self._waiting_since_s = self._now_s()

    def _on_disconnect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.up = False
        self._forget_waiting()
        if not self._stopping.is_set():
            self._complain(f"lost: {reason}")

    def _forget_waiting(self) -> None:
        self.waiting.clear()
        self.waiting_bytes = 0

    def _tell(self) -> None:
        if self._told != self.up:
            self._told = self.up
            self._changed()

    def _complain(self, detail: str) -> None:
        """Once for each run of the same trouble."""
        if detail != self._complaint:
            self._complaint = detail
            log.warning("broker_link", link=self._name, detail=detail)

    def _now_s(self) -> float:
        """Real seconds, whatever pace the clock keeps: a network does not run faster with it."""
        return self._clock.wait_s(self._clock.now().steady_s)


def _bell() -> tuple[socket.socket, socket.socket]:
    hears, rings = socket.socketpair()
    hears.setblocking(False)
    rings.setblocking(False)
    return hears, rings


def _leave_it(*_: object) -> None:
    pass
