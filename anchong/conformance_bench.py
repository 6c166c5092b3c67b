"""One device of anchong/1 on the bench: what is said to it, and all that it says, held against the specification."""

import json
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs import anchong1 as codec

T = TypeVar("T")
ANSWER_S = 2.0  # an answer and what it has switched; a second of it is the network's
LEASE_S = 5.0
KEPT = (codec.HELLO, codec.ONLINE)  # what a broker is meant to keep
WRONG_MAX = 20


class Heard(msgspec.Struct, frozen=True):
    at_s: float
    kind: str
    payload: bytes
    retained: bool = False


class Wire(Protocol):
    """How the device is reached: over a broker, or, for a twin in a test, on virtual time."""

    def now_s(self) -> float: ...

    def say(self, payload: bytes) -> None: ...

    def heard(self, within_s: float) -> Sequence[Heard]:
        """What has come; waits for it so long at most."""
        ...

    def kick(self, keep: bytes) -> str:
        """Ends the device's connection and leaves a retained command for its return. "", or why it could not."""
        ...


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


class Said(msgspec.Struct, frozen=True):
    at_s: float
    kind: str
    message: Any
    retained: bool


class Bench:
    """Remembers all; `wrong` is what no message should have been like."""

    def __init__(self, wire: Wire, device: str) -> None:
        self.wire = wire
        self.device = device
        self.said: list[Said] = []
        self.wrong: dict[str, list[str]] = {"form": [], "numbers": [], "starts": [], "counter": []}
        self.may_start = True  # for the first time, or because its mains were cut
        self.hello: codec.Hello | None = None
        self.states: dict[int, codec.State] = {}
        self.boot = ""
        self.starts = 0
        self._seq = 0
        self._up_s = 0.0
        self._n: dict[int, int] = {}

    # -- time -----------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        self.until(lambda: None, seconds)

    def until(self, found: Callable[[], T | None], within_s: float) -> T | None:
        """What was looked for, as soon as it is there."""
        end_s = self.wire.now_s() + within_s
        while True:
            answer = found()
            left_s = end_s - self.wire.now_s()
            if answer is not None or left_s <= 0:
                return answer
            for one in self.wire.heard(left_s):
                self._take(one)

    # -- from the device ------------------------------------------------------------------------------------------

    def _take(self, heard: Heard) -> None:
        if heard.retained and not heard.payload:
            return
        try:
            message = codec.read_up(heard.kind, heard.payload)
        except BadFrame as bad:
            self._note("form", f"{heard.kind}: {bad.detail}: {heard.payload[:80]!r}")
            return
        if message.device and message.device != self.device:
            self._note("form", f"{heard.kind} says that it is {message.device}")
        if heard.retained and heard.kind not in KEPT:
            self._note("form", f"{heard.kind} is retained: old news")
        if isinstance(message, codec.Hello):
            self.hello = message
        if isinstance(message, codec.Head) and not heard.retained:
            self._number(message)
            if isinstance(message, codec.State):
                self._state(message)
        self.said.append(Said(heard.at_s, heard.kind, message, heard.retained))

    def _number(self, head: codec.Head) -> None:
        if head.boot != self.boot:
            self.starts += 1
            if not self.may_start:
                self._note("starts", f"start {head.boot} after {self.boot}")
            self.may_start = False
            self._n.clear()
            self.states.clear()
        elif head.seq <= self._seq:
            self._note("numbers", f"{head.seq} after {self._seq}")
        elif head.up_s < self._up_s:
            self._note("numbers", f"it has run for {head.up_s} s after {self._up_s} s")
        self.boot, self._seq, self._up_s = head.boot, head.seq, head.up_s

    def _state(self, state: codec.State) -> None:
        before = self.states.get(state.outlet)
        was_wh = None if before is None else before.energy_wh
        if was_wh is not None and state.energy_wh is not None and state.energy_wh < was_wh:
            self._note("counter", f"{state.energy_wh} Wh after {was_wh} Wh at outlet {state.outlet}")
        if state.on and not state.lease_left_s:
            self._note("form", "on, and no lease left")
        if not state.on and state.off_by is None:
            self._note("form", "off, and not said by what")
        self.states[state.outlet] = state

    def _note(self, what: str, line: str) -> None:
        if len(self.wrong[what]) < WRONG_MAX:
            self.wrong[what].append(line)

    def first(self) -> codec.State:
        """What outlet 1 has last said of itself."""
        if 1 not in self.states:
            raise Failed("outlet 1 says nothing of its state")
        return self.states[1]

    def kept(self) -> set[type]:
        """Of what kinds there is something that the broker keeps, as it was when we came."""
        return {type(one.message) for one in self.said if one.retained}

    # -- to the device --------------------------------------------------------------------------------------------

    @property
    def outlets(self) -> int:
        return 1 if self.hello is None else self.hello.outlets

    def command(self, do: str, **fields: object) -> dict[str, object]:
        """A right one, but for what `fields` says; None takes a field away."""
        outlet = fields.get("outlet", 1)
        made: dict[str, object] = {"do": do, "id": secrets.token_hex(6)}
        if do != codec.ASK:
            made |= {"outlet": outlet, "boot": self.boot, "heard_up_s": self._up_s}
        if do in (codec.ON, codec.OFF):
            made["n"] = self._next(outlet if isinstance(outlet, int) else 1)
        if do == codec.ON:
            made["lease_s"] = LEASE_S
        return {name: value for name, value in (made | fields).items() if value is not None}

    def _next(self, outlet: int) -> int:
        state = self.states.get(outlet)
        self._n[outlet] = max(self._n.get(outlet, 0), 0 if state is None else state.n) + 1
        return self._n[outlet]

    def send(self, command: dict[str, object]) -> float:
        """When it left."""
        self.wire.say(json.dumps(command).encode())
        return self.wire.now_s()

    def acks(self, command: dict[str, object]) -> list[codec.Ack]:
        return [one.message for one in self.said if one.kind == codec.ACK and one.message.id == command["id"]]

    def answered(self, command: dict[str, object]) -> codec.Ack:
        """Sent, and its one answer."""
        self.send(command)
        ack = self.until(lambda: next(iter(self.acks(command)), None), ANSWER_S)
        if ack is None:
            raise Failed(f"no answer within {ANSWER_S:.0f} s to {json.dumps(command)}")
        return ack

    def obeyed(self, command: dict[str, object]) -> float:
        """Answered with yes; when it was sent."""
        at_s = self.wire.now_s()
        ack = self.answered(command)
        if not ack.ok:
            raise Failed(f"refused ({ack.why}): {json.dumps(command)}")
        return at_s

    def refused(self, command: dict[str, object]) -> str:
        ack = self.answered(command)
        self.ask()
        self.run(0.3)
        if ack.ok:
            raise Failed(f"obeyed: {json.dumps(command)}")
        if not ack.why:
            raise Failed(f"refused without a why: {json.dumps(command)}")
        if any(state.on for state in self.states.values()):
            raise Failed(f"refused, and on all the same: {json.dumps(command)}")
        return ack.why

    def switched(self, on: bool, within_s: float, outlet: int = 1) -> float:
        """When it has said so."""
        begin_s = self.wire.now_s()
        seen = self.until(lambda: self._seen(on, outlet, begin_s), within_s)
        if seen is None:
            word = "on" if on else "off"
            raise Failed(f"outlet {outlet} was not {word} within {within_s:.1f} s")
        return seen

    def _seen(self, on: bool, outlet: int, since_s: float) -> float | None:
        state = self.states.get(outlet)
        if state is None or state.on is not on:
            return None
        told = [s.at_s for s in reversed(self.said) if s.kind == codec.STATE and s.message is state]
        return max(since_s, told[0])

    def ask(self) -> None:
        self.obeyed(self.command(codec.ASK))

    def all_off(self) -> None:
        """Where each check begins."""
        self.send({"do": codec.OFF, "id": secrets.token_hex(6)})
        self.until(lambda: self._dark() or None, ANSWER_S)
        if not self._dark():
            raise Failed("an off without anything else was not obeyed")

    def _dark(self) -> bool:
        return len(self.states) >= self.outlets and not any(state.on for state in self.states.values())


def hello_of(bench: Bench) -> codec.Hello:
    if bench.hello is None:
        raise Skipped("no hello")
    return bench.hello
