"""Real frames of the binary families, and what a line may do to a frame."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from controller.core.errors import BadFrame
from firmware_bridge.codecs.framing import Finder

T = TypeVar("T")
VECTORS = Path(__file__).with_name("vectors")


def vectors(family: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (VECTORS / f"{family}.jsonl").read_text(encoding="utf-8").splitlines()]


def flips(frame: bytes) -> Iterator[bytes]:
    """The frame with each of its bits turned, one at a time."""
    for bit in range(8 * len(frame)):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


def refused(read: Callable[[bytes], object], payload: bytes, *kinds: str) -> None:
    with pytest.raises(BadFrame) as caught:
        read(payload)
    assert not kinds or caught.value.kind in kinds, (payload.hex(" "), str(caught.value))


def fed(finder: Finder[T], line: bytes, cuts: list[int]) -> list[T]:
    """What a finder makes of a line that comes in pieces."""
    edges = [0, *sorted(cut % (len(line) + 1) for cut in cuts), len(line)]
    return [frame for start, end in itertools.pairwise(edges) for frame in finder.feed(line[start:end])]
