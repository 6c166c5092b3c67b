"""The log level and the diagnostics over the web: who may, what is written down, and what the page offers."""

import re

import pytest

from controller.core.events import Change, StaffChange
from tests.api.stand import Stand
from tests.api.watched import FakeWatch

KEY = "k" * 64


def watch_of(stand: Stand) -> FakeWatch:
    watch = stand.services.watch
    assert isinstance(watch, FakeWatch)
    return watch


def test_a_maintainer_logs_more_for_a_while_and_the_audit_log_hears_of_it(stand: Stand) -> None:
    answer = stand.as_role("maintainer").post("/api/v1/log-level", json={"level": "debug", "for_s": 600})

    assert (answer.status_code, answer.json()) == (200, {"level": "debug", "until": 1_800_000_900.0})
    assert watch_of(stand).asked == [("debug", 600.0)]
    assert isinstance(stand.door.last, StaffChange)
    assert (stand.door.last.change, stand.door.last.by) == (Change.LOG_LEVEL, "staff:s-maintainer")
    assert stand.door.last.values == {"level": "debug", "for_s": 600.0}


@pytest.mark.parametrize("bad", [{"level": "everything"}, {"for_s": -1}, {"for_s": 1e9}, {"for": 3}])
def test_a_level_that_there_is_not_changes_nothing(stand: Stand, bad: dict[str, object]) -> None:
    assert stand.as_role("owner").post("/api/v1/log-level", json=bad).status_code == 422
    assert watch_of(stand).asked == []


def test_with_the_database_away_the_level_changes_all_the_same(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.door.ASK_S", 0.01)
    stand.door.answers[StaffChange] = None

    assert stand.as_role("owner").post("/api/v1/log-level", json={"level": "debug"}).status_code == 503
    assert watch_of(stand).asked == [("debug", 900.0)]


@pytest.mark.parametrize("role", ["manager", "finance", "auditor"])
def test_others_neither_read_nor_change(stand: Stand, role: str) -> None:
    client = stand.as_role(role)

    assert client.post("/api/v1/log-level", json={"level": "debug"}).status_code == 403
    for path in ("/api/v1/log-level", "/api/v1/diagnostics", "/console/upkeep", "/console/upkeep/diagnostics"):
        assert client.get(path).status_code == 403, path
    assert watch_of(stand).asked == []


@pytest.mark.parametrize("path", ["/api/v1/diagnostics", "/console/upkeep/diagnostics"])
def test_the_diagnostics_come_as_a_file(stand: Stand, path: str) -> None:
    answer = stand.as_role("maintainer").get(path)

    assert (answer.status_code, answer.content) == (200, b"a bundle")
    assert answer.headers["content-type"] == "application/gzip"
    assert re.fullmatch(r'attachment; filename="anchong-\d{8}T\d{6}Z\.tar\.gz"', answer.headers["content-disposition"])


def test_the_command_line_gets_them_by_the_key_of_the_settings_and_nobody_else(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    stand = Stand(tmp_path_factory.mktemp("keyed"), watch_key=KEY)
    client = stand.client()

    assert client.get("/diagnostics", headers={"authorization": f"Bearer {KEY}"}).content == b"a bundle"
    for wrong in (KEY[:-1], "", "ä"):
        assert client.get("/diagnostics", headers={b"authorization": f"Bearer {wrong}".encode()}).status_code == 404
    assert stand.as_role("owner").get("/diagnostics").status_code == 404
    stand.close()


def test_without_a_key_no_key_fits(stand: Stand) -> None:
    for sent in ("Bearer ", "Bearer x", ""):
        assert stand.client().get("/diagnostics", headers={"authorization": sent}).status_code == 404


@pytest.mark.parametrize(("lang", "title", "bad"), [("zh", "维护", "异常"), ("en", "Upkeep", "Not in order")])
def test_the_page_says_what_is_amiss_and_offers_level_and_file(stand: Stand, lang: str, title: str, bad: str) -> None:
    stand.clock.advance(60.0)  # the decider has not stepped since

    page = stand.as_role("maintainer").get(f"/console/upkeep?lang={lang}")

    assert page.status_code == 200
    for part in (title, bad, 'href="/console/upkeep/diagnostics"', 'action="/console/upkeep/log_level"'):
        assert part in page.text, part


def test_the_form_changes_the_level_and_comes_back(stand: Stand) -> None:
    client = stand.as_role("maintainer")
    csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/console/upkeep").text)
    assert csrf is not None
    form = {"csrf": csrf[1], "key": "0" * 32, "level": "debug", "minutes": "60"}

    answer = client.post("/console/upkeep/log_level", data=form)

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/upkeep?done=log_level")
    assert watch_of(stand).asked == [("debug", 3600.0)]
    assert stand.door.last.key == "0" * 32
    assert client.post("/console/upkeep/log_level", data={**form, "minutes": "9999"}).status_code == 409
    assert "debug" in client.get("/console/upkeep").text
