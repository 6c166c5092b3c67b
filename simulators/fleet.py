"""Simulated piles on a real broker: every twin a client of its own, all of them in one thread."""

import selectors
import threading
from collections.abc import Callable, Iterable

import msgspec
import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from controller.clock import Clock
from simulators.twins.contact import Load, Publish
from simulators.twins.twin import Twin

log = structlog.get_logger()

TICK_S = 0.05  # real; the finest a twin's timers are kept to
MISC_S = 1.0


class BrokerAt(msgspec.Struct, frozen=True):
    host: str
    port: int
    user: str = ""
    password: str = ""


class Plug:
    """One twin and its connection. Its methods are for the world's side: plugging, tapping, faults."""

    def __init__(self, twin: Twin, broker: BrokerAt, clock: Clock) -> None:
        self.twin = twin
        self.lock = threading.RLock()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"sim-{twin.mac}")
        self._clock = clock
        self._broker = broker
        self._started = False
        if broker.user:
            self.client.username_pw_set(broker.user, broker.password)
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message

    def connect(self) -> None:
        will = self.twin.will()  # of this start of the device
        self.client.will_set(will.topic, will.payload, retain=will.retain)
        host = self._broker.host
        home = host if host.startswith("127.") else ""  # paho binds before it connects, to every address if not told
        self.client.connect(host, self._broker.port, keepalive=10, bind_address=home)

    def plug(self, channel: int, load: Load) -> None:
        self._say(lambda now_s: self.twin.plug(channel, load, now_s))

    def unplug(self, channel: int) -> None:
        self._say(lambda now_s: self.twin.unplug(channel, now_s))

    def tap(self, uid: str) -> None:
        self._say(lambda now_s: self.twin.tap(uid, now_s))

    def advance(self) -> None:
        if self._started:
            self._say(self.twin.advance)

    def _say(self, act: Callable[[float], Iterable[Publish]]) -> None:
        with self.lock:
            for said in act(self._clock.now().at):
                self.client.publish(said.topic, said.payload, qos=0, retain=said.retain)

    def _on_connect(self, client: paho.Client, userdata: object, flags: object, reason: ReasonCode, *_: object) -> None:
        if reason.is_failure:
            log.warning(
                "the broker refuses a simulated pile", mac=self.twin.mac, user=self._broker.user, why=str(reason)
            )
            return
        for topic in self.twin.subscriptions():
            client.subscribe(topic)
        self._say(self.twin.back if self._started else self.twin.start)
        self._started = True

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        self._say(lambda now_s: self.twin.receive(message.topic, bytes(message.payload), message.retain, now_s))


class Fleet:
    """Runs its plugs until stopped; a broker that goes away is tried again."""

    def __init__(self, plugs: Iterable[Plug]) -> None:
        self.plugs = tuple(plugs)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5.0)
        for plug in self.plugs:
            plug.client.disconnect()

    def _run(self) -> None:
        rounds = 0
        while not self._stopping.is_set():
            self._read()
            for plug in self.plugs:
                plug.advance()
                self._serve(plug)
            rounds += 1
            if rounds % int(MISC_S / TICK_S) == 0:
                self._keep_up()

    def _read(self) -> None:
        """Waits at most a tick for traffic on any of the connections."""
        with selectors.DefaultSelector() as selector:
            for plug in self.plugs:
                sock = plug.client.socket()
                if sock is not None:
                    selector.register(sock, selectors.EVENT_READ, plug)
            if not selector.get_map():
                self._stopping.wait(TICK_S)
                return
            for key, _ in selector.select(TICK_S):
                key.data.client.loop_read()

    def _serve(self, plug: Plug) -> None:
        if plug.client.socket() is not None and plug.client.want_write():
            plug.client.loop_write()

    def _keep_up(self) -> None:
        for plug in self.plugs:
            plug.client.loop_misc()
            if plug.client.socket() is None:
                self._connect(plug)

    def _connect(self, plug: Plug) -> None:
        try:
            plug.connect()
        except OSError as error:
            log.info("simulated pile can't connect", mac=plug.twin.mac, error=str(error))
