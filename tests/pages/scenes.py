"""Every state a resident can meet, by name, for looking at and for checking what a look can't see."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from api.stickers import sticker_path
from controller.records import MomentRow
from controller.views import Health, Load, Paused
from tests.pages import fakes
from tests.pages.fakes import AT, OUTLET, Street, idle, running

Scene = Callable[[Street], str]


def free(street: Street) -> str:
    return street.sticker_url


def bands(street: Street) -> str:
    street.queries.tariff = fakes.BANDS
    return street.sticker_url


def not_selling(street: Street) -> str:
    street.board.health = Health(database_away_s=60)
    return street.sticker_url


def busy(street: Street) -> str:
    street.board.put(running("charging"))
    return street.sticker_url


def unreachable(street: Street) -> str:
    street.board.put(replace(idle(OUTLET, "03"), linked=False, reading_at=AT - 5000))
    return street.sticker_url


def welded(street: Street) -> str:
    street.board.put(replace(idle(OUTLET, "03"), latch="relay_fault", power_w=120.0, relay_on=True))
    return street.sticker_url


def locked(street: Street) -> str:
    street.board.views.clear()
    street.board.put(replace(idle(OUTLET, "03"), locked_by="staff-1"))
    return street.sticker_url


def cut(street: Street) -> str:
    street.board.put(replace(idle(OUTLET, "03"), dead="site_cut"))
    return street.sticker_url


def wrong(street: Street) -> str:
    return "/S/A" + "Z" * 23


def retired(street: Street) -> str:
    return sticker_path(fakes.RETIRED, fakes.KEYS["A"])


def away(street: Street) -> str:
    street.queries.away = True
    return street.sticker_url


def missing(street: Street) -> str:
    return "/O/nothing"


def paying(street: Street) -> str:
    street.placed(pay_url="http://127.0.0.1:1/pay")
    return street.order_url


def opening_pay_page(street: Street) -> str:
    street.placed()
    return street.order_url


def waiting(street: Street) -> str:
    street.live("queued", opened_at=AT - 4)
    return street.order_url


def would_wait(street: Street) -> str:
    _full(street)
    return street.sticker_url


def in_line(street: Street) -> str:
    _full(street)
    street.live("queued", opened_at=AT - 400, place=2)
    street.board.put(replace(idle("outlet-06", "06"), session="first", session_phase="queued", place=1))
    return street.order_url


def paused(street: Street) -> str:
    _full(street)
    street.live("queued", opened_at=AT - 4400, started_at=AT - 4200, place=1, paused=True)
    return street.order_url


def waited_in_vain(street: Street) -> str:
    back = replace(fakes.REFUND, amount_fen=200, state="success", done_at=AT + 5400)
    whole: dict[str, Any] = {
        "bill_fen": 0,
        "energy_wh": 0.0,
        "returned_fen": 200,
        "refunds": [back],
        "proof": "never_on",
    }
    street.finished("start_failed", started_at=None, evidence={"queued_s": 7200.0}, **whole)
    return street.order_url


def _full(street: Street) -> None:
    """All the site may draw is one charge's, which began half an hour ago."""
    street.board.loads["site:site-1"] = Load(1000.0, 230, 168, 0, 0)
    busy = replace(running("charging"), outlet="outlet-05", number="05", secret_hash=None, session="other")
    street.board.put(replace(busy, reserved_w=230, plateau_w=200.0, started_at=AT - 1800))
    street.board.lasted["site-1"] = (2400.0, 3000.0, 3600.0, 5400.0, 9000.0)


def starting(street: Street) -> str:
    street.live("opening", opened_at=AT - 35)
    return street.order_url


def charging(street: Street) -> str:
    street.live("charging")
    return street.order_url


def to_be_told(street: Street) -> str:
    street.queries.addresses["party-1"] = "wang.li@example.com"
    return charging(street)


def quiet(street: Street) -> str:
    street.live("charging", reading_at=AT - 75)
    street.queries.away = True
    return street.order_url


def suspended(street: Street) -> str:
    street.live("suspended")
    return street.order_url


def _doubted(street: Street, why: str, phase: str = "suspended", since_s: float = 150.0) -> str:
    before = Paused(why, AT - since_s, 812.0, 69, {"before_w": 168.0, "peak_w": 172.0, "now_w": 251.0, "away_s": 22.0})
    street.live(phase, pause=before, power_w=0.0, relay_on=False)
    return street.order_url


def questioned(street: Street) -> str:
    return _doubted(street, "plug")


def empty(street: Street) -> str:
    return _doubted(street, "empty")


def mains(street: Street) -> str:
    return _doubted(street, "mains", since_s=620.0)


def probing(street: Street) -> str:
    return _doubted(street, "probe", since_s=20.0)


def going_on(street: Street) -> str:
    return _doubted(street, "mains", "queued")


def looking(street: Street) -> str:
    return _doubted(street, "probe", "opening")


def checking(street: Street) -> str:
    path = _doubted(street, "plug", "charging")
    street.board.put(replace(street.board.views[OUTLET], power_w=166.0, relay_on=True))
    return path


def ending(street: Street) -> str:
    street.live("closing")
    return street.order_url


def finished(street: Street) -> str:
    street.finished()
    return street.order_url


def never_turned(street: Street) -> str:
    level = [[float(at), 168.0 if at < 9000 else 118.0, at / 30] for at in range(0, 23_400, 30)]
    evidence = {
        "power_w": 118.0,
        "highest_hour_w": 168.0,
        "last_hour_w": 118.0,
        "energy_wh": 780.0,
        "elapsed_s": 23_400,
    }
    street.finished("never_turned", curve=level, evidence=evidence, off_at=AT + 23_400, settled_at=AT + 23_410)
    return street.order_url


def unplugged(street: Street) -> str:
    pulled = [*fakes.curve()[:100], *([float(at), 0.0, 130.0] for at in range(3000, 3180, 30))]
    street.finished("unplugged", curve=pulled, evidence={"no_power_s": 150.0}, off_at=AT + 3160)
    return street.order_url


def refund_due(street: Street) -> str:
    street.finished(reason="overload", refund="due")
    return street.order_url


def refund_stuck(street: Street) -> str:
    street.finished(reason="relay_fault", refund="abnormal", proof="none")
    return street.order_url


def receipt(street: Street) -> str:
    street.finished()
    return street.order_url + "/receipt"


def expired(street: Street) -> str:
    street.placed("expired")
    return street.order_url


def cancelled(street: Street) -> str:
    street.placed("cancelled")
    return street.order_url


def rejected(street: Street) -> str:
    street.placed("rejected", why="busy")
    street.queries.refund_rows["order-1"] = [replace(fakes.REFUND, amount_fen=200, session_id=None)]
    return street.order_url


def wished(street: Street) -> str:
    street.live("charging", stop_at=80)
    return street.order_url


def drifted(street: Street) -> str:
    """Stopped where its rider wished, and not as it usually goes."""
    evidence = {"stop_at_percent": 80.0, "percent_of_peak": 82.0, "power_w": 138.0, "peak_w": 168.0}
    told = MomentRow(
        at=AT, what="bike_drift:absorption_min", evidence={"absorption_min": 95.0, "usual_absorption_min": 60.0}
    )
    street.finished("energy_limit", rule="wished", evidence=evidence, moments=[told])
    return street.order_url


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        free,
        wished,
        drifted,
        bands,
        not_selling,
        busy,
        unreachable,
        welded,
        locked,
        cut,
        wrong,
        retired,
        away,
        missing,
        paying,
        opening_pay_page,
        waiting,
        would_wait,
        in_line,
        paused,
        waited_in_vain,
        starting,
        charging,
        to_be_told,
        quiet,
        suspended,
        questioned,
        empty,
        mains,
        probing,
        going_on,
        looking,
        checking,
        ending,
        finished,
        never_turned,
        unplugged,
        refund_due,
        refund_stuck,
        receipt,
        expired,
        cancelled,
        rejected,
    )
}
