"""Forged, old, bent and oversized notices: only what the provider signed, now, becomes an event (attacks T1 to T23)."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from api.providers import PROVIDERS, ProviderEvent
from api.providers.sandbox import MAX_FEN, MAX_RAW, verify
from controller.core.errors import BadFrame
from simulators.provider_books import Notice
from simulators.provider_wire import webhook_headers

NOW = 1_800_000_000.0
KEY = b"a key of the tests, 32 bytes lon"
KEYS = {"k1": KEY}
PAID: dict[str, Any] = {
    "event_id": "EV0001",
    "kind": "payment",
    "merchant": "m-1",
    "app": "app-1",
    "order_no": "ORDER00001",
    "refund_no": "",
    "txn_id": "TX0001",
    "amount_fen": 200,
    "currency": "CNY",
    "state": "paid",
}
REFUNDED = PAID | {"kind": "refund", "refund_no": "ORDER00001R1", "amount_fen": 171, "state": "success"}


def body_of(**changes: Any) -> bytes:
    return json.dumps(PAID | changes).encode()


def signed(raw: bytes, at: float = NOW, key: bytes = KEY, key_id: str = "k1", *, probe: bool = False) -> dict[str, str]:
    return webhook_headers(Notice("EV0001", "", raw, at, probe=probe), key_id, key, at)


def kind_of_refusal(headers: dict[str, str], raw: bytes, now: float = NOW) -> str:
    with pytest.raises(BadFrame) as caught:
        verify(headers, raw, now, KEYS)
    return caught.value.kind


@pytest.mark.parametrize("body", [PAID, REFUNDED])
def test_a_signed_notice_becomes_an_event(body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()

    event = verify(signed(raw), raw, NOW, KEYS)

    assert event == ProviderEvent(provider="sandbox", **body)


def test_header_names_are_read_without_regard_to_case() -> None:
    raw = body_of()
    lower = {name.lower(): value for name, value in signed(raw).items()}

    assert verify(lower, raw, NOW, KEYS) == verify(Headers(signed(raw)), raw, NOW, KEYS)


def test_t1_a_notice_without_its_headers_is_refused() -> None:
    raw = body_of()

    assert kind_of_refusal({}, raw) == "signature"
    for missing in signed(raw):
        assert kind_of_refusal({k: v for k, v in signed(raw).items() if k != missing}, raw) == "signature"


def test_t2_another_key_is_refused() -> None:
    raw = body_of()

    assert kind_of_refusal(signed(raw, key=b"somebody else's"), raw) == "signature"


@given(where=st.integers(0, len(body_of()) - 1), bit=st.integers(0, 7))
def test_t3_one_flipped_bit_in_the_body_is_refused(where: int, bit: int) -> None:
    raw = bytearray(body_of())
    headers = signed(bytes(raw))
    raw[where] ^= 1 << bit

    assert kind_of_refusal(headers, bytes(raw)) == "signature"


@pytest.mark.parametrize(
    "changed",
    [
        body_of().replace(b", ", b",\r\n"),
        json.dumps(PAID, separators=(",", ":")).encode(),
        json.dumps(PAID, sort_keys=True).encode(),
        body_of() + b"\n",
        b"\xef\xbb\xbf" + body_of(),
    ],
)
def test_t4_the_same_meaning_in_other_bytes_is_refused(changed: bytes) -> None:
    assert kind_of_refusal(signed(body_of()), changed) == "signature"


@pytest.mark.parametrize("off_s", [-360, -301, 301, 360, 3600, -1_800_000_000])
def test_t5_a_stamp_off_by_more_than_five_minutes_is_stale(off_s: int) -> None:
    raw = body_of()

    assert kind_of_refusal(signed(raw, at=NOW + off_s), raw) == "stale"


def test_t5_staleness_is_found_before_any_signature_is_worked_out() -> None:
    raw = body_of()

    assert kind_of_refusal(signed(raw, at=NOW - 360, key=b"wrong"), raw) == "stale"


@pytest.mark.parametrize("off_s", [-300, -1, 0, 300])
def test_t5_a_stamp_within_five_minutes_is_good(off_s: int) -> None:
    raw = body_of()

    assert verify(signed(raw, at=NOW + off_s), raw, NOW, KEYS).order_no == "ORDER00001"


def test_t6_a_hundred_exact_replays_in_parallel_are_one_and_the_same_event() -> None:
    raw = body_of()
    headers = signed(raw)

    with ThreadPoolExecutor(8) as pool:
        events = set(pool.map(lambda _: verify(headers, raw, NOW, KEYS), range(100)))

    assert len(events) == 1


def test_t7_a_thousand_unknown_key_ids_cost_nothing_and_call_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> NoReturn:
        raise AssertionError("an outbound call")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(socket.socket, "connect", no_network)
    raw = body_of()

    started_s = time.perf_counter()
    kinds = {kind_of_refusal(signed(raw, key_id=f"k{n}x"), raw) for n in range(1000)}

    assert kinds == {"signature"}
    assert (time.perf_counter() - started_s) / 1000 < 0.005


@pytest.mark.parametrize("value", ["", "钥匙", "k" * 65, "k" * 1_000_000, "k1\n", "k1\r\nX: y", "../k1", "k 1", "\x00"])
def test_t8_a_key_id_that_is_odd_or_huge_is_refused(value: str) -> None:
    raw = body_of()

    assert kind_of_refusal(signed(raw) | {"X-Sandbox-Key-Id": value}, raw) == "signature"


@pytest.mark.parametrize("value", ["", "-1", "1e9", "nan", "1800000000.0", "１８０００００００0", "9" * 13, "9" * 5000])
def test_t8_a_timestamp_that_is_no_plain_number_is_refused(value: str) -> None:
    raw = body_of()

    assert kind_of_refusal(signed(raw) | {"X-Sandbox-Timestamp": value}, raw) == "signature"


def test_t8_a_key_id_without_a_key_is_refused() -> None:
    raw = body_of()

    with pytest.raises(BadFrame):
        verify(signed(raw, key=b""), raw, NOW, {"k1": b""})


def test_t9_a_probe_signature_is_refused_and_the_good_one_then_works() -> None:
    raw = body_of()
    probe = signed(raw, probe=True)

    assert probe["X-Sandbox-Signature"].startswith("SANDBOX/SIGNTEST/")
    assert kind_of_refusal(probe, raw) == "signature"
    assert verify(signed(raw), raw, NOW, KEYS).amount_fen == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"merchant": "somebody else"},
        {"app": "other"},
        {"amount_fen": 1},
        {"currency": "USD"},
        {"order_no": "ORDER99999"},
    ],
)
def test_t10_to_t13_what_only_our_books_can_judge_is_passed_on_unchanged(changes: dict[str, Any]) -> None:
    raw = body_of(**changes)
    event = verify(signed(raw), raw, NOW, KEYS)

    assert {name: getattr(event, name) for name in changes} == changes


def test_t15_a_body_over_64_kb_is_refused_unread() -> None:
    raw = body_of(merchant="m" * MAX_RAW)

    assert kind_of_refusal(signed(raw), raw) == "size"
    assert kind_of_refusal({}, raw) == "size"


@pytest.mark.parametrize(
    "value", ["", "zz" * 32, "==", "A" * 64, "0" * 63, "0" * 65, "0" * 100_000, "é" * 64, "０" * 64]
)
def test_t23_a_signature_that_is_not_64_hex_digits_is_refused(value: str) -> None:
    raw = body_of()

    assert kind_of_refusal(signed(raw) | {"X-Sandbox-Signature": value}, raw) == "signature"


@pytest.mark.parametrize(
    "amount", ["0", "-1", "200.0", "2e2", "1.5", "NaN", "null", "true", '"200"', "[]", str(MAX_FEN + 1), "9" * 400]
)
def test_t25_an_amount_that_is_no_small_positive_whole_number_is_malformed(amount: str) -> None:
    raw = body_of().replace(b": 200,", f": {amount},".encode())

    assert kind_of_refusal(signed(raw), raw) == "malformed"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 50_000,
        body_of()[:-1],
        body_of(extra=1),
        body_of(kind="payout"),
        body_of(state="success"),
        body_of(state="PAID"),
        body_of(refund_no="ORDER00001R1"),
        body_of(order_no="ORDER00001\n"),
        body_of(order_no="x' OR 1=1 --"),
        body_of(currency="cny"),
        body_of(merchant=""),
        body_of(merchant=None),
        body_of(event_id="e" * 65),
        json.dumps(REFUNDED | {"state": "paid"}).encode(),
        json.dumps(REFUNDED | {"refund_no": ""}).encode(),
        json.dumps({k: v for k, v in PAID.items() if k != "currency"}).encode(),
    ],
)
def test_a_well_signed_body_of_another_shape_is_malformed(raw: bytes) -> None:
    assert kind_of_refusal(signed(raw), raw) == "malformed"


@given(raw=st.binary(max_size=300))
def test_garbage_under_a_good_signature_is_malformed_and_never_an_error_of_ours(raw: bytes) -> None:
    assert kind_of_refusal(signed(raw), raw) == "malformed"


@given(headers=st.dictionaries(st.sampled_from(sorted(signed(b""))), st.text(max_size=80)), raw=st.binary(max_size=80))
def test_garbage_in_the_headers_is_refused_and_never_an_error_of_ours(headers: dict[str, str], raw: bytes) -> None:
    assert kind_of_refusal(headers, raw) in {"signature", "stale"}


def test_every_provider_has_its_verify() -> None:
    assert all(callable(module.verify) for module in PROVIDERS.values())
