"""Bodies are bounded in size and time, every answer carries its headers, and silence reigns before the first owner."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from api.app import make_app
from api.services import FirstOwner
from api.shields import BODY_MAX, NOTICE_MAX
from controller.readiness import Check
from tests.api.stand import AT, Stand

PLACES = ("/healthz", "/readyz", "/api/v1/me", "/api/v1/none", "/console", "/S/NOBODY", "/none", "/webhooks/sandbox")


@pytest.mark.parametrize("place", PLACES)
def test_every_answer_carries_the_headers(stand: Stand, place: str) -> None:
    headers = stand.client().get(place).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "referrer-policy" in headers
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("place", "most"), [("/webhooks/sandbox", NOTICE_MAX), ("/api/v1/login", BODY_MAX)])
def test_T15_a_body_too_large_is_refused_told_or_not(stand: Stand, place: str, most: int) -> None:
    client = stand.client(headers={"content-type": "application/json"})
    assert client.post(place, content=b"x" * (most + 1)).status_code == 413
    chunks = (b"x" * 10_000 for _ in range(most // 10_000 + 1))
    assert client.post(place, content=chunks).status_code == 413
    assert client.post(place, content=b"x" * most).status_code in (400, 401, 422)
    assert client.post(place, content=b"{}", headers={"content-length": "-1"}).status_code in (400, 413)


def test_T16_a_slow_body_is_cut_off(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    app = make_app(stand.services, body_s=0.05)
    sent = asyncio.run(_slowly(app))
    assert sent[0]["status"] == 408
    stand.close()


async def _slowly(app: Any) -> list[Message]:
    """Two letters, then never another."""
    sent: list[Message] = []
    letters: list[Message] = [{"type": "http.request", "body": b"x", "more_body": True}] * 2

    async def receive() -> Message:
        if letters:
            return letters.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/webhooks/sandbox",
        "raw_path": b"/webhooks/sandbox",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return sent


def test_nothing_answers_before_the_first_owner(tmp_path: Path) -> None:
    link = FirstOwner("once", until_steady_s=1e9)
    stand = Stand(tmp_path, first_owner=link)
    client = stand.client()
    for path in ("/", "/api/v1/me", "/api/v1/openapi.json", "/console", "/console/login", "/S/X", "/webhooks/sandbox"):
        assert client.get(path).status_code == 503, path
        assert client.post(path).status_code == 503, path
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert client.get("/first/once").status_code == 200
    assert client.get("/first/guess").status_code == 404
    link.used = True
    assert client.get("/api/v1/me").status_code == 401
    assert client.get("/first/once").status_code == 404
    stand.close()


def test_the_first_link_ends_after_its_time() -> None:
    link = FirstOwner("once", until_steady_s=1800.0)
    assert link.fits("once", 1799.0)
    assert not link.fits("once", 1800.0)
    assert not link.fits("twice", 0.0)


def test_not_ready_while_nothing_new_would_start(stand: Stand) -> None:
    client = stand.client()
    assert client.get("/readyz").status_code == 200
    stand.board.checks = (Check("decider", True, "", AT), Check("writer", False, "late", AT))
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_a_bug_shows_no_trace(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(stand.queries, "overview", broken)
    answer = stand.as_role("owner").get("/api/v1/overview")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


def test_people_get_a_page_and_programs_a_problem(stand: Stand) -> None:
    client = stand.client()
    page = client.get("/none?lang=en")
    assert (page.status_code, "<html" in page.text, "There is no such page" in page.text) == (404, True, True)
    assert "找不到" in client.get("/none?lang=zh").text
    assert client.get("/api/v1/none").json()["code"] == "not_found"
