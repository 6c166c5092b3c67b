"""The web program of these tests: real routes and a real database, a door that writes down what is asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.api.office import Office, office
from tests.api.stand import Stand


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=("sqlite", "postgresql"))
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    """With a real engine and writer behind the door, on each database."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    with databases.tested_on(server):
        made = office(tmp_path)
        yield made
        made.close()
