"""What a mutant is, the seeds of the world that show each kind of mistake, and how a cell of a table is replaced."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import msgspec


class Mutant(msgspec.Struct, frozen=True):
    does: str
    patched: Callable[[], AbstractContextManager[object]]
    seeds: Sequence[int] = (1, 2, 3, 4)


MUTANTS: dict[str, Mutant] = {}

# one is enough; the others are for the day when what happens in the first has moved
WAY, SOCKETS, PROCESS = (1, 9, 17, 25), (2, 18, 26, 34), (3, 11, 19, 27)
ALL, PLOTS, CALM = (4, 12, 20, 28), (5, 13, 21, 29), (8, 16)
DOUBTS, ALARMS = (6, 14, 22, 38), (7, 15, 23, 31)
LIMITED = (16, 13, 9, 15)  # with limits of power on the site and on a pile


def mutant(does: str, seeds: Sequence[int]) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Iterator[None]]]:
    def known(make: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
        MUTANTS[make.__name__] = Mutant(does, contextmanager(make), seeds)
        return make

    return known


@contextmanager
def cells(table: dict[Any, dict[type, Any]], phases: Iterable[object], event: type, handler: Any) -> Iterator[None]:
    """Some cells of a table replaced; `handler` is made from the one that stood there."""
    with ExitStack() as stack:
        for phase in phases:
            stack.enter_context(patch.dict(table[phase], {event: handler(table[phase][event])}))
        yield
