"""/metrics: for this machine and for who brings the token, 404 for all others; well-formed, and no person in it."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from api.metrics import BY_PROXY
from tests.api.stand import Stand

TOKEN = "a token of some length"
HERE = ("127.0.0.1", 50_000)


@pytest.fixture
def watched(tmp_path: Path) -> Stand:
    return Stand(tmp_path, metrics_token=TOKEN)


def test_this_machine_reads_them(watched: Stand) -> None:
    answer = watched.client(client=HERE).get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = {s.name: s.value for family in text_string_to_metric_families(answer.text) for s in family.samples}
    assert values["anchong_things_total"] == 3
    assert (values["anchong_thing_seconds_count"], values["anchong_thing_seconds_sum"]) == (1, 0.0007)
    watched.close()


def test_a_stranger_finds_nothing_there(watched: Stand) -> None:
    client = watched.client()

    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics").json() == client.get("/api/v1/none").json()
    for token in ("", "a token", TOKEN + "x", "ä"):
        answer = client.get("/metrics", headers={b"authorization": f"Bearer {token}".encode()})
        assert answer.status_code == 404
    assert client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    watched.close()


@pytest.mark.parametrize("header", BY_PROXY)
def test_whoever_comes_by_a_proxy_on_this_machine_is_a_stranger(watched: Stand, header: str) -> None:
    assert watched.client(client=HERE).get("/metrics", headers={header: "127.0.0.1"}).status_code == 404
    watched.close()


def test_a_staff_token_is_no_token_for_metrics(watched: Stand) -> None:
    assert watched.as_role("owner").get("/metrics").status_code == 404
    watched.close()


def test_without_a_token_in_the_settings_no_token_opens_them(stand: Stand) -> None:
    assert stand.client().get("/metrics", headers={"authorization": "Bearer x"}).status_code == 404


def test_answers_are_counted_by_method_and_class_of_status(stand: Stand) -> None:
    client = stand.client(client=HERE)
    client.get("/healthz")
    client.get("/none")
    client.request("BREW", "/none")

    samples = {
        (s.labels["method"], s.labels["status"]): s.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for s in family.samples
        if s.name == "anchong_web_answers_total"
    }
    assert samples["GET", "2xx"] == 1
    assert samples["GET", "4xx"] == 1
    assert ("BREW", "4xx") not in samples
    assert samples["other", "4xx"] == 1


def test_a_live_page_is_an_open_stream_until_it_ends(stand: Stand) -> None:
    traffic = stand.app.state.traffic
    client: TestClient = stand.as_role("owner")
    seen: list[int] = []

    class Watched(dict[str, object]):
        def get(self, key: str, default: object = None) -> object:
            seen.append(traffic.streams)
            stand.app.state.logins._live.clear()  # whoever is logged out loses the stream at the next look
            return super().get(key, default)

    stand.board.views = Watched(stand.board.views)  # type: ignore[assignment]
    with client.stream("GET", "/console/live") as answer:
        assert answer.status_code == 200
        answer.read()

    assert 1 in seen
    assert traffic.streams == 0


def test_every_answer_has_a_number_and_a_proxys_own_is_kept_if_it_is_harmless(stand: Stand) -> None:
    client = stand.client()
    one, two = (client.get("/healthz").headers["x-request-id"] for _ in range(2))

    assert one != two
    assert client.get("/healthz", headers={"x-request-id": "from-nginx-77"}).headers["x-request-id"] == "from-nginx-77"
    for bad in ("short", 'x" onclick="y', "a" * 65, "two words here"):
        assert client.get("/healthz", headers={"x-request-id": bad}).headers["x-request-id"] != bad
