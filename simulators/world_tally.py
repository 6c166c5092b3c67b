"""What one seed, and what many of them, have come to."""

from collections import Counter

import msgspec


class Outcome(msgspec.Struct, frozen=True):
    seed: int
    profile: str
    sessions: int
    violations: list[str]
    stop_reasons: dict[str, int]
    faults: dict[str, int]


class Tally:
    """What many seeds have come to."""

    def __init__(self) -> None:
        self.sessions = 0
        self.violations: list[str] = []
        self.stop_reasons: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        self.sessions += outcome.sessions
        self.violations += outcome.violations
        self.stop_reasons.update(outcome.stop_reasons)
        self.faults.update(outcome.faults)
