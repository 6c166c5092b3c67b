"""Every test here that has a gateway's store under it runs on SQLite and on PostgreSQL, unasked."""

from collections.abc import Iterator

import pytest

from tests import databases

KINDS = ("sqlite", "postgresql")
WITH_A_STORE = frozenset({"tests.shell.rig", "tests.shell.real_site", "tests.shell.killable"})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if any(getattr(value, "__module__", "") in WITH_A_STORE for value in vars(metafunc.module).values()):
        only = metafunc.definition.get_closest_marker("only")
        metafunc.parametrize("database", KINDS if only is None else only.args, indirect=True)


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which of the two this test runs on."""
    kind: str = getattr(request, "param", KINDS[0])
    server = request.getfixturevalue("postgres") if kind == "postgresql" else None
    with databases.tested_on(server):
        yield kind
