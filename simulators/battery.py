"""Batteries with their chargers, seen from the plug, on virtual time; what the socket makes of them is not here.

A charge is a row of stages, each running from one power to another in a set time; power changes by equal ratios,
which is how a CV tail falls. Figures are wall-side, of 48 to 72 V packs.
"""

import math
from collections.abc import Callable, Iterable
from random import Random

import msgspec

NOISE = 0.01  # what cheap meters and a neighbour's load add, either way
S_PER_H = 3600.0
FOREVER_S = math.inf


class Stage(msgspec.Struct, frozen=True):
    """From one power to another, by equal ratios, in `lasts_s`; forever at `from_w` if that is infinite."""

    from_w: float
    to_w: float
    lasts_s: float

    @property
    def rate(self) -> float:
        return 0.0 if math.isinf(self.lasts_s) else math.log(self.to_w / self.from_w) / self.lasts_s

    def at_w(self, t_s: float) -> float:
        return self.from_w * math.exp(self.rate * t_s) if self.rate else self.from_w

    def energy_ws(self, start_s: float, end_s: float) -> float:
        if not self.rate:
            return self.from_w * (end_s - start_s)
        return (self.at_w(end_s) - self.at_w(start_s)) / self.rate

    def reached_s(self, energy_ws: float) -> float:
        """How far into the stage this much energy is spent."""
        return math.log1p(energy_ws * self.rate / self.from_w) / self.rate if self.rate else energy_ws / self.from_w


class Battery:
    """Charges only while asked: `draw_w(dt_s)` lets that much powered time pass and returns the mean wall power."""

    def __init__(self, charge: Iterable[Stage], rest: Iterable[Stage], rng: Random, noise: float = NOISE) -> None:
        self._charge = tuple(charge)
        self._stages = (*self._charge, *rest)
        self._rng = rng
        self._noise = noise
        self._stage = 0
        self._t_s = 0.0
        self.capacity_wh = sum(s.energy_ws(0.0, s.lasts_s) for s in self._charge) / S_PER_H
        self.drawn_wh = 0.0
        self.sleeps_at: tuple[int, ...] = ()  # the stages in which its charger waits for its plug
        self.wakes_by_power = False  # ... or for its power to go and to come back
        self.tapers = False  # as plainly as any pack does

    def draw_w(self, dt_s: float) -> float:
        if dt_s <= 0.0:
            return self._noisy(self._stages[self._stage].at_w(self._t_s))
        power_w = self._noisy(self._advance_ws(dt_s) / dt_s)
        self.drawn_wh += power_w * dt_s / S_PER_H
        return power_w

    def woken(self, plugged: bool) -> None:
        """Its power has come back, or it was plugged in anew: a charger that has gone to sleep may go on."""
        if self._stage in self.sleeps_at and (plugged or self.wakes_by_power):
            self._stage, self._t_s = self._stage + 1, 0.0

    @property
    def soc(self) -> float:
        """Share of the charge already in the pack; 1 once nothing useful is left to come."""
        if self._stage >= len(self._charge):
            return 1.0
        done_ws = sum(s.energy_ws(0.0, s.lasts_s) for s in self._charge[: self._stage])
        done_ws += self._charge[self._stage].energy_ws(0.0, self._t_s)
        return done_ws / S_PER_H / self.capacity_wh

    def start_at(self, soc: float) -> "Battery":
        """Puts the pack at this state of charge, as if it had been charged up to there."""
        left_ws = min(max(soc, 0.0), 1.0) * self.capacity_wh * S_PER_H
        for index, stage in enumerate(self._charge):
            whole_ws = stage.energy_ws(0.0, stage.lasts_s)
            if left_ws < whole_ws:
                self._stage, self._t_s = index, stage.reached_s(left_ws)
                return self
            left_ws -= whole_ws
        self._stage, self._t_s = len(self._charge), 0.0
        return self

    def _advance_ws(self, dt_s: float) -> float:
        energy_ws = 0.0
        while True:
            stage = self._stages[self._stage]
            end_s = min(self._t_s + dt_s, stage.lasts_s)
            energy_ws += stage.energy_ws(self._t_s, end_s)
            dt_s -= end_s - self._t_s
            self._t_s = end_s
            if end_s < stage.lasts_s:
                return energy_ws
            self._stage, self._t_s = self._stage + 1, 0.0

    def _noisy(self, power_w: float) -> float:
        return power_w * (1.0 + self._rng.uniform(-self._noise, self._noise)) if power_w else 0.0


def lithium(rng: Random) -> Battery:
    """CC that rises a little, then a tail halving every 10 to 20 minutes, smooth down to 4.5 W."""
    cc_w, half_s = rng.uniform(150.0, 250.0), rng.uniform(600.0, 1200.0)
    charge = (_first(cc_w, rng.uniform(1.5, 3.5)), _tail(cc_w, 4.5, half_s))
    return _used(Battery(charge, (_forever(rng.uniform(2.0, 4.0)),), rng), rng)


def lithium_snap(rng: Random) -> Battery:
    """The charger ends the tail by itself at about 20 W: green light, idle rises, then drifts down."""
    cc_w, snap_w = rng.uniform(150.0, 250.0), rng.uniform(17.0, 26.0)
    charge = (_first(cc_w, rng.uniform(1.5, 3.5)), _tail(cc_w, snap_w, rng.uniform(600.0, 1200.0)))
    rest = (Stage(5.0, 6.3, 1200.0), Stage(6.3, 4.3, S_PER_H), _forever(4.3))
    return _used(Battery(charge, rest, rng), rng)


def nearly_full(rng: Random) -> Battery:
    """What a demonstration starts with: minutes of CC, the short tail of an iron-phosphate pack, then a green light."""
    cc_w = rng.uniform(420.0, 480.0)  # a fast charger: so few minutes then show on the bill
    charge = (Stage(cc_w * 0.99, cc_w, 200.0), _tail(cc_w, 0.13 * cc_w, 150.0))
    return Battery(charge, (Stage(5.0, 4.3, S_PER_H), _forever(4.3)), rng)


def lead_acid(rng: Random) -> Battery:
    """Three stages: CC, CV down to the turn at 30 to 65 W, then float under a green light for as long as it is left."""
    cc_w, turn_w, float_w = rng.uniform(165.0, 250.0), rng.uniform(30.0, 65.0), rng.uniform(8.0, 14.0)
    charge = (_first(cc_w, rng.uniform(4.0, 6.0)), Stage(cc_w, turn_w, rng.uniform(1.0, 2.0) * S_PER_H))
    return _used(Battery(charge, (Stage(float_w, 5.0, 2 * S_PER_H), _forever(5.0)), rng), rng)


def never_turns(rng: Random) -> Battery:
    """An aged lead-acid pack: the current stops falling at 60 to 150 W, and what still goes in is heat."""
    cc_w, stuck_w = rng.uniform(165.0, 250.0), rng.uniform(60.0, 150.0)
    charge = (_first(cc_w, rng.uniform(2.0, 4.0)), Stage(cc_w, stuck_w, S_PER_H))
    return _used(Battery(charge, (Stage(stuck_w, stuck_w * 1.1, 6 * S_PER_H), _forever(stuck_w * 1.1)), rng), rng)


def high_idle(rng: Random) -> Battery:
    """The tail ends on a draw that is a good part of it, for as long as it is plugged in."""
    cc_w, idle_w = rng.uniform(150.0, 250.0), rng.uniform(9.0, 15.0)
    return Battery((_short(cc_w), _tail(cc_w, idle_w * 1.2, 240.0)), (_forever(idle_w),), rng)


def warm(rng: Random) -> Battery:
    """Its charger rests on little for some minutes in mid-charge, because the pack is warm."""
    return _in_parts(rng, 2, rng.uniform(1.5, 4.0), rng.uniform(300.0, 1500.0))


def browned_out(rng: Random) -> Battery:
    """Its pack takes nothing at all for a while."""
    return _in_parts(rng, 2, 0.2, rng.uniform(40.0, 500.0))


def asleep(rng: Random) -> Battery:
    """Its charger falls asleep in mid-charge; some wake when their power comes back, some want to be plugged anew."""
    return sleeper(rng, rng.random() < 0.5)


def sleeper(rng: Random, wakes_by_power: bool, parts: int = 2) -> Battery:
    pack = _in_parts(rng, parts, rng.uniform(1.5, 4.0), 24 * S_PER_H)
    pack.sleeps_at, pack.wakes_by_power = tuple(range(1, 2 * parts - 1, 2)), wakes_by_power
    return pack


def tapering(rng: Random) -> Battery:
    """A quarter of an hour on its plateau, and a tail that nobody mistakes for anything else."""
    cc_w = rng.uniform(150.0, 250.0)
    pack = Battery((Stage(cc_w, cc_w, 1200.0), _tail(cc_w, 4.5, 900.0)), (_forever(3.0),), rng)
    pack.tapers = True
    return pack


def full(rng: Random) -> Battery:
    """Plugged in for nothing: only the charger's own draw, 1 to 6 W, and 15.5 W with the worst charger measured."""
    return Battery((), (_forever(15.5 if rng.random() < 0.2 else rng.uniform(1.0, 6.0)),), rng)


def absent(rng: Random) -> Battery:
    return Battery((), (_forever(0.0),), rng)


def _in_parts(rng: Random, parts: int, rest_w: float, rest_s: float) -> Battery:
    """On full power in so many parts, with rests between them."""
    cc_w = rng.uniform(150.0, 250.0)
    rest, later = Stage(rest_w, rest_w, rest_s), Stage(cc_w, cc_w, 240.0)
    between = [stage for _ in range(parts - 2) for stage in (later, rest)]
    charge = (_short(cc_w), rest, *between, _short(cc_w), _tail(cc_w, 0.13 * cc_w, 200.0))
    return Battery(charge, (Stage(5.0, 4.3, S_PER_H), _forever(4.3)), rng)


def _short(cc_w: float) -> Stage:
    return Stage(cc_w * 0.98, cc_w, 480.0)


def _first(cc_w: float, hours: float) -> Stage:
    return Stage(cc_w * 0.95, cc_w, hours * S_PER_H)


def _tail(from_w: float, to_w: float, half_s: float) -> Stage:
    return Stage(from_w, to_w, half_s * math.log2(from_w / to_w))


def _forever(power_w: float) -> Stage:
    return Stage(power_w, power_w, FOREVER_S)


def _used(battery: Battery, rng: Random) -> Battery:
    return battery.start_at(rng.uniform(0.05, 0.8))


BATTERIES: dict[str, Callable[[Random], Battery]] = {
    "lithium": lithium,
    "lithium-snap": lithium_snap,
    "nearly-full": nearly_full,
    "lead-acid": lead_acid,
    "never-turns": never_turns,
    "high-idle": high_idle,
    "warm": warm,
    "browned-out": browned_out,
    "full": full,
    "absent": absent,
}
