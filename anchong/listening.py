"""What is said on our links, as it is said: by the broker to one more client, or on a serial line to one more ear."""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import msgspec
import serial
import typer

from anchong.doctor_database import known_piles
from anchong.settings import BadSettings, Settings, link_of
from controller.clock import RealClock
from firmware_bridge.drivers import DRIVERS, ON_BROKER
from firmware_bridge.overheard import WAYS, Heard, Overheard
from firmware_bridge.spoken import Known, on_bus
from firmware_bridge.transports.mqtt import MqttTransport
from firmware_bridge.wire import Message

WAITING_MAX = 10_000  # frames between a link and who looks at them; ten thousand outlets say as much in 10 s
SILENCE_S = 0.05  # no unit pauses so long within a frame; an adapter's driver may pause 16 ms
TURN_S = 0.2
CONNECT_S = 10.0

Port = Annotated[str, typer.Option(help="listen to this serial line instead: /dev/…, rfc2217://… or socket://…")]
Baud = Annotated[int, typer.Option(min=1200, max=921_600, help="of the serial line")]
Parity = Annotated[str, typer.Option(help="of the serial line: N, E or O")]
Protocols = Annotated[str, typer.Option("--protocol", help="what is spoken on it, several by comma; none: by pauses")]
For = Annotated[float, typer.Option(min=0, help="stop after so many seconds; 0: when interrupted")]


class Frame(msgspec.Struct, frozen=True):
    t_s: float  # since the listening began
    protocol: str
    direction: str
    message: Message


class Ear:
    """What has been heard and is not looked at yet. Who hears never waits for who looks."""

    def __init__(self) -> None:
        self.lost = 0
        self._waiting: queue.Queue[Frame | None] = queue.Queue(WAITING_MAX)

    def put(self, frame: Frame | None) -> None:
        """None: nothing more will come."""
        try:
            self._waiting.put_nowait(frame)
        except queue.Full:
            self.lost += 1

    def frames(self, for_s: float) -> Iterator[Frame]:
        """For so long, 0 for ever."""
        until_s = time.monotonic() + for_s if for_s else float("inf")
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                frame = self._waiting.get(timeout=min(TURN_S, left_s))
            except queue.Empty:
                continue
            if frame is None:
                return
            yield frame


class Source(msgspec.Struct, frozen=True):
    """Somewhere to listen: `start` begins to fill the ear, and returns what ends it."""

    known: Known
    where: str  # for people
    start: Callable[[Ear], Callable[[], None]]


@contextlib.contextmanager
def listening(source: Source) -> Iterator[Ear]:
    """Until the end of the block, or until somebody interrupts. BadSettings if nothing can be heard."""
    ear = Ear()
    stop = source.start(ear)
    try:
        yield ear
    except KeyboardInterrupt:
        pass
    finally:
        stop()


# -- the broker ---------------------------------------------------------------------------------------------------


def on_broker(settings: Settings) -> Source:
    """All that adopted piles say and are told, and what new devices make known. BadSettings without a broker."""
    link = link_of(settings)
    if link is None:
        raise BadSettings("broker: the settings name none; listen to a serial line by --port")
    known = Known(DRIVERS, known_piles(settings.database))
    own = msgspec.structs.replace(link, client_id=f"{link.client_id}-ear-{os.getpid()}", will_topic="")

    def start(ear: Ear) -> Callable[[], None]:
        transport = MqttTransport(own, RealClock())
        linked, began_s = threading.Event(), time.monotonic()

        def receive(message: Message) -> None:
            said = (known.protocol(message.address), known.direction(message.address), message)
            ear.put(Frame(time.monotonic() - began_s, *said))

        for pattern in patterns_of(known):
            transport.listen(pattern)
        transport.start(receive, lambda up: linked.set() if up else None)
        if not linked.wait(CONNECT_S):
            transport.stop()
            raise BadSettings(f"broker: {own.host}:{own.port} has not let us in within {CONNECT_S:.0f} s")
        return transport.stop

    return Source(known, f"{own.host}:{own.port}", start)


def patterns_of(known: Known) -> list[str]:
    """Neighbours as one pattern; a broker takes ten thousand devices' few far sooner than their many."""
    discovered = {pattern for family in ON_BROKER.values() for pattern in family.DISCOVERY}
    levels = {topic: topic.rpartition("/")[0] for topic in known.up | known.down if not on_bus(topic)}
    return sorted(discovered | {f"{level}/+" if level else topic for topic, level in levels.items()})


# -- a serial line ------------------------------------------------------------------------------------------------


def on_line(port: str, baud: int, parity: str, protocols: Sequence[str]) -> Source:
    """An ear on somebody else's line: it never sends. BadSettings for what can't be opened or understood."""
    unknown = [name for name in protocols if name not in WAYS]
    if unknown:
        raise BadSettings(f"--protocol {unknown[0]}: is not spoken on a serial line; one of {', '.join(WAYS)}")
    if parity not in ("N", "E", "O"):
        raise BadSettings(f"--parity {parity}: must be N, E or O")

    def start(ear: Ear) -> Callable[[], None]:
        try:
            line = serial.serial_for_url(port, baudrate=baud, parity=parity, timeout=SILENCE_S)
        except (serial.SerialException, ValueError, OSError) as error:
            raise BadSettings(f"--port {port}: can't be opened: {str(error).splitlines()[0]}") from error
        stopping = threading.Event()
        thread = threading.Thread(target=lambda: _hear(line, Overheard(protocols), ear, stopping), daemon=True)
        thread.start()

        def stop() -> None:
            stopping.set()
            thread.join(2.0)
            line.close()

        return stop

    return Source(Known({}), port, start)


def _hear(line: Any, cut: Overheard, ear: Ear, stopping: threading.Event) -> None:
    began_s = time.monotonic()

    def tell(heard: Sequence[Heard]) -> None:
        for one in heard:
            ear.put(Frame(time.monotonic() - began_s, one.protocol, one.direction, Message("", one.frame)))

    while not stopping.is_set():
        try:
            chunk = line.read(max(1, line.in_waiting))
        except (serial.SerialException, OSError):
            break  # the adapter is gone, or the other end of a network port
        tell(cut.feed(chunk) if chunk else cut.quiet())
    tell(cut.quiet())
    ear.put(None)
