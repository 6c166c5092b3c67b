"""The sandbox provider as a real process on loopback, our client to it, and its webhooks to us."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import msgspec
import pytest

from api.providers.sandbox import Sandbox, verify
from controller.clock import FastClock
from controller.core.errors import BadFrame, Refused
from controller.ports import CloseResult, OrderRequest, PaymentState, RefundRequest, RefundState, RefundView
from simulators.provider import main
from simulators.provider_books import Fault

NOW = 1_800_000_000.0
KEY = "a key of the tests, 32 bytes lon"
TOKEN = "a control token of the tests"
FACTOR = 60.0  # the first retry, 15 s, then comes after a quarter of a second
CONTROL = {"X-Sandbox-Token": TOKEN}


class Sandpit:
    """The provider's process, our client to it, and a merchant's endpoint that keeps what it is sent."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, clock: FastClock, hooks: "Hooks") -> None:
        self.process, self.url, self.clock, self.hooks = process, url, clock, hooks
        self.http = httpx2.Client(base_url=url, trust_env=False, timeout=10.0)
        self.clients: list[Sandbox] = []
        self.ours = self.client()

    def client(self, key: str = KEY, read_s: float = 10.0) -> Sandbox:
        client = Sandbox(self.url, "sandbox-1", key.encode(), self.at, simulator=True, read_s=read_s)
        self.clients.append(client)
        return client

    def shut(self) -> None:
        for client in self.clients:
            client.shut()
        self.http.close()
        self.hooks.server.shutdown()
        self.hooks.server.server_close()
        self.process.terminate()

    def at(self) -> float:
        return self.clock.now().at

    def order(self, order_no: str, amount_fen: int = 200) -> OrderRequest:
        return OrderRequest(
            order_no=order_no,
            amount_fen=amount_fen,
            merchant="m-1",
            app="app-1",
            description="Garden <1>, outlet 3",
            notify_url=f"{self.hooks.url}/{order_no}",
            return_url=f"{self.hooks.url}/o/{order_no}?key=s",
            expires_at=NOW + 10 * 365 * 86_400,
        )

    def control(self, action: str, **what: Any) -> None:
        assert self.http.post(f"/__sim/{action}", json=what, headers=CONTROL).status_code == 204

    def paid(self, order_no: str) -> None:
        self.ours.create(self.order(order_no))
        self.control("pay", order_no=order_no)
        self.hooks.next(order_no)

    def books(self) -> dict[str, Any]:
        books: dict[str, Any] = self.http.get("/books", headers=CONTROL).json()
        return books


class Hooks:
    """A merchant's endpoint: one queue of arrivals a path; answers 204 unless told otherwise."""

    def __init__(self) -> None:
        self.arrivals: dict[str, queue.Queue[tuple[dict[str, str], bytes]]] = {}
        self.answers: dict[str, list[int]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self, order_no: str) -> tuple[dict[str, str], bytes]:
        return self.queue(f"/{order_no}").get(timeout=10)

    def queue(self, path: str) -> "queue.Queue[tuple[dict[str, str], bytes]]":
        return self.arrivals.setdefault(path, queue.Queue())

    def _handler(hooks) -> type[BaseHTTPRequestHandler]:  # noqa: N805  `self` is the handler's below
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                answers = hooks.answers.get(self.path) or [204]
                self.send_response(answers.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()
                hooks.queue(self.path).put((dict(self.headers), raw))

            def log_message(self, *_: Any) -> None:
                return

        return Handler


@pytest.fixture(scope="module")
def pit() -> Iterator[Sandpit]:
    origin = time.time()
    command = [sys.executable, "-m", "simulators.provider", "--factor", str(FACTOR), "--origin", repr(origin)]
    secrets = {"ANCHONG_SANDBOX_KEY": KEY, "ANCHONG_SANDBOX_TOKEN": TOKEN}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | secrets) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        pit = Sandpit(process, url, FastClock(FACTOR, origin), Hooks())
        yield pit
        pit.shut()


def test_an_order_is_paid_on_its_page_and_the_webhook_verifies(pit: Sandpit) -> None:
    page = pit.ours.create(pit.order("PAGE000001"))
    shown = pit.http.get(page.url)
    clicked = pit.http.post(page.url, data={"choice": "pay"})
    headers, raw = pit.hooks.next("PAGE000001")

    assert "¥2.00" in shown.text
    assert "Garden &lt;1&gt;" in shown.text
    assert "<script" not in shown.text
    assert clicked.status_code == 303
    assert clicked.headers["Location"] == pit.order("PAGE000001").return_url
    event = verify(headers, raw, pit.at(), {"sandbox-1": KEY.encode()})
    assert (event.order_no, event.amount_fen, event.state, event.currency) == ("PAGE000001", 200, "paid", "CNY")
    view = pit.ours.query("PAGE000001")
    assert (view.state, view.txn_id, view.amount_fen) == (PaymentState.PAID, event.txn_id, 200)


def test_t62_the_page_leads_back_only_to_the_address_given_with_the_order(pit: Sandpit) -> None:
    page = pit.ours.create(pit.order("BACK000001"))

    shown = pit.http.get(page.url, params={"return_url": "https://evil.example/"})
    clicked = pit.http.post(
        page.url,
        params={"return_url": "https://evil.example/"},
        data={"choice": "cancel", "return_url": "https://evil.example/"},
    )

    assert "evil" not in shown.text
    assert shown.headers["Referrer-Policy"] == "no-referrer"
    assert f"form-action 'self' {pit.hooks.url};" in shown.headers["Content-Security-Policy"] + ";"
    assert clicked.headers["Location"] == pit.order("BACK000001").return_url
    assert pit.ours.query("BACK000001").state is PaymentState.OPEN


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "ftp://x/yy", "http://a b/", "http://[x/yyy"])
def test_t62_an_order_with_an_odd_return_address_is_refused(pit: Sandpit, url: str) -> None:
    page = pit.ours.create(msgspec.structs.replace(pit.order("ODDURL0001"), return_url=url))

    assert (page.url, page.state, page.code) == ("", PaymentState.FAILED, "PARAM_ERROR")


def test_create_again_gives_the_same_page_and_another_amount_is_refused(pit: Sandpit) -> None:
    first = pit.ours.create(pit.order("TWICE00001"))

    assert pit.ours.create(pit.order("TWICE00001")) == first
    assert pit.ours.create(pit.order("TWICE00001", amount_fen=100)).code == "PARAM_DIFFERS"


@pytest.mark.parametrize("fault", [Fault.EFFECT_THEN_TIMEOUT, Fault.LOSE_REQUEST, Fault.SERVER_ERROR])
def test_t31_a_create_that_was_not_answered_is_unknown_and_goes_through_under_its_number(
    pit: Sandpit, fault: Fault
) -> None:
    order = pit.order(f"LOST_{fault}")
    pit.control("arm", fault=fault)

    assert pit.client(read_s=0.2).create(order).state is PaymentState.UNKNOWN
    assert pit.ours.create(order).state is PaymentState.OPEN
    assert list(pit.books()["orders"]).count(order.order_no) == 1


@pytest.mark.parametrize("fault", [Fault.EFFECT_THEN_TIMEOUT, Fault.LOSE_REQUEST, Fault.SERVER_ERROR])
def test_t31_a_refund_that_was_not_answered_is_unknown_and_refunds_once_under_its_number(
    pit: Sandpit, fault: Fault
) -> None:
    order_no = f"BACK_{fault}"
    pit.paid(order_no)
    request = RefundRequest(order_no=order_no, refund_no=f"{order_no}R1", amount_fen=171, total_fen=200)
    pit.control("arm", fault=fault)

    assert pit.client(read_s=0.2).refund(request).state is RefundState.UNKNOWN
    assert pit.ours.refund(request).state in {RefundState.ACCEPTED, RefundState.SUCCESS}
    _, raw = pit.hooks.next(order_no)
    assert json.loads(raw)["state"] == "success"
    assert pit.ours.refund(request) == RefundView(RefundState.SUCCESS)
    assert pit.ours.query(request.refund_no).state is PaymentState.REFUNDED
    assert pit.books()["orders"][order_no]["refunded_fen"] == 171


def test_a_refused_refund_says_why(pit: Sandpit) -> None:
    pit.paid("REFUSE0001")
    request = RefundRequest(order_no="REFUSE0001", refund_no="REFUSE0001R1", amount_fen=201, total_fen=200)

    assert pit.ours.refund(request) == RefundView(RefundState.REJECTED, "OVER_REFUND")
    pit.control("arm", fault=Fault.REFUND_ABNORMAL)
    good = msgspec.structs.replace(request, amount_fen=1)
    pit.ours.refund(good)
    pit.hooks.next("REFUSE0001")
    assert pit.ours.refund(good) == RefundView(RefundState.REJECTED, "ABNORMAL")
    view = pit.ours.query("REFUSE0001R1")
    assert (view.state, view.code) == (PaymentState.FAILED, "ABNORMAL")


def test_a_number_the_provider_never_saw_is_unknown_and_said_to_be_absent(pit: Sandpit) -> None:
    view = pit.ours.query("NEVER00001")

    assert (view.state, view.code) == (PaymentState.UNKNOWN, "NOT_FOUND")
    assert pit.ours.close("NEVER00001") is CloseResult.CLOSED


def test_close_tells_closed_paid_and_the_race_apart(pit: Sandpit) -> None:
    for order_no in ("CLOSE00001", "CLOSE00002", "CLOSE00003"):
        pit.ours.create(pit.order(order_no))
    pit.control("pay", order_no="CLOSE00002")
    pit.control("pay_while_closing", order_no="CLOSE00003")

    assert pit.ours.close("CLOSE00001") is CloseResult.CLOSED
    assert pit.ours.close("CLOSE00001") is CloseResult.CLOSED
    assert pit.ours.close("CLOSE00002") is CloseResult.PAID
    assert pit.ours.close("CLOSE00003") is CloseResult.UNKNOWN
    assert pit.ours.query("CLOSE00003").state is PaymentState.PAID


def test_a_webhook_comes_again_with_a_fresh_stamp_and_signature_until_it_is_accepted(pit: Sandpit) -> None:
    pit.hooks.answers["/RETRY00001"] = [500, 404, 204]
    pit.ours.create(pit.order("RETRY00001"))
    pit.control("pay", order_no="RETRY00001")

    tries = [pit.hooks.next("RETRY00001") for _ in range(3)]

    assert len({raw for _, raw in tries}) == 1
    assert len({headers["x-sandbox-signature"] for headers, _ in _lowered(tries)}) == 3
    assert len({headers["x-sandbox-timestamp"] for headers, _ in _lowered(tries)}) == 3
    assert all(verify(headers, raw, pit.at(), {"sandbox-1": KEY.encode()}) for headers, raw in _lowered(tries))


def test_t9_a_probe_is_refused_by_us_and_followed_by_the_good_one(pit: Sandpit) -> None:
    pit.hooks.answers["/PROBE00001"] = [401, 204]
    pit.ours.create(pit.order("PROBE00001"))
    pit.control("arm", fault=Fault.PROBE_WEBHOOK)
    pit.control("pay", order_no="PROBE00001")

    (bad, raw), (good, _) = _lowered([pit.hooks.next("PROBE00001") for _ in range(2)])

    assert bad["x-sandbox-signature"].startswith("SANDBOX/SIGNTEST/")
    with pytest.raises(BadFrame):
        verify(bad, raw, pit.at(), {"sandbox-1": KEY.encode()})
    assert verify(good, raw, pit.at(), {"sandbox-1": KEY.encode()}).order_no == "PROBE00001"


def test_the_provider_refuses_what_is_unsigned_signed_by_another_or_sent_again(pit: Sandpit) -> None:
    order = pit.order("FORGED0001")
    headers = pit.ours._headers("GET", "/v1/orders/FORGED0001", b"")

    assert pit.http.post("/v1/orders", content=b"{}").status_code == 401
    assert pit.client(key="another key").create(order).state is PaymentState.UNKNOWN
    assert pit.http.get("/v1/orders/FORGED0001", headers=headers).status_code == 404
    assert pit.http.get("/v1/orders/FORGED0001", headers=headers).status_code == 401
    assert "FORGED0001" not in pit.books()["orders"]


def test_books_and_control_plane_are_shut_without_the_token(pit: Sandpit) -> None:
    assert pit.http.get("/books").status_code == 404
    assert pit.http.post("/__sim/pay", json={"order_no": "X00000"}).status_code == 404
    assert pit.http.post("/__sim/pay", json={}, headers={"X-Sandbox-Token": "wrong"}).status_code == 404


def test_a_provider_that_is_not_there_is_an_unknown_outcome_and_no_exception() -> None:
    nobody = Sandbox("http://127.0.0.1:9", "k", b"k", lambda: NOW, simulator=True)
    request = RefundRequest(order_no="ORDER00001", refund_no="ORDER00001R1", amount_fen=1, total_fen=2)

    assert nobody.query("ORDER00001").state is PaymentState.UNKNOWN
    assert nobody.close("ORDER00001") is CloseResult.UNKNOWN
    assert nobody.refund(request) == RefundView(RefundState.UNKNOWN)
    nobody.shut()


@pytest.mark.parametrize(
    ("url", "simulator"),
    [
        ("http://pay.example", True),
        ("http://127.0.0.1:8089", False),
        ("http://127.0.0.1.evil.example", True),
        ("http://192.168.1.2", True),
        ("ftp://127.0.0.1", True),
        ("https://", True),
        ("", True),
    ],
)
def test_t72_plain_http_is_refused_unless_a_simulator_on_this_machine_is_meant(url: str, simulator: bool) -> None:
    with pytest.raises(Refused):
        Sandbox(url, "k", b"k", lambda: NOW, simulator=simulator)


def _lowered(tries: list[tuple[dict[str, str], bytes]]) -> list[tuple[dict[str, str], bytes]]:
    return [({name.lower(): value for name, value in headers.items()}, raw) for headers, raw in tries]


@pytest.mark.parametrize(
    "flags",
    [
        ["--key", "short"],
        ["--key", KEY, "--factor", "0"],
        ["--key", KEY, "--port", "99999"],
        ["--key", KEY, "--port", "x"],
    ],
)
def test_bad_flags_are_one_clear_line_and_exit_code_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(flags)

    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("python -m simulators.provider: error: ")
