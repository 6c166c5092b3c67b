"""What a figure is taken of, in a process of its own: a whole gateway, or one of the two it is compared with."""

import gc
import os
import resource
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from anchong.bench.site import KEY, KEY_ID, MERCHANT, PROVIDER, SITE
from anchong.web import WebPlan, server, services
from anchong.wiring import Gateway, Plan, spare_what_stands
from controller.clock import RealClock
from controller.core.events import SiteCutAsked
from controller.core.state import Rules
from firmware_bridge.drivers import DRIVERS
from firmware_bridge.transports.mqtt import MqttSettings, MqttTransport
from firmware_bridge.wire import Message, Pile
from simulators.publisher import topic
from simulators.tally import Tally

TALLY_S = 0.002
START_S = 30.0


class Start(msgspec.Struct, frozen=True):
    kind: str
    port: int
    outlets: int
    tally: str
    database: str = ""  # its URL
    sample_s: float = 30.0
    web_port: int = 0  # 0: without pages
    traced: bool = False  # every allocation counted, which makes it slow


class Subject(Protocol):
    def counts(self) -> tuple[int, int]:
        """Readings looked at, and readings overwritten before they were."""
        ...

    def state(self) -> dict[str, Any]: ...

    def ready(self) -> bool: ...

    def stop(self) -> None: ...


class Pauses:
    """How long the garbage collector held everybody up at most, since it was last asked."""

    def __init__(self) -> None:
        self._longest_ms = 0.0
        self._since_s = 0.0
        gc.callbacks.append(self._look)

    def _look(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._since_s = time.perf_counter()
        else:
            self._longest_ms = max(self._longest_ms, (time.perf_counter() - self._since_s) * 1000)

    def taken_ms(self) -> float:
        longest_ms, self._longest_ms = self._longest_ms, 0.0
        return longest_ms


class WholeGateway:
    """Every thread of `anchong run`, on a database with sessions under way; the web's on request."""

    def __init__(self, start: Start) -> None:
        clock = RealClock()
        journal = Path(start.tally).parent / "trips"
        plan = Plan(clock, Rules(sample_s=start.sample_s), start.database, journal, "gw", {}, {})
        self._outlets = start.outlets
        self._transport = _transport(start)
        self.gateway = Gateway(plan, self._transport, fatal=lambda: os._exit(1))
        self._pauses = Pauses()
        self.gateway.start()
        spare_what_stands()
        if start.web_port:
            self._serve(start.web_port)

    def _serve(self, port: int) -> None:
        plan = WebPlan(
            sticker_keys={"A": b"bench" * 8},
            sign_key=b"bench" * 8,
            public_url=f"http://127.0.0.1:{port}",
            provider=PROVIDER,
            provider_keys={KEY_ID: KEY},
            merchant=MERCHANT,
            app=MERCHANT,
        )
        web = server(services(self.gateway, plan, None), "127.0.0.1", port)
        threading.Thread(target=web.run, name="web", daemon=True).start()
        wait_until(lambda: web.started)

    def counts(self) -> tuple[int, int]:
        inbox = self.gateway.engine.inbox
        return inbox.looked_at, inbox.coalesced

    def ready(self) -> bool:
        """Every session charges, and its ON, which waits for the disk, has left."""
        return self._linked() and self._phases()["charging"] == self._open() == self._outlets

    def _open(self) -> int:
        gates = [self.gateway.gates.get(outlet) for outlet in list(self.gateway.engine.house.sessions)]
        return sum(gate is not None and gate.open for gate in gates)

    def _linked(self) -> bool:
        return self._transport._reading.up and self._transport._commanding.up

    def _known(self) -> int:
        """Outlets that have been heard."""
        return sum(1 for seen in list(self.gateway.engine.house.seen.values()) if seen.linked)

    def _phases(self) -> Counter[str]:
        return Counter(str(session.phase) for session in list(self.gateway.engine.house.sessions.values()))

    def state(self) -> dict[str, Any]:
        gateway, transport = self.gateway, self._transport
        troubles = {"handler_errors": transport.handler_errors, "not_sent": transport.not_sent}
        counts = {**gateway.engine.counts, **gateway.router.counts, **gateway.gates.counts(), **troubles}
        return {
            "linked": self._linked(),
            "phases": self._phases(),
            "open": self._open(),
            "known": self._known(),
            "cuts": len(gateway.engine.house.cuts),
            "counts": counts,
            "gc_ms": self._pauses.taken_ms(),
        }

    def cut(self) -> dict[str, float]:
        """Asks, and waits for no answer: when that was."""
        now, asked_s = self.gateway.plan.clock.now(), time.monotonic()
        self.gateway.ask(SiteCutAsked(at=now.at, steady_s=now.steady_s, key="cut", site=SITE, by="staff:bench"))
        return {"asked_s": asked_s}

    def stop(self) -> None:
        self.gateway.stop()


class Counting:
    """The same transport, listening to the same addresses, with a handler that only counts."""

    def __init__(self, start: Start) -> None:
        self._count = 0
        self._transport = _transport(start)
        for number in range(start.outlets):
            pile = Pile("", "tasmota", "", ("x",), {"topic": topic(number), "relays": [1]})
            for address in DRIVERS["tasmota"].open(pile).listens():
                self._transport.listen(address)
        self._transport.start(self._received, lambda up: None)

    def _received(self, message: Message) -> None:
        self._count += 1

    def counts(self) -> tuple[int, int]:
        return self._count, 0

    def ready(self) -> bool:
        return self._transport._reading.up

    def state(self) -> dict[str, Any]:
        return {"linked": self.ready()}

    def stop(self) -> None:
        self._transport.stop()


class Stock:
    """paho as its documentation shows it, with a handler that only counts."""

    def __init__(self, start: Start) -> None:
        self._count = 0
        self._ready = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.connect("127.0.0.1", start.port, bind_address="127.0.0.1")
        self._client.loop_start()

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        client.subscribe("tele/+/SENSOR")

    def _on_subscribe(self, *_: object) -> None:
        self._ready = True

    def _on_message(self, _client: paho.Client, _userdata: object, _message: paho.MQTTMessage) -> None:
        self._count += 1

    def counts(self) -> tuple[int, int]:
        return self._count, 0

    def ready(self) -> bool:
        return self._ready

    def state(self) -> dict[str, Any]:
        return {"linked": self._ready}

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def wait_until(true: Callable[[], object]) -> None:
    end_s = time.monotonic() + START_S
    while not true():
        if time.monotonic() > end_s:
            raise TimeoutError("the pages did not come up")
        time.sleep(0.01)


KINDS: dict[str, Any] = {"gateway": WholeGateway, "counting": Counting, "stock": Stock}


def _transport(start: Start) -> MqttTransport:
    return MqttTransport(MqttSettings(host="127.0.0.1", port=start.port, client_id=start.kind), RealClock())


def keep_tally(subject: Subject, tally: Tally, stopping: threading.Event) -> None:
    while not stopping.wait(TALLY_S):
        tally.write(*subject.counts())


def answer(subject: Subject, wish: str) -> dict[str, Any]:
    if wish == "cut" and isinstance(subject, WholeGateway):
        return subject.cut()
    size = _size() if wish == "size" else {}
    return {"ready": subject.ready(), **subject.state(), **size}


def _size() -> dict[str, int]:
    """What this process holds, after all that could be given back was; and what it has had written."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    io = dict(line.split(": ") for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines())
    traced = tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else 0
    files = len(list(Path("/proc/self/fd").iterdir()))
    return {"rss": pages * resource.getpagesize(), "traced": traced, "written": int(io["write_bytes"]), "files": files}
