"""The web program of these tests: real routes and a real database, a door that writes down what is asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.stand import Stand


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.close()
