"""What a plug behind a Zigbee2MQTT is asked, and on which topics it is spoken to."""

from collections.abc import Callable, Mapping, Sequence

from firmware_bridge.codecs import zigbee2mqtt as codec
from firmware_bridge.codecs import zigbee2mqtt_names as names
from firmware_bridge.wire import Message

NamesOf = Callable[[names.Socket], Sequence[str]]
ELECTRICAL, METERING = names.METERS


def commanded(own: names.Address) -> str:
    return f"{own.base}/{own.ieee}"


def set_topic(own: names.Address, socket: names.Socket) -> str:
    """By the endpoint's own topic a timer, too, is meant for that socket alone."""
    endpoint = f"/{socket.endpoint}" if socket.endpoint else ""
    return f"{commanded(own)}{endpoint}/set"


def get(own: names.Address, wanted: Sequence[str]) -> Message:
    return Message(f"{commanded(own)}/get", codec.question(wanted))


def can_ask(socket: names.Socket, name: str) -> bool:
    return bool(name) and (name in socket.asked or (socket.reads and name in (socket.power, socket.energy)))


def everything(socket: names.Socket) -> Sequence[str]:
    wanted = dict.fromkeys((*socket.asked, socket.power, socket.energy))
    return [name for name in wanted if can_ask(socket, name)]


def figures(socket: names.Socket) -> Sequence[str]:
    return [name for name in everything(socket) if name != socket.memory]


def urgent(socket: names.Socket) -> Sequence[str]:
    """The guard lives on it. What a relay does its plug says by itself."""
    return [socket.power if can_ask(socket, socket.power) else socket.state]


def wary(socket: names.Socket) -> Sequence[str]:
    return [*urgent(socket), *filter(None, [socket.countdown])]


def questions(own: names.Address, asked: Mapping[int, Sequence[str]]) -> tuple[Sequence[Message], Sequence[str]]:
    """For the sockets by their channels; and the names in the order in which they are answered, each by a message."""
    wanted, read, reads = list[str](), list[str](), list[Message]()
    for channel, names_of in asked.items():
        socket = own.sockets[channel]
        wanted += [name for name in names_of if name in socket.asked and name not in wanted]
        read += [name for name in names_of if name not in socket.asked]
        reads += [_read(own, socket, name) for name in names_of if name not in socket.asked]
    return [*reads, *([get(own, wanted)] if wanted else ())], [*read, *wanted]


def _read(own: names.Address, socket: names.Socket, name: str) -> Message:
    """What the bridge does not offer as an answer, by the cluster in which it stands."""
    cluster = ELECTRICAL if name == socket.power else METERING
    return Message(set_topic(own, socket), codec.read(cluster, names.METERS[cluster]))
