"""Notices of money: believed only when signed, asked at the door once each, acknowledged only after the commit."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from api import door
from controller.core.errors import Refused
from controller.core.events import PaymentConfirmed, RefundConfirmed
from controller.core.state import Order
from tests.api.stand import AT, PROVIDER_KEYS, Stand

NOTICE: dict[str, Any] = {
    "event_id": "event-1",
    "kind": "payment",
    "merchant": "shop",
    "app": "app",
    "order_no": "order-here",
    "refund_no": "",
    "txn_id": "txn-here",
    "amount_fen": 200,
    "currency": "CNY",
    "state": "paid",
}
REFUND = {**NOTICE, "event_id": "event-2", "kind": "refund", "refund_no": "refund-here", "state": "success"}


def sent(client: TestClient, notice: dict[str, Any], key: bytes = PROVIDER_KEYS["k1"], at: float = AT) -> Any:
    raw = json.dumps(notice).encode()
    signature = hmac.new(key, f"{int(at)}\nnonce1\n".encode() + raw + b"\n", hashlib.sha256).hexdigest()
    headers = {
        "X-Sandbox-Timestamp": str(int(at)),
        "X-Sandbox-Nonce": "nonce1",
        "X-Sandbox-Key-Id": "k1",
        "X-Sandbox-Signature": signature,
    }
    return client.post("/webhooks/sandbox", content=raw, headers=headers)


def test_a_payment_is_asked_at_the_door_with_what_the_books_know(stand: Stand) -> None:
    assert sent(stand.client(), NOTICE).status_code == 204
    event = stand.door.last
    assert isinstance(event, PaymentConfirmed)
    assert (event.order, event.txn, event.amount_fen, event.currency) == ("order-here", "txn-here", 200, "CNY")
    assert (event.at, event.key) == (AT, "sandbox:event-1")
    found = stand.door.found[-1]
    assert found is not None
    assert isinstance(found["order"], Order)
    assert "entry" in found


def test_a_refund_is_asked_at_the_door(stand: Stand) -> None:
    assert sent(stand.client(), REFUND).status_code == 204
    event = stand.door.last
    assert isinstance(event, RefundConfirmed)
    assert (event.refund, event.state) == ("refund-here", "success")


def test_the_same_notice_twice_carries_the_same_key(stand: Stand) -> None:
    client = stand.client()
    assert {sent(client, NOTICE).status_code for _ in range(3)} == {204}
    assert len({event.key for event in stand.door.events if isinstance(event, PaymentConfirmed)}) == 1


def test_a_forged_notice_reaches_nobody(stand: Stand) -> None:
    client = stand.client()
    answers: list[Any] = [
        client.post("/webhooks/sandbox", json=NOTICE),
        sent(client, NOTICE, key=b"another key"),
        sent(client, NOTICE, at=AT - 360),
        sent(client, NOTICE, at=AT + 360),
    ]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert stand.door.events == []


def test_a_signed_notice_for_somebody_else_reaches_nobody(stand: Stand) -> None:
    client = stand.client()
    for other in ({"merchant": "another"}, {"app": "another"}):
        assert sent(client, {**NOTICE, **other}).status_code == 403
    assert stand.door.events == []


def test_a_signed_piece_of_nonsense_is_not_understood(stand: Stand) -> None:
    client = stand.client()
    for wrong in ({"amount_fen": -1}, {"amount_fen": 1.5}, {"amount_fen": 10**12}, {"more": 1}, {"currency": "¥"}):
        assert sent(client, {**NOTICE, **wrong}).status_code == 400, wrong
    assert stand.door.events == []


@pytest.mark.parametrize("provider", ["nobody", "Sandbox", "__init__", "event"])
def test_an_unknown_provider_is_not_there(stand: Stand, provider: str) -> None:
    assert stand.client().post(f"/webhooks/{provider}", json=NOTICE).status_code == 404


@pytest.mark.parametrize("keys", [{}, {"k1": b""}])
def test_without_a_secret_there_is_no_provider(tmp_path: Any, keys: dict[str, bytes]) -> None:
    stand = Stand(tmp_path, provider_keys=keys)
    assert sent(stand.client(), NOTICE, key=b"").status_code == 404
    stand.close()


@pytest.mark.parametrize("code", ["unknown_order", "conflict", "expired"])
def test_a_refusal_of_the_books_is_final(stand: Stand, code: str) -> None:
    stand.door.answers[PaymentConfirmed] = Refused(code)
    assert sent(stand.client(), NOTICE).status_code == 204


@pytest.mark.parametrize("code", ["overloaded", "database_away"])
def test_a_notice_that_could_not_be_taken_comes_again(stand: Stand, code: str) -> None:
    stand.door.answers[PaymentConfirmed] = Refused(code)
    assert sent(stand.client(), NOTICE).status_code == 503


def test_without_an_answer_in_time_it_comes_again(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ASK_S", 0.02)
    stand.door.answers[PaymentConfirmed] = None
    answer = sent(stand.client(), NOTICE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_a_bug_of_ours_is_not_acknowledged(stand: Stand) -> None:
    stand.door.answers[PaymentConfirmed] = RuntimeError("fenced")
    assert sent(stand.client(), NOTICE).status_code == 500


def test_a_closed_payment_moves_nothing(stand: Stand) -> None:
    assert sent(stand.client(), {**NOTICE, "state": "closed"}).status_code in (204, 400)
    assert stand.door.events == []
