"""Fixtures for every folder, and the two rules of the house: no test leaves this machine, none is skipped in CI."""

import logging
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest
import structlog
from playwright.sync_api import Browser, sync_playwright

from tests import databases, house

hypothesis.settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("house")


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


INFO = structlog.make_filtering_bound_logger(logging.INFO)  # a line a decision would bury what failed


def pytest_configure() -> None:
    structlog.configure(wrapper_class=INFO)
    house.stay_at_home()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _no_excuses((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _no_excuses((yield))


def _no_excuses(report: Report) -> Report:
    """Where the services are required a skip is a failure, whatever asked for it."""
    if house.REQUIRE_SERVICES and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _log_lines_as_they_were() -> Iterator[None]:
    """A command run in this process sets up its own log lines; the next test shall not inherit them."""
    yield
    structlog.reset_defaults()
    structlog.configure(wrapper_class=INFO)


@pytest.fixture
def needs() -> Callable[[str], str]:
    return house.needs


@pytest.fixture
def free_port() -> int:
    return house.free_port()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., house.Broker]]:
    """`mosquitto(users={"plug": "word"}, acl="pattern readwrite +/%u/#\\n")` starts one; all stop with the test."""
    with house.brokers(tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def postgres() -> Iterator[databases.Postgres]:
    """One server for all; each test has a database of its own in it."""
    with databases.postgres() as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. One a module: its loop must be gone before a neighbour runs one of its own."""
    program = house.needs("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()
