"""The sandbox provider from our side: a client that never guesses an outcome, and the check of what it sends us."""

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import quote, urlsplit

import httpx2
import msgspec

from api.providers.event import EventKind, EventState, ProviderEvent
from controller.core.errors import BadFrame, Refused
from controller.ports import (
    CloseResult,
    OrderRequest,
    PaymentState,
    PaymentView,
    PayPage,
    RefundRequest,
    RefundState,
    RefundView,
)

NAME = "sandbox"
CONNECT_S = 3.0
READ_S = 10.0
MAX_ANSWER = 65_536
MAX_RAW = 65_536  # no notice comes near; more is an attack on memory
TOLERANCE_S = 300  # older or newer is a replay, or a clock that must not be trusted
MAX_FEN = 10_000_000  # 100,000 yuan: far over any charge, far under what overflows

_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_TOKEN = re.compile(r"[0-9A-Za-z_.\-]{1,64}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Sandbox:
    """A PaymentProvider; may be called from several threads."""

    def __init__(
        self,
        base_url: str,
        key_id: str,
        key: bytes,
        at: Callable[[], float],
        *,
        simulator: bool = False,
        connect_s: float = CONNECT_S,
        read_s: float = READ_S,
    ) -> None:
        _check_base(base_url, simulator=simulator)
        self._key_id, self._key, self._at = key_id, key, at
        timeout = httpx2.Timeout(read_s, connect=connect_s)
        self._http = httpx2.Client(base_url=base_url, timeout=timeout, trust_env=False, follow_redirects=False)

    def create(self, order: OrderRequest) -> PayPage:
        answer = self._call("POST", "/v1/orders", {"currency": "CNY", **msgspec.structs.asdict(order)})
        if answer.status == httpx2.codes.OK and _is_web(answer.pay_url):
            state = _ORDER_STATES.get(answer.state, PaymentState.UNKNOWN)
            return PayPage(answer.pay_url if state is PaymentState.OPEN else "", state)
        return PayPage("", PaymentState.FAILED if answer.refused else PaymentState.UNKNOWN, answer.code)

    def query(self, number: str) -> PaymentView:
        path_no = quote(number, safe="")
        answer = self._call("GET", f"/v1/orders/{path_no}")
        if answer.code != "ORDER_NOT_EXIST":
            return _view(number, answer, _ORDER_STATES)
        answer = self._call("GET", f"/v1/refunds/{path_no}")
        if answer.code != "RESOURCE_NOT_EXISTS":
            return _view(number, answer, _REFUND_VIEWS)
        return PaymentView(number=number, state=PaymentState.UNKNOWN, code="NOT_FOUND")

    def close(self, order_no: str) -> CloseResult:
        """A number the provider never saw counts as closed: nobody can pay it."""
        answer = self._call("POST", f"/v1/orders/{quote(order_no, safe='')}/close")
        if answer.code == "ORDER_PAID":
            return CloseResult.PAID
        if answer.state == "closed" or answer.code in {"ORDER_CLOSED", "ORDER_NOT_EXIST"}:
            return CloseResult.CLOSED
        return CloseResult.UNKNOWN

    def refund(self, request: RefundRequest) -> RefundView:
        body = msgspec.structs.asdict(request)
        del body["txn_id"]  # the sandbox goes by the order's number
        answer = self._call("POST", "/v1/refunds", body)
        if answer.status == httpx2.codes.OK and answer.state in _REFUND_STATES:
            return _REFUND_STATES[answer.state]
        return RefundView(RefundState.REJECTED if answer.refused else RefundState.UNKNOWN, answer.code)

    def shut(self) -> None:
        self._http.close()

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> "_Answer":
        raw = b"" if body is None else msgspec.json.encode(body)
        try:
            answer = self._http.request(method, path, content=raw, headers=self._headers(method, path, raw))
            return _read(answer.status_code, answer.content)
        except (httpx2.RequestError, httpx2.InvalidURL):
            return _Answer(status=0)

    def _headers(self, method: str, path: str, raw: bytes) -> dict[str, str]:
        timestamp, nonce = str(int(self._at())), secrets.token_hex(16)
        signed = f"{method}\n{path}\n{timestamp}\n{nonce}\n".encode() + raw + b"\n"
        return {
            "X-Sandbox-Timestamp": timestamp,
            "X-Sandbox-Nonce": nonce,
            "X-Sandbox-Key-Id": self._key_id,
            "X-Sandbox-Signature": hmac.new(self._key, signed, hashlib.sha256).hexdigest(),
            "Content-Type": "application/json",
        }


def verify(headers: Mapping[str, str], raw: bytes, now: float, keys: Mapping[str, bytes]) -> ProviderEvent:
    """BadFrame size, stale, signature or malformed; asks nobody anything. The cheap refusals come first."""
    if len(raw) > MAX_RAW:
        raise BadFrame("size", "a notice is at most 64 KB")
    timestamp, nonce, key_id, signature = _signed_headers(headers)
    if abs(now - int(timestamp)) > TOLERANCE_S:
        raise BadFrame("stale", "timestamp outside the tolerance")
    key = keys.get(key_id)
    if not key:
        raise BadFrame("signature", "unknown key id")
    good = hmac.new(key, f"{timestamp}\n{nonce}\n".encode() + raw + b"\n", hashlib.sha256).hexdigest()
    if not hmac.compare_digest(good, signature):
        raise BadFrame("signature", "not signed with our key")
    return _event(raw)


Number = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_\-]{6,64}\Z")]
Token = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_.\-]{1,64}\Z")]


class _Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    event_id: Token
    kind: EventKind
    merchant: Annotated[str, msgspec.Meta(min_length=1, max_length=127)]
    app: Annotated[str, msgspec.Meta(min_length=1, max_length=127)]
    order_no: Number
    refund_no: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_\-]{0,64}\Z")]
    txn_id: Token
    amount_fen: Annotated[int, msgspec.Meta(ge=1, le=MAX_FEN)]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]
    state: EventState


def _signed_headers(headers: Mapping[str, str]) -> tuple[str, str, str, str]:
    timestamp, nonce, key_id, signature = (
        _header(headers, name, shape)
        for name, shape in (("Timestamp", _TIMESTAMP), ("Nonce", _TOKEN), ("Key-Id", _TOKEN), ("Signature", _SIGNATURE))
    )
    return timestamp, nonce, key_id, signature


def _header(headers: Mapping[str, str], name: str, shape: re.Pattern[str]) -> str:
    full = f"X-Sandbox-{name}"
    value = headers.get(full) or headers.get(full.lower()) or ""
    if not shape.fullmatch(value):
        raise BadFrame("signature", f"{full} is missing or not of its form")
    return value


def _event(raw: bytes) -> ProviderEvent:
    try:
        notice = msgspec.json.decode(raw, type=_Notice)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise BadFrame("malformed", str(wrong)) from wrong
    refund = notice.kind is EventKind.REFUND
    if refund is not bool(notice.refund_no) or refund is (notice.state is EventState.PAID):
        raise BadFrame("malformed", "kind, refund_no and state do not go together")
    return ProviderEvent(provider=NAME, **msgspec.structs.asdict(notice))


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back; status 0 is "nothing we can rely on"."""

    status: int = 0
    code: str = ""
    state: str = ""
    amount_fen: int = 0
    txn_id: str = ""
    pay_url: str = ""

    @property
    def refused(self) -> bool:
        """A refusal that says so; anything else may have had its effect."""
        return self.status in _FINAL and self.code != ""


_FINAL = frozenset({400, 403, 404, 409})  # 401 is our key or our clock: mended, the same number goes through

_ORDER_STATES = {"open": PaymentState.OPEN, "paid": PaymentState.PAID, "closed": PaymentState.CLOSED}
_REFUND_STATES = {
    "processing": RefundView(RefundState.ACCEPTED),
    "success": RefundView(RefundState.SUCCESS),
    "closed": RefundView(RefundState.REJECTED, "CLOSED"),
    "abnormal": RefundView(RefundState.REJECTED, "ABNORMAL"),
}
_REFUND_VIEWS = {
    "processing": PaymentState.REFUNDING,
    "success": PaymentState.REFUNDED,
    "closed": PaymentState.FAILED,
    "abnormal": PaymentState.FAILED,
}


def _read(status: int, content: bytes) -> _Answer:
    if len(content) > MAX_ANSWER:
        return _Answer()
    try:
        return msgspec.structs.replace(msgspec.json.decode(content, type=_Answer), status=status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Answer()


def _view(number: str, answer: _Answer, states: Mapping[str, PaymentState]) -> PaymentView:
    if answer.status != httpx2.codes.OK or answer.state not in states:
        return PaymentView(number=number, state=PaymentState.UNKNOWN, code=answer.code)
    state = states[answer.state]
    code = answer.state.upper() if state is PaymentState.FAILED else ""
    return PaymentView(number=number, state=state, amount_fen=answer.amount_fen, txn_id=answer.txn_id, code=code)


def _check_base(base_url: str, *, simulator: bool) -> None:
    parts = urlsplit(base_url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and simulator and _is_loopback(parts.hostname or ""):
        return
    raise Refused("provider_address", "a provider is reached by https; plain http only to a simulator on this machine")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))
