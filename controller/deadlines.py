"""What is due when: a heap of steady times by name, where the newest word on a name counts."""

import heapq
from collections.abc import Iterator


class Deadlines:
    """Times that were replaced stay in the heap until they pass, and are passed over then."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}

    def set(self, name: str, due_s: float | None) -> None:
        if due_s is None:
            self._due.pop(name, None)
        elif self._due.get(name) != due_s:
            self._due[name] = due_s
            heapq.heappush(self._heap, (due_s, name))

    def get(self, name: str) -> float | None:
        return self._due.get(name)

    def next_s(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def passed(self, now_s: float) -> Iterator[str]:
        """Every name whose time has come, each taken off its list as it is handed out."""
        while self._heap and self._heap[0][0] <= now_s:
            due_s, name = heapq.heappop(self._heap)
            if self._due.get(name) == due_s:
                del self._due[name]
                yield name
