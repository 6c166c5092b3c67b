"""A broker in this process for tests and the world: one thread, no clock, nothing moves until `pump` says so.

Like MQTT at QoS 0 with clean sessions. What a publisher hands over may be lost, doubled, delayed or changed by `mangle`
on its way to the broker; after that it is routed by the subscriptions of the moment at which it arrives.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from firmware_bridge.wire import Linked, Message, Receive

Mangle = Callable[[Message, float], Sequence[tuple[float, Message]]]  # (message, now_s) -> (delay_s, message)s

PUMPED_MAX = 5_000_000  # handlers that answer each other for ever are a bug, and should say so


def matches(pattern: str, topic: str) -> bool:
    """MQTT's rule: + is one level, # the rest and the level above it; neither opens a topic that begins with $."""
    wanted, levels = pattern.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    for place, want in enumerate(wanted):
        if want == "#":
            return True
        if place >= len(levels) or want not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)


class _Client:
    __slots__ = ("lost", "patterns", "receive", "up", "will")

    def __init__(self, receive: Receive, will: Message | None, lost: Callable[[], None] | None) -> None:
        self.receive = receive
        self.will = will
        self.lost = lost
        self.patterns: dict[str, None] = {}
        self.up = True


class MemoryBroker:
    def __init__(self, mangle: Mangle | None = None) -> None:
        self.mangle = mangle
        self.now_s = 0.0
        self.retained: dict[str, bytes] = {}
        self._clients: dict[str, _Client] = {}
        self._exact: dict[str, dict[_Client, None]] = {}
        self._wild: dict[str, dict[_Client, None]] = {}
        self._routes: dict[str, tuple[_Client, ...]] = {}
        self._due: deque[tuple[_Client | None, Message]] = deque()
        self._later: list[tuple[float, int, Message]] = []
        self._handed_over = 0

    def connect(
        self,
        client_id: str,
        receive: Receive,
        will: Message | None = None,
        lost: Callable[[], None] | None = None,
    ) -> None:
        """A second client of the same id takes over: the first is dropped, its will published."""
        self.drop(client_id)
        self._clients[client_id] = _Client(receive, will, lost)

    def publish(self, client_id: str, message: Message) -> bool:
        if client_id not in self._clients:
            return False
        self._send(message)
        return True

    def subscribe(self, client_id: str, pattern: str) -> None:
        """What is retained under it follows at the next pump."""
        if (client := self._clients.get(client_id)) is None or pattern in client.patterns:
            return
        client.patterns[pattern] = None
        self._table(pattern).setdefault(pattern, {})[client] = None
        self._forget_routes(pattern)
        self._due.extend((client, kept) for kept in self._kept_under(pattern))

    def drop(self, client_id: str) -> None:
        """The link is lost: what is under way to it is too, its subscriptions are gone, its will is published."""
        if (client := self._leave(client_id)) is None:
            return
        if client.will is not None:
            self._send(client.will)
        if client.lost is not None:
            client.lost()

    def disconnect(self, client_id: str) -> None:
        """It says goodbye: no will."""
        self._leave(client_id)

    def connected(self, client_id: str) -> bool:
        return client_id in self._clients

    def pump(self, now_s: float) -> int:
        """Delivers all that is due, with all that is said in answer to it; returns how many messages were moved."""
        self.now_s = now_s
        self._ripen()
        moved = 0
        while self._due:
            client, message = self._due.popleft()
            if client is None:
                self._route(message)
            elif client.up:
                client.receive(message)
            moved += 1
            if moved > PUMPED_MAX:
                raise RuntimeError(f"messages without end, lately on {message.address}")
        return moved

    def next_due_s(self) -> float | None:
        """When the next delayed message is due; `now_s` if something waits for a pump already."""
        if self._due:
            return self.now_s
        return self._later[0][0] if self._later else None

    def clear_retained(self, patterns: Iterable[str]) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(kept.address for pattern in patterns for kept in self._kept_under(pattern)))
        for topic in found:
            del self.retained[topic]
        return found

    def _send(self, message: Message) -> None:
        if self.mangle is None:
            self._due.append((None, message))
            return
        for delay_s, mangled in self.mangle(message, self.now_s):
            if delay_s <= 0:
                self._due.append((None, mangled))
            else:
                self._handed_over += 1
                heapq.heappush(self._later, (self.now_s + delay_s, self._handed_over, mangled))

    def _ripen(self) -> None:
        while self._later and self._later[0][0] <= self.now_s:
            self._due.append((None, heapq.heappop(self._later)[2]))

    def _route(self, message: Message) -> None:
        if message.retained:
            message = self._keep(message)
        topic = message.address
        route = self._routes.get(topic)
        if route is None:
            route = self._routes[topic] = self._find(topic)
        for client in route:
            if client.up:
                client.receive(message)

    def _keep(self, message: Message) -> Message:
        """Those who listen already get it as any other message."""
        if message.payload:
            self.retained[message.address] = message.payload
        else:
            self.retained.pop(message.address, None)
        return msgspec.structs.replace(message, retained=False)

    def _find(self, topic: str) -> tuple[_Client, ...]:
        """Each client once, however many of its patterns match."""
        found = dict(self._exact.get(topic, {}))
        for pattern, clients in self._wild.items():
            if matches(pattern, topic):
                found.update(clients)
        return tuple(found)

    def _kept_under(self, pattern: str) -> list[Message]:
        if not _is_wild(pattern):
            kept = self.retained.get(pattern)
            return [] if kept is None else [Message(pattern, kept, retained=True)]
        return [Message(topic, kept, retained=True) for topic, kept in self.retained.items() if matches(pattern, topic)]

    def _leave(self, client_id: str) -> _Client | None:
        client = self._clients.pop(client_id, None)
        if client is not None:
            client.up = False
            for pattern in client.patterns:
                self._unsubscribe(client, pattern)
        return client

    def _unsubscribe(self, client: _Client, pattern: str) -> None:
        table = self._table(pattern)
        table[pattern].pop(client, None)
        if not table[pattern]:
            del table[pattern]
        self._forget_routes(pattern)

    def _table(self, pattern: str) -> dict[str, dict[_Client, None]]:
        return self._wild if _is_wild(pattern) else self._exact

    def _forget_routes(self, pattern: str) -> None:
        if _is_wild(pattern):
            self._routes.clear()
        else:
            self._routes.pop(pattern, None)


def _is_wild(pattern: str) -> bool:
    return "+" in pattern or "#" in pattern


class MemoryTransport:
    """`wire.Transport` over a MemoryBroker. `cut` and `restore` are its link; the broker's `drop` cuts it too."""

    def __init__(self, broker: MemoryBroker, client_id: str, will: Message | None = None) -> None:
        self._broker = broker
        self._client_id = client_id
        self._will = will
        self._patterns: dict[str, None] = {}
        self._receive: Receive | None = None
        self._linked: Linked = _nobody

    def start(self, receive: Receive, linked: Linked) -> None:
        self._receive = receive
        self._linked = linked
        self.restore()

    def listen(self, pattern: str) -> None:
        self._patterns[pattern] = None
        self._broker.subscribe(self._client_id, pattern)

    def send(self, message: Message, urgent: bool = False) -> bool:
        """Nothing ever waits here, so `urgent` changes nothing."""
        return self._broker.publish(self._client_id, message)

    def stop(self) -> None:
        self._receive = None
        self._broker.disconnect(self._client_id)
        self._linked(False)

    def cut(self) -> None:
        self._broker.drop(self._client_id)

    def restore(self) -> None:
        """Connects and subscribes again, if started and not connected."""
        if self._receive is None or self._broker.connected(self._client_id):
            return
        self._broker.connect(self._client_id, self._receive, self._will, self._lost)
        for pattern in self._patterns:
            self._broker.subscribe(self._client_id, pattern)
        self._linked(True)

    def _lost(self) -> None:
        self._linked(False)


def _nobody(_up: bool) -> None:
    pass
