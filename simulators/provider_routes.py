"""The sandbox provider's HTTP: the merchant's calls, the payer's page, and a control plane for faults."""

import asyncio
import hmac
from collections.abc import Callable
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec
from fastapi import FastAPI, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from controller.core.errors import BadFrame, Refused
from simulators.provider_books import Books, Fault, Order, OrderState, OrderWish, Refund, RefundState, RefundWish
from simulators.provider_page import CSS, message_page, page_headers, pay_page
from simulators.provider_wire import RequestCheck

MAX_BODY = 65_536  # no request of ours comes near
HANG_S = 30.0  # real seconds: longer than any client waits
STATUS = {
    "PARAM_ERROR": 400,
    "ORDER_PAID": 400,
    "ORDER_CLOSED": 400,
    "USER_PAYING": 202,
    "NOT_ENOUGH": 403,
    "OVER_REFUND": 403,
    "ORDER_NOT_EXIST": 404,
    "RESOURCE_NOT_EXISTS": 404,
    "PARAM_DIFFERS": 409,
}


T = TypeVar("T")


class Access(Protocol):
    @property
    def token(self) -> str: ...

    @property
    def public_url(self) -> str: ...


class Desk(Protocol):
    """What the routes need of the process."""

    books: Books
    check: RequestCheck
    news: asyncio.Event

    @property
    def settings(self) -> Access: ...

    def at(self) -> float: ...


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the control plane may be asked; each action uses what it needs."""

    order_no: str = ""
    refund_no: str = ""
    state: RefundState = RefundState.SUCCESS
    fault: Fault | None = None
    times: int = 1
    late: bool = False


def add_routes(web: FastAPI, desk: Desk) -> None:
    web.add_exception_handler(Refused, _refused)
    web.add_exception_handler(BadFrame, _bad)
    _add_merchant_routes(web, desk)
    _add_payer_routes(web, desk)
    _add_control_routes(web, desk)


def _add_merchant_routes(web: FastAPI, desk: Desk) -> None:
    books = desk.books

    @web.post("/v1/orders")
    async def create(request: Request) -> Response:
        wish = _parsed(await _signed(request, desk), OrderWish)
        _check_urls(wish)
        return await _with_faults(desk, lambda: _order(books.create(wish, desk.at()), desk))

    @web.get("/v1/orders/{order_no}")
    async def query(order_no: str, request: Request) -> Response:
        await _signed(request, desk)
        return _json(_order(books.order(order_no, desk.at()), desk))

    @web.post("/v1/orders/{order_no}/close")
    async def close(order_no: str, request: Request) -> Response:
        await _signed(request, desk)
        return await _with_faults(desk, lambda: _order(books.close(order_no, desk.at()), desk))

    @web.post("/v1/refunds")
    async def refund(request: Request) -> Response:
        wish = _parsed(await _signed(request, desk), RefundWish)
        return await _with_faults(desk, lambda: _refund(books.refund(wish, desk.at())))

    @web.get("/v1/refunds/{refund_no}")
    async def refund_query(refund_no: str, request: Request) -> Response:
        await _signed(request, desk)
        return _json(_refund(books.refund_of(refund_no, desk.at())))


def _add_payer_routes(web: FastAPI, desk: Desk) -> None:
    books = desk.books

    @web.get("/pay.css")
    async def css() -> Response:
        return Response(CSS, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    @web.get("/pay/{order_no}")
    async def show(order_no: str) -> Response:
        if order_no not in books.orders:
            return HTMLResponse(message_page("没有这个订单 · No such order"), 404, page_headers())
        order = books.order(order_no, desk.at())
        return HTMLResponse(pay_page(order), headers=page_headers(order.wish.return_url))

    @web.post("/pay/{order_no}")
    async def choose(order_no: str, choice: Annotated[str, Form()]) -> Response:
        """Leads back only to the address the merchant gave with the order, whatever the request says."""
        order = books.order(order_no, desk.at())
        if choice == "pay" and order.state is OrderState.CLOSED:
            return RedirectResponse(f"/pay/{order_no}", 303)
        if choice == "pay":
            order = books.pay(order_no, desk.at())
            desk.news.set()
        return RedirectResponse(order.wish.return_url, 303, page_headers(order.wish.return_url))


def _add_control_routes(web: FastAPI, desk: Desk) -> None:
    books, settings = desk.books, desk.settings
    actions: dict[str, Callable[[Control], object]] = {
        "pay": lambda c: books.pay(c.order_no, desk.at(), late=c.late),
        "pay_while_closing": lambda c: books.pay_while_closing(c.order_no, desk.at()),
        "settle_refund": lambda c: books.settle_refund(c.refund_no, c.state, desk.at()),
        "arm": lambda c: books.arm(c.fault, c.times) if c.fault else None,
    }

    def allowed(request: Request) -> bool:
        token = request.headers.get("X-Sandbox-Token", "")
        return bool(settings.token) and hmac.compare_digest(token.encode(), settings.token.encode())

    @web.post("/__sim/{action}")
    async def control(action: str, request: Request) -> Response:
        if not allowed(request) or action not in actions:
            return Response(status_code=404)
        actions[action](_parsed(await _body(request), Control))
        desk.news.set()
        return Response(status_code=204)

    @web.get("/books")
    async def summary(request: Request) -> Response:
        if not allowed(request):
            return Response(status_code=404)
        books.tick(desk.at())
        return _json(books.summary())


async def _with_faults(desk: Desk, effect: Callable[[], dict[str, Any]]) -> Response:
    books = desk.books
    if books.take(Fault.LOSE_REQUEST):
        return await _no_answer()
    try:
        answer = effect()
    finally:
        desk.news.set()
    if books.take(Fault.EFFECT_THEN_TIMEOUT):
        return await _no_answer()
    return Response(status_code=500) if books.take(Fault.SERVER_ERROR) else _json(answer)


async def _no_answer() -> Response:
    await asyncio.sleep(HANG_S)
    return Response(status_code=504)


async def _signed(request: Request, desk: Desk) -> bytes:
    raw = await _body(request)
    desk.check.check(request.headers, request.method, request.url.path, raw, desk.at())
    return raw


async def _body(request: Request) -> bytes:
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            raise BadFrame("size")
    return raw


def _parsed(raw: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise Refused("PARAM_ERROR", str(wrong)) from wrong


def _check_urls(wish: OrderWish) -> None:
    for url in (wish.notify_url, wish.return_url):
        try:
            parts = urlsplit(url)
        except ValueError as wrong:
            raise Refused("PARAM_ERROR", "not an address") from wrong
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or not url.isprintable()
            or set(url) & set(" \"';")
        ):
            raise Refused("PARAM_ERROR", "notify_url and return_url are absolute http addresses")


def _order(order: Order, desk: Desk) -> dict[str, Any]:
    return {
        "order_no": order.wish.order_no,
        "state": order.state,
        "amount_fen": order.wish.amount_fen,
        "txn_id": order.txn_id,
        "pay_url": f"{desk.settings.public_url.rstrip('/')}/pay/{order.wish.order_no}",
    }


def _refund(refund: Refund) -> dict[str, Any]:
    wish = refund.wish
    return {
        "refund_no": wish.refund_no,
        "order_no": wish.order_no,
        "state": refund.state,
        "amount_fen": wish.amount_fen,
    }


def _json(answer: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


async def _refused(_: Request, wrong: Exception) -> Response:
    code = getattr(wrong, "code", "PARAM_ERROR")
    return _json({"code": code, "message": str(wrong)}, STATUS.get(code, 400))


async def _bad(_: Request, wrong: Exception) -> Response:
    kind = getattr(wrong, "kind", "")
    return _json({"code": "SIGN_ERROR" if kind != "size" else "PARAM_ERROR"}, 413 if kind == "size" else 401)
