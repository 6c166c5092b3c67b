"""`anchong bench start`: from the provider's notice of a payment to the ON at the plug.

A signed notice comes in at the real webhook, one after another; it is booked, committed, and then the ON leaves. The
notice's own answer waits for the same commit.
"""

import http.client
import time
from typing import Annotated

import msgspec
import typer
from sqlalchemy.exc import ArgumentError

from anchong.bench.cut import percentile
from anchong.bench.ground import Child, Ground, NoGround, free_port, ground, spoken
from anchong.bench.site import AMOUNT_FEN, KEY, KEY_ID, MERCHANT, PROVIDER, charging_site, order_of
from anchong.bench.stage import START_S, Stage
from controller.database import Unusable
from simulators.chorus import Start as Plugs
from simulators.provider_wire import sign
from simulators.publisher import topic

ON_S = 10.0
LOOK_S = 0.05


class Start(msgspec.Struct, frozen=True):
    """`answer` is what the provider waited for; `live` sessions were under way beside."""

    database: str
    live: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    answer_p50_ms: float
    n: int
    missing: int


def measured(at: Ground, live: int, payments: int, per_s: float, url: str = "") -> Start:
    at.say(f"{live} sessions under way, {payments} orders to be paid")
    path = at.folder / f"start-{live}-{payments}.sqlite3"
    charging_site(url or f"sqlite:///{path}", live, unpaid=payments)
    chorus = at.child("simulators.chorus")
    chorus.ask(Plugs(at.port, live + payments, live), START_S)
    port = free_port()
    stage = Stage(at, "gateway", live, None if url else path, web_port=port, url=url)
    stage.until(lambda state: state["ready"], "not every session was charging")
    stage.until(lambda state: state["known"] == live + payments, "not every outlet was heard")
    chorus.ask("forget", START_S)
    paid_s, answer_ms = paid(port, range(live, live + payments), per_s)
    told_s = told(chorus, list(paid_s))
    chorus.stop()
    stage.close()
    took_ms = [(told_s[plug] - paid_s[plug]) * 1000 for plug in paid_s if plug in told_s]
    if not took_ms:
        raise NoGround("no payment was followed by an ON")
    name = url.split(":", 1)[0].split("+", 1)[0] or "sqlite"
    p50_ms, p99_ms, max_ms = (percentile(took_ms, percent) for percent in (50, 99, 100))
    missing = payments - len(took_ms)
    return Start(name, live, p50_ms, p99_ms, max_ms, percentile(answer_ms, 50), len(took_ms), missing)


def paid(port: int, numbers: range, per_s: float) -> tuple[dict[str, float], list[float]]:
    """When each plug's payment was told, and how long each answer took."""
    web = http.client.HTTPConnection("127.0.0.1", port, timeout=ON_S)
    since_s, paid_s, answer_ms = time.monotonic(), {}, []
    for turn, number in enumerate(numbers):
        time.sleep(max(0.0, since_s + turn / per_s - time.monotonic()))
        body, headers = _notice(number)
        paid_s[topic(number)] = time.monotonic()
        web.request("POST", f"/webhooks/{PROVIDER}", body, headers)
        answer = web.getresponse()
        answer_ms.append((time.monotonic() - paid_s[topic(number)]) * 1000)
        said = answer.read()
        if answer.status != 204:
            raise NoGround(f"the notice of a payment was answered {answer.status}: {said[:200]!r}")
    web.close()
    return paid_s, answer_ms


def _notice(number: int) -> tuple[bytes, dict[str, str]]:
    notice: dict[str, object] = {"event_id": f"paid-{number}", "kind": "payment", "merchant": MERCHANT, "app": MERCHANT}
    notice |= {"order_no": order_of(number), "refund_no": "", "txn_id": f"txn-{number}", "amount_fen": AMOUNT_FEN}
    body = msgspec.json.encode({**notice, "currency": "CNY", "state": "paid"})
    timestamp, nonce = str(int(time.time())), f"nonce-{number:010d}"
    headers = {"Timestamp": timestamp, "Nonce": nonce, "Key-Id": KEY_ID, "Signature": sign(KEY, timestamp, nonce, body)}
    return body, {"Content-Type": "application/json", **{f"X-Sandbox-{name}": value for name, value in headers.items()}}


def told(chorus: Child, plugs: list[str]) -> dict[str, float]:
    end_s = time.monotonic() + ON_S
    while True:
        told_s = msgspec.convert(chorus.ask("when", START_S), dict[str, float])
        if all(plug in told_s for plug in plugs) or time.monotonic() > end_s:
            return told_s
        time.sleep(LOOK_S)


def start(
    live: Annotated[int, typer.Option(min=1, max=20_000, help="sessions under way beside")] = 1_000,
    payments: Annotated[int, typer.Option(min=1, max=2_000, help="how many")] = 300,
    per_s: Annotated[float, typer.Option(min=0.1, max=100, help="payments a second")] = 10.0,
    database: Annotated[str, typer.Option(help="URL of an empty database; else an SQLite file of its own")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="one line")] = False,
) -> None:
    """From a payment's notice to the ON at the plug. Example: anchong bench start --payments 300 --json"""
    with spoken(), ground() as at:
        try:
            figure = measured(at, live, payments, per_s, database)
        except (Unusable, ArgumentError) as error:
            raise NoGround(f"--database: {str(error).splitlines()[0]}") from error
    typer.echo(msgspec.json.encode(figure).decode() if as_json else _line(figure))


def _line(figure: Start) -> str:
    return (
        f"{figure.database}, {figure.live} sessions beside: p50 {figure.p50_ms:.1f} ms, p99 {figure.p99_ms:.1f} ms, "
        f"longest {figure.max_ms:.1f} ms of {figure.n} ({figure.missing} missing); "
        f"the provider is answered after {figure.answer_p50_ms:.1f} ms"
    )
