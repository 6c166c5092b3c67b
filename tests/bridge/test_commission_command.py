"""`anchong commission`: follows a programme through the real API, says each step once, and exits by what came of it."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from anchong.__main__ import app
from anchong.commission import BadInput, proved
from api.app import make_app
from api.pages import words
from api.services import Services
from controller.core import events as ev
from simulators.twins.lines import BOARD, wired
from simulators.twins.relay_boards import waveshare
from simulators.twins.shelly import ShellyConfig, ShellyTwin
from tests.bridge.test_commissioned_bus import KIND, T0, yard_of
from tests.bridge.yard import Lamp, Yard

MAINTAINER = {"login": "m", "name": "M", "password_hash": "x", "role": "maintainer", "sites": ["s"], "disabled": False}
OWNER = MAINTAINER | {"login": "o", "role": "owner", "sites": []}


class Office:
    """The gateway's pages, with a maintainer signed in; `fetch` is what the command asks with."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        yard.change(ev.Change.STAFF, "o", **OWNER)
        yard.change(ev.Change.STAFF, "m", **MAINTAINER)
        gateway = yard.gateway
        services = Services(
            door=self,
            board=gateway.board,
            queries=gateway.queries,
            clock=yard.clock,
            sticker_keys={"1": b"k" * 32},
            provider="sandbox",
            provider_keys={},
            provider_merchant="m",
            provider_app="a",
            public_url="https://charge.example",
            sign_key=b"s" * 32,
            secure_cookies=False,
        )
        pages = make_app(services)
        token = pages.state.logins.opened(services, gateway.queries.staff_by_login("m"))[0]
        bearer = {"authorization": f"Bearer {token}"}
        self._client = TestClient(pages, headers=bearer, base_url="http://testserver/api/v1")

    def ask(self, event: ev.Event, found: Mapping[str, Any] | None = None) -> "Future[dict[str, Any]]":
        return self._yard.ask(event)

    def tell(self, event: ev.Event) -> None:
        self._yard.gateway.tell(event)

    def fetch(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        answer = self._client.request(method, path)
        return answer.status_code, answer.json()


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path)
    made.open()
    yield made
    made.stop()


def adopted(yard: Yard, **config: Any) -> str:
    yard.connect(ShellyTwin(ShellyConfig(mac="0000004A0001", **config), [Lamp(60.0)], yard.clock.now().at))
    yard.run(2.0)
    (outlet,) = yard.adopt(yard.twins[-1])
    yard.run(12.0)
    return outlet


def followed(yard: Yard, outlet: str, lang: str = "en") -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    (came_of,) = proved(Office(yard).fetch, [outlet], lang, said.append, yard.run)
    return came_of, said


def test_each_step_and_what_was_measured_is_said_once_and_the_end_is_proven(yard: Yard) -> None:
    done, said = followed(yard, adopted(yard))

    assert done["proven"] is True
    assert done["proof"]["cut_by"] == "timer"
    assert done["proof"]["firmware"] == "1.4.4"
    steps = [line.partition(":")[0] for line in said if not line.startswith(" ")]
    assert steps == ["Its turn", "Obeys ON", "Obeys OFF", "Cuts by itself", "Can be renewed", "Proven"]
    assert len([line for line in said if "load: 60" in line]) == 1
    assert len(said) == len(set(said))


def test_what_failed_is_said_in_a_sentence_with_what_to_do(yard: Yard) -> None:
    done, said = followed(yard, adopted(yard, rearms=False), "zh")

    assert (done["proven"], done["failed"], done["step"]) == (False, "no_rearm", "rearm")
    assert said[-1] == "检测未通过: 续期没有生效，充电会中途断开。请检查固件版本。"


def test_somebody_who_has_to_walk_is_told_where_and_when(tmp_path: Path) -> None:
    """Once for both; each line says whose it is."""
    line = wired(waveshare(1, [Lamp(60.0)] * 2), KIND, T0)
    with yard_of(tmp_path, line, outlets=2) as (yard, shed, outlets):
        yard.run(12.0)
        said: list[str] = []
        done = proved(Office(yard).fetch, outlets, "en", said.append, at_the_breaker(yard, shed, said))

    assert [one["proven"] for one in done] == [True, True]
    todo = [line.removeprefix(f"{outlets[1]}    >> ") for line in said if line.startswith(f"{outlets[1]}    >>")]
    assert todo[-2:] == [words.t("en", "desk.todo.take_away"), words.t("en", "desk.todo.give_back")]


def at_the_breaker(yard: Yard, shed: str, said: list[str]) -> Callable[[float], object]:
    """Does what it is told, a few seconds later."""
    gone: list[bool] = []

    def wait(seconds: float) -> None:
        line, now_s = yard.at(shed)
        if "take the device's own supply away" in said[-1] and not gone:
            gone.append(True)
            yard.run(2.0)
            line, now_s = yard.at(shed)
            line.cut_supply(BOARD, now_s)
        elif "give the supply back" in said[-1]:
            yard.run(8.0)
            line, now_s = yard.at(shed)
            line.restore_supply(BOARD, now_s)
        yard.run(seconds)

    return wait


def test_what_the_gateway_refuses_is_not_proven_and_what_is_mistyped_is_bad_input(yard: Yard) -> None:
    outlet = adopted(yard)
    yard.change(ev.Change.LOCK, outlet)
    done, said = followed(yard, outlet)
    assert (done["proven"], done["failed"]) == (False, "locked")
    assert len(said) == 1

    with pytest.raises(BadInput, match="nothing"):
        followed(yard, "nothing")


def test_a_gateway_that_goes_away_meanwhile_is_not_waited_for_for_ever() -> None:
    answers = iter([(200, {"number": "1"}), (200, {"subject": "o"})])

    with pytest.raises(BadInput, match="no longer answers"):
        proved(lambda *_: next(answers, (0, {})), ["o"], "en", print, lambda _: None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["o1", "--token", "t", "--url", "http://127.0.0.1:9"], "does not answer"),
        (["o1", "--token", "t", "--url", "file:///etc/passwd"], "no address of pages"),
        (["o1", "--token", ""], "a token is needed"),
        (["o1", "--token", "t\n"], "a token is needed"),
        (["o1", "--token", "t", "--lang", "fr"], "--lang is zh or en"),
    ],
)
def test_bad_input_is_one_line_and_two(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(app, ["commission", *arguments], env={"ANCHONG_TOKEN": ""})

    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert json.dumps(result.stdout) == '""'
