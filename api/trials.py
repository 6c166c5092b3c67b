"""Trying the detector's settings on past charges, for API and console: one at a time, it is work for seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from starlette.requests import Request

from api.services import services_of
from controller.core import suggest
from controller.core.errors import Refused
from controller.core.suggest import Past, Suggestion, Trial


def suggestion_of(request: Request, site: str) -> tuple[list[Past], Suggestion | None]:
    """The charges looked at, and what would have served them better."""
    garage = services_of(request).queries.garage
    with _alone(request):
        past = garage.past(site)
        return past, suggest.suggested(past, garage.finish(site))


def trial_of(request: Request, site: str, rules: dict[str, float]) -> Trial:
    garage = services_of(request).queries.garage
    with _alone(request):
        return suggest.tried(garage.past(site), rules, garage.finish(site))


@contextmanager
def _alone(request: Request) -> Iterator[None]:
    """It takes the interpreter from the decider, a slice at a time."""
    trials: Lock = request.app.state.trials
    if not trials.acquire(blocking=False):
        raise Refused("overloaded", "other settings are being tried just now")
    try:
        yield
    finally:
        trials.release()
