"""The page for integrators is true: its receiver takes our letters and no others, its reader follows our stream."""

import re
import threading
from collections.abc import Iterator
from http.server import HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.v1.link_shapes import NewHook, NewToken
from controller import couriers, feed, post, postman
from controller.clock import HandClock
from controller.feed import Kept
from controller.links import HookRow
from controller.postman import Postman, signature
from tests.api.served import served
from tests.api.test_feed import Radio

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "integrate.md").read_text(encoding="utf-8")
READER, RECEIVER = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(source: str) -> Any:
    space: dict[str, Any] = {"__name__": "of_the_page"}
    exec(compile(source, "docs/integrate.md", "exec"), space)  # noqa: S102 - our own page
    return SimpleNamespace(**space)


class Theirs:
    """The page's receiver, running."""

    def __init__(self, secret: str) -> None:
        self.code = run(RECEIVER)
        self.stored: list[Any] = []
        kind = self.code.Receiver
        kind.secret, kind.store = secret, lambda _, event: self.stored.append(event)
        kind.log_message = lambda *args: None
        self.server = HTTPServer(("127.0.0.1", 0), kind)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/anchong"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(5.0)


OURS = Postman(b"key", at_home=True)


def hook(url: str = "http://127.0.0.1/") -> HookRow:
    return HookRow(id="h1", url=url, kinds=[], sites=[], made_by="staff:o", at=1.0, disabled=False)


@pytest.fixture
def theirs() -> Iterator[Theirs]:
    made = Theirs(OURS.secret(hook()))
    yield made
    made.stop()


def event(number: int, kind: str = "session.settled") -> Kept:
    return Kept(id=number, at=1.0, kind=kind, site="s", outlet="o", session="x", data={"bill_fen": 29})


def test_the_pages_receiver_takes_our_letters_each_event_once(theirs: Theirs) -> None:
    for numbers in ((1, 2), (1, 2), (2, 3)):
        assert OURS.send(hook(theirs.url), [event(number) for number in numbers]).status == 204
    assert [stored["id"] for stored in theirs.stored] == [1, 2, 3]
    assert OURS.send(hook(theirs.url), [event(0, "test")]).taken
    assert theirs.stored[-1]["kind"] == "test"


def test_the_pages_receiver_refuses_what_we_did_not_sign_now(theirs: Theirs) -> None:
    another = Postman(b"another key", at_home=True)
    old = Postman(b"key", at_home=True, clock=HandClock(at=1_000_000_000.0))
    for forger in (another, old):
        assert forger.send(hook(theirs.url), [event(1)]).status == 401
    assert theirs.stored == []


@pytest.mark.parametrize("header", ["", "t=1", "v1=x", "t=x,v1=y", "nonsense", "t=1800000000,v1=" + "0" * 64])
def test_the_pages_check_survives_any_header(theirs: Theirs, header: str) -> None:
    assert not theirs.code.is_ours("secret", header, b"{}", 1_800_000_000.0)


def test_the_pages_check_knows_our_signature_and_every_byte_counts(theirs: Theirs) -> None:
    header = signature("secret", 1_800_000_000, b"{}")
    assert theirs.code.is_ours("secret", header, b"{}", 1_800_000_299.0)
    assert not theirs.code.is_ours("secret", header, b"{} ", 1_800_000_000.0)
    assert not theirs.code.is_ours("secret", header, b"{}", 1_800_000_301.0)


def test_the_pages_reader_follows_and_goes_on_where_it_was(tmp_path: Path) -> None:
    radio, follow = Radio(tmp_path), run(READER).follow
    with served(radio.app) as web:
        told = radio.tell(4)
        token, url = radio.token("owner"), f"http://127.0.0.1:{web.port}"
        stream = follow(url, token, told[0] - 1)
        heard = [next(stream) for _ in range(2)]
        stream.close()
        stream = follow(url, token, heard[-1][0])
        heard += [next(stream) for _ in range(2)]
        stream.close()
        assert [place for place, _ in heard] == told
        assert [event["id"] for _, event in heard] == told
    radio.close()


def test_the_pages_figures_are_those_of_the_program() -> None:
    assert list(couriers.BACK_OFF_S) == [1, 5, 15, 60, 300]
    assert (couriers.FAILING_S, couriers.FAILING_EVERY_S, couriers.BATCH) == (3600, 15 * 60, 100)
    assert (feed.KEEP_S, feed.KEEP_ROWS) == (30 * 86_400, 500_000)
    assert post.WHOLE_S == 10
    for said in (
        "after 1, 5, 15, 60 and then every 300 s",
        "every\n  15 minutes",
        "30 days, at most 500,000",
        "ten seconds",
    ):
        assert said in PAGE, said


def test_the_pages_bodies_are_good_ones() -> None:
    bodies = re.findall(r"-d '(\{.*?\})'", PAGE)
    assert len(bodies) == 2
    NewToken.model_validate_json(bodies[0])
    NewHook.model_validate_json(bodies[1])
    assert range(200, 300) == postman.OK
