"""Six outlets on a line that loses, doubles, delays and changes what it carries: each gets what was meant for it."""

from random import Random

import pytest

from controller.core import events as ev
from firmware_bridge.transports.memory_bus import Way
from firmware_bridge.wire import AskNow, SwitchOff, SwitchOn
from simulators.twins.lines import BOARD, WATCHDOG
from tests.bridge.on_a_bus import BOARDS, Pair

POWERS_W = [50.0, 60.0, 70.0, 80.0, 90.0, 100.0]  # each outlet's own: what is told of another one shows
TURNS = 60
ON_THE_WAY_S = 1.0  # an order may be held up by so much
LEASE_S = 30.0


class Noise:
    """One in six of all that is said, either way."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.loud = False

    def __call__(self, way: Way, chunk: bytes, now_s: float) -> list[tuple[float, bytes]]:
        kind = self._random.random() if self.loud else 1.0
        place = self._random.randrange(len(chunk))
        if kind < 0.03:
            return []
        if kind < 0.06:
            return [(0.0, chunk), (self._random.random() * 0.02, chunk)]
        if kind < 0.10:
            flipped = chunk[place] ^ 1 << self._random.randrange(8)
            return [(0.0, chunk[:place] + bytes((flipped,)) + chunk[place + 1 :])]
        if kind < 0.13:
            return [(0.0, chunk[:place]), (self._random.random() * 0.01, chunk[place:])]
        if kind < 0.16:
            return [(self._random.random() * ON_THE_WAY_S, chunk)]
        return [(0.0, self._random.randbytes(3) + chunk if kind < 0.18 else chunk)]


class Story:
    def __init__(self, name: str, seed: int) -> None:
        self._noise, self._random = Noise(seed), Random(seed)
        self.pair = Pair(name, *POWERS_W, mangle=self._noise)
        self._noise.loud = True
        self._lease_s = WATCHDOG[0] if name == "coil-relay" else LEASE_S
        self._one_timer = name == "coil-relay"  # for all: who is on stays on with whoever is renewed
        self.lit_until_s = [0.0] * len(POWERS_W)

    def turn(self) -> None:
        channel = self._random.randrange(len(POWERS_W))
        match self._random.randrange(10):
            case 0 | 1 | 2:
                self._switch_on(channel)
            case 3 | 4 | 5:
                self.pair.wish(SwitchOff(channel))
            case 6:
                self.pair.wish(AskNow())
            case _:
                self.pair.run(self._random.random() * 15.0)

    def _switch_on(self, channel: int) -> None:
        self.pair.wish(SwitchOn(channel, self._lease_s))
        contacts = self.pair.line.board(BOARD).contacts
        for other in range(len(POWERS_W)):
            if other == channel or (self._one_timer and contacts[other].on and self.lit_until_s[other]):
                self.lit_until_s[other] = self.pair.now_s + self._lease_s + ON_THE_WAY_S


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_nobody_gets_power_whom_nobody_meant_and_each_reading_is_its_outlets_own(name: str) -> None:
    story = Story(name, seed=7)
    for _ in range(TURNS):
        story.turn()
        for channel, until_s in enumerate(story.lit_until_s):
            assert not story.pair.powered(channel) or story.pair.now_s <= until_s

    read = [event for event in story.pair.heard if isinstance(event, ev.Reading)]
    assert all(event.power_w in (0.0, POWERS_W[int(event.outlet[1:])]) for event in read)
    assert len({event.outlet for event in read if event.power_w}) >= 3
    assert len({*story.pair.faults}) >= 4
