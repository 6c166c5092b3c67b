"""JSON in, JSON out, and problems for everything else; and T69: whatever is sent, a log line stays one line."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from anchong.logs import Logs
from api.codes import CODES
from api.shields import BODY_MAX
from tests.api.document import Operation, named, operations, request_for
from tests.api.stand import HERE, Stand

NASTY = "x\r\n2027-01-01 level=critical event=forged\x1b[2J\x00\u2028tail"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("*/*", 200),
        ("application/*;q=0.1", 200),
        ("text/html, application/json;q=0.9", 200),
        ("", 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("image/*, text/html", 406),
    ],
)
def test_what_is_wanted_is_json_or_nothing(stand: Stand, accept: str, status: int) -> None:
    answer = stand.as_role("owner").get("/api/v1/me", headers={"accept": accept})
    assert answer.status_code == status
    if status == 406:
        assert_problem(answer, "not_acceptable")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("application/merge-patch+json", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
def test_what_is_sent_is_json(stand: Stand, kind: str, status: int) -> None:
    answer = stand.as_role("owner").post("/api/v1/merchants", content=b'{"name": "A"}', headers={"content-type": kind})
    assert answer.status_code == status
    if status == 415:
        assert_problem(answer, "not_json")
        assert stand.door.events == []


def test_other_refusals_of_the_way_it_is_asked(stand: Stand) -> None:
    owner = stand.as_role("owner")
    answer = owner.delete("/api/v1/sites")
    assert_problem(answer, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) >= {"GET"}
    assert_problem(owner.get("/api/v1/nothing"), "not_found")
    big = owner.post("/api/v1/merchants", content=b"[" * (BODY_MAX + 1), headers={"content-type": "application/json"})
    assert_problem(big, "too_large")
    for body in (b"\xff\xfe", b"{", b"null", b"[]"):
        answer = owner.post("/api/v1/merchants", content=body, headers={"content-type": "application/json"})
        assert_problem(answer, "invalid")


def assert_problem(answer: Any, code: str) -> None:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["status"], body["code"]) == (CODES[code].status, CODES[code].status, code)
    assert body["title"] == CODES[code].title
    assert body["detail"].endswith(CODES[code].todo)


def test_the_type_of_a_problem_leads_to_its_word(stand: Stand) -> None:
    stranger = stand.client()
    problem = stranger.get("/api/v1/me").json()
    told = stranger.get(problem["type"]).json()
    assert (told["code"], told["status"], told["title"]) == ("not_logged_in", 401, problem["title"])
    every = stranger.get("/api/v1/problems").json()["rows"]
    assert [word["code"] for word in every] == sorted(CODES)
    assert_problem(stranger.get("/api/v1/problems/odd"), "unknown")


# -- T69 ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    logs = Logs("debug", "plain").start()
    yield lambda: capsys.readouterr().err.split("\n")[:-1]
    structlog.reset_defaults()
    logs.stop()


@pytest.mark.parametrize("operation", named(operations()))
def test_T69_nothing_that_is_sent_forges_a_log_line(stand: Stand, lines: Any, operation: Operation) -> None:
    client, request = stand.as_role("auditor"), request_for(operation, HERE)
    request["url"] = operation.path.replace("{", "").replace("}", quote(NASTY, safe=""))
    request["params"] = dict.fromkeys(operation.parameters("query"), NASTY)
    if operation.body():
        request["json"] = dict.fromkeys(operation.body(), NASTY) | {NASTY: NASTY}
    client.request(**request)
    client.request(**request, headers={"idempotency-key": quote(NASTY), "authorization": f"Bearer {quote(NASTY)}"})
    stand.client().request(**request)
    written = lines()
    assert written or "auditor" in operation.roles or not operation.roles, "a refused role is logged with its path"
    for line in written:
        assert line.isprintable()
        assert not line.startswith("2027-01-01 level=critical")
