"""Errands: calls to payment providers, one wish a slot, repeated with the same number until they are known to be done.

Nothing here changes state: what was learnt goes back through the one door as an event.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog

from controller.clock import Clock
from controller.core import effects as fx
from controller.core import events as ev
from controller.ports import (
    CloseResult,
    OrderRequest,
    PaymentProvider,
    PaymentState,
    RefundRequest,
    RefundState,
)
from controller.wishes import Wishes

log = structlog.get_logger()

BACK_OFF_S = (2.0, 5.0, 15.0, 60.0, 120.0, 300.0, 600.0)
REFUND_LATER_S = 30.0
QUERY_AGAIN_S = (10.0, 30.0, 120.0, 300.0)


class Account(msgspec.Struct, frozen=True):
    """Where a provider's money goes and comes back: what every call to it carries."""

    provider: str
    merchant: str
    app: str
    notify_url: str
    return_url: str  # with `{order}`


Tell = Callable[[ev.Event], None]


class Outbox:
    """Wishes by due time; `run_due` carries out what is due and tells what came of it."""

    def __init__(
        self, providers: Mapping[str, PaymentProvider], accounts: Mapping[str, Account], clock: Clock, tell: Tell
    ) -> None:
        self._providers = providers
        self._accounts = accounts
        self._clock = clock
        self._tell = tell
        self._wishes = Wishes()
        self.put = self._wishes.put
        self.next_due_at = self._wishes.next_due_at

    def waiting(self, at: float) -> dict[str, tuple[int, float]]:
        """By kind: how many wishes wait, and for how many seconds the oldest of them has been due."""
        found: dict[str, tuple[int, float]] = dict.fromkeys(_ERRANDS, (0, 0.0))
        for wish in self._wishes.all():
            count, oldest_s = found[wish.kind]
            found[wish.kind] = (count + 1, max(oldest_s, at - wish.not_before))
        return found

    def run_due(self) -> int:
        """Carries out every wish that is due; returns how many."""
        return self._wishes.run_due(self._clock, self._carry_out)

    def _carry_out(self, wish: fx.Wish, attempts: int) -> None:
        try:
            provider = self._providers[str(wish.payload["provider"])]
            account = self._accounts[str(wish.payload["provider"])]
            again_s = _ERRANDS[wish.kind](self, provider, account, wish.payload, attempts)
        except Exception as error:
            log.error("errand failed", slot=wish.slot, order=wish.payload.get("order"), exc_info=error)
            again_s = _back_off(attempts)
        log.debug("errand", slot=wish.slot, order=wish.payload.get("order"), attempts=attempts, again_s=again_s)
        self._ended(wish, attempts, again_s)

    def _ended(self, wish: fx.Wish, attempts: int, again_s: float | None) -> None:
        now = self._clock.now()
        if self._wishes.ended(wish, attempts, None if again_s is None else now.at + again_s):
            self._tell(ev.ErrandDone(at=now.at, steady_s=now.steady_s, slot=wish.slot, version=wish.version))

    # -- the errands; each returns the seconds after which to try again, or None when it is done ------------------

    def _create(
        self, provider: PaymentProvider, account: Account, wish: Mapping[str, Any], attempts: int
    ) -> float | None:
        order = str(wish["order"])
        page = provider.create(
            OrderRequest(
                order_no=order,
                amount_fen=wish["amount_fen"],
                merchant=account.merchant,
                app=account.app,
                description="充电 e-bike charging",
                notify_url=account.notify_url,
                return_url=account.return_url.format(order=order),
                expires_at=wish["expires_at"],
            )
        )
        if page.state is PaymentState.UNKNOWN:
            return _back_off(attempts)
        if page.url:
            now = self._clock.now()
            self._tell(ev.PayPageMade(at=now.at, steady_s=now.steady_s, order=order, url=page.url))
        return None

    def _query(
        self, provider: PaymentProvider, account: Account, wish: Mapping[str, Any], attempts: int
    ) -> float | None:
        view = provider.query(str(wish["order"]))
        if view.state in (PaymentState.PAID, PaymentState.REFUNDING, PaymentState.REFUNDED):
            self._tell(self._paid(account, str(wish["order"]), view.txn_id, view.amount_fen))
            return None
        over = self._clock.now().at > wish["expires_at"] + 120.0
        if view.state is PaymentState.CLOSED or (over and view.state is not PaymentState.UNKNOWN):
            return None
        return QUERY_AGAIN_S[min(attempts, len(QUERY_AGAIN_S) - 1)]

    def _paid(self, account: Account, order: str, txn: str, amount_fen: int) -> ev.PaymentConfirmed:
        now = self._clock.now()
        return ev.PaymentConfirmed(
            at=now.at,
            steady_s=now.steady_s,
            key=f"{account.provider}:query:{txn}",
            provider=account.provider,
            merchant=account.merchant,
            app=account.app,
            order=order,
            txn=txn,
            amount_fen=amount_fen,
            currency="CNY",
        )

    def _close(
        self, provider: PaymentProvider, account: Account, wish: Mapping[str, Any], attempts: int
    ) -> float | None:
        """Closed, then asked once more: somebody may have paid while it was being closed."""
        result = provider.close(str(wish["order"]))
        if result is CloseResult.UNKNOWN:
            return _back_off(attempts)
        return self._query(provider, account, {**wish, "expires_at": 0.0}, attempts)

    def _refund(
        self, provider: PaymentProvider, account: Account, wish: Mapping[str, Any], attempts: int
    ) -> float | None:
        number = str(wish["refund"])
        if attempts > 0:
            view = provider.query(number)
            if view.state in (PaymentState.REFUNDED, PaymentState.FAILED):
                self._refunded(account, wish, "success" if view.state is PaymentState.REFUNDED else "abnormal")
                return None
            if view.state is PaymentState.REFUNDING:
                return REFUND_LATER_S
        answer = provider.refund(
            RefundRequest(
                order_no=str(wish["order"]),
                refund_no=number,
                amount_fen=wish["amount_fen"],
                total_fen=wish["total_fen"],
                txn_id=str(wish["txn"]),
            )
        )
        return self._refund_answered(account, wish, attempts, answer.state, answer.code)

    def _refund_answered(
        self, account: Account, wish: Mapping[str, Any], attempts: int, state: RefundState, code: str
    ) -> float | None:
        if state is RefundState.SUCCESS:
            self._refunded(account, wish, "success")
            return None
        if state is RefundState.REJECTED:
            log.error("refund rejected", refund=wish["refund"], order=wish["order"], code=code)
            self._refunded(account, wish, "closed")
            return None
        return REFUND_LATER_S if state is RefundState.ACCEPTED else _back_off(attempts)

    def _refunded(self, account: Account, wish: Mapping[str, Any], state: str) -> None:
        now = self._clock.now()
        self._tell(
            ev.RefundConfirmed(
                at=now.at,
                steady_s=now.steady_s,
                key=f"{account.provider}:{wish['refund']}:{state}",
                provider=account.provider,
                merchant=account.merchant,
                refund=str(wish["refund"]),
                amount_fen=wish["amount_fen"],
                state=state,
            )
        )


def _back_off(attempts: int) -> float:
    return BACK_OFF_S[min(attempts, len(BACK_OFF_S) - 1)]


_ERRANDS: dict[str, Callable[[Outbox, PaymentProvider, Account, Mapping[str, Any], int], float | None]] = {
    "create": Outbox._create,
    "query": Outbox._query,
    "close": Outbox._close,
    "refund": Outbox._refund,
}
