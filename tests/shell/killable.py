"""A gateway in a process of its own, to be killed: opens the simulated sockets that it finds, and starts charges."""

import secrets
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anchong.logs import quiet
from anchong.wiring import Gateway, Plan
from controller.clock import FastClock
from controller.core import events as ev
from controller.core.state import Rules, Session
from controller.outbox import Account
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
from firmware_bridge.transports.mqtt import MqttSettings, MqttTransport

BANDS = [{"name": "all", "from_min": 0, "to_min": 1440, "energy_price": 5583, "service_price": 3000}]
READY = "charging"
TRIES = 4


class Yes:
    """A provider that does all it is asked, and remembers nothing that a kill could take."""

    def create(self, order: OrderRequest) -> PayPage:
        return PayPage(f"http://127.0.0.1/pay/{order.order_no}")

    def query(self, number: str) -> PaymentView:
        return PaymentView(number=number, state=PaymentState.UNKNOWN)

    def close(self, order_no: str) -> CloseResult:
        return CloseResult.CLOSED

    def refund(self, request: RefundRequest) -> RefundView:
        return RefundView(RefundState.SUCCESS)


def gateway_at(
    port: int, folder: Path, database: str, clock: FastClock, settled: Callable[[Session], None] | None = None
) -> Gateway:
    account = Account("sandbox", "m", "app", "http://127.0.0.1/webhooks", "http://127.0.0.1/paid/{order}")
    plan = Plan(
        clock=clock,
        rules=Rules(),
        database=database,
        journal=folder / "trips",
        name="gw",
        providers={"sandbox": Yes()},
        accounts={"sandbox": account},
    )
    return Gateway(plan, MqttTransport(MqttSettings(host="127.0.0.1", port=port), clock), settled)


def wait_for(true: Callable[[], object], within_s: float = 60.0) -> None:
    end_s, pause = time.monotonic() + within_s, threading.Event()
    while not true():
        if time.monotonic() > end_s:
            raise SystemExit("waited in vain")
        pause.wait(0.02)


def all_charging(gateway: Gateway, count: int) -> bool:
    views = list(gateway.board.views.values())
    return len(views) == count and all(view.session_phase == "charging" and view.linked for view in views)


class Opening:
    """What staff and residents would do, all outlets at the same time."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def run(self, count: int) -> None:
        wait_for(lambda: len(self._gateway.engine.house.found) == count)
        site = {"name": "Garden", "zone": "Asia/Shanghai", "merchant": "m", "bands": BANDS}
        self._change(ev.Change.SITE, "s1", **site)
        outlets = [self._adopt(number, found) for number, found in enumerate(sorted(self._gateway.engine.house.found))]
        threads = [threading.Thread(target=self._serve, args=(outlet,)) for outlet in outlets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _adopt(self, number: int, found: str) -> str:
        outlet = f"outlet-{number}"
        values: dict[str, Any] = {"site": "s1", "name": f"P{number}", "numbers": [str(number)], "outlets": [outlet]}
        self._change(ev.Change.ADOPT, found, **values, pile=f"pile-{number}", stickers=[f"sticker-{number}"])
        return outlet

    def _serve(self, outlet: str) -> None:
        """Tried again, as people would: at many times real speed a busy machine makes an ON late."""
        for _ in range(TRIES):
            if self._view(outlet).phase == "commissioned":
                break
            wait_for(lambda: self._view(outlet).linked)
            self._change(ev.Change.COMMISSION, outlet)
            wait_for(lambda: self._view(outlet).phase != "proving")
        self._change(ev.Change.OPEN, outlet)
        for number in range(TRIES):
            if self._view(outlet).session_phase == "charging":
                break
            self._start(outlet, f"{outlet}-{number}")
            wait_for(lambda: self._view(outlet).session_phase in ("charging", None))

    def _start(self, outlet: str, order: str) -> None:
        wait_for(lambda: self._view(outlet).power_w == 0.0)
        names: dict[str, Any] = {"order": order, "session": f"S-{order}", "outlet": outlet, "party": "p1"}
        values: dict[str, Any] = {"amount_fen": 2_000, "max_s": 0, "secret_hash": f"hash-{order}", "lang": "zh"}
        self._ask(ev.OrderPlaced(**self._stamp(), key=f"key-{order}", provider="sandbox", **names, **values))
        paid: dict[str, Any] = {"provider": "sandbox", "merchant": "m", "app": "app", "currency": "CNY"}
        self._ask(
            ev.PaymentConfirmed(
                **self._stamp(), key=f"paid-{order}", order=order, txn=f"T-{order}", amount_fen=2_000, **paid
            )
        )

    def _view(self, outlet: str) -> Any:
        return self._gateway.board.views[outlet]

    def _change(self, change: ev.Change, subject: str, **values: object) -> None:
        key = secrets.token_hex(8)
        event = ev.StaffChange(**self._stamp(), key=key, by="staff:o", change=change, subject=subject, values=values)
        self._ask(event)

    def _ask(self, event: ev.Event) -> None:
        self._gateway.ask(event).result(10)

    def _stamp(self) -> dict[str, Any]:
        now = self._gateway.plan.clock.now()
        return {"at": now.at, "steady_s": now.steady_s}


def main(port: str, folder: str, database: str, factor: str, origin: str, count: str) -> None:
    """Says READY when every outlet has been charging for longer than a lease, so that renewals keep it on."""
    clock = FastClock(float(factor), float(origin))
    gateway = gateway_at(int(port), Path(folder), database, clock)
    known = len(gateway.piles())
    gateway.start()
    if not known:
        Opening(gateway).run(int(count))
    wait_for(lambda: all_charging(gateway, int(count)))
    since_s = clock.now().steady_s
    wait_for(lambda: clock.now().steady_s - since_s > 1.2 * Rules().lease_s)
    if all_charging(gateway, int(count)):
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    quiet()  # nobody reads what it would say
    main(*sys.argv[1:])
