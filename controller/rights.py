"""Who may what, told once it is on disk: whoever holds rights in memory follows the commits, never the answers.

An answer may come late, or for the second time; the rows come once each, in order.
"""

from collections.abc import Callable

from controller.core import effects as fx

TABLES = ("staff", "api_token")

Ear = Callable[[fx.Put], None]


class Rights:
    """`written` is called on the writer's thread: an ear must not wait."""

    def __init__(self) -> None:
        self._ears: tuple[Ear, ...] = ()

    def listen(self, ear: Ear) -> None:
        self._ears = (*self._ears, ear)

    def written(self, row: fx.Effect) -> None:
        if isinstance(row, fx.Put) and row.table in TABLES:
            for ear in self._ears:
                ear(row)
