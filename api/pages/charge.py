"""What the page of one order says, from unpaid to settled: live figures from the board, others from the records."""

from enum import StrEnum

import msgspec

from api.curve import svg
from api.pages import pauses, waits, why, words
from api.pages.shell import AwayError, read
from api.services import Services, hashed
from controller.core.fullness import Fullness
from controller.core.tariff import Tariff, band_at, next_edge
from controller.records import OrderRow, RefundRow, SessionDetail
from controller.views import View

HOME_ZONE = "Asia/Shanghai"  # said only while the records can't be read


class State(StrEnum):
    PAYING = "paying"
    WAITING = "waiting"
    STARTING = "starting"
    CHARGING = "charging"
    SUSPENDED = "suspended"
    QUESTIONED = "questioned"
    ENDING = "ending"
    FINISHED = "finished"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


LIVE = {
    "queued": State.WAITING,
    "opening": State.STARTING,
    "charging": State.CHARGING,
    "suspended": State.SUSPENDED,
    "closing": State.ENDING,
}


class Charge(msgspec.Struct, frozen=True):
    """One order as it stands now. `view` while it is live here, the rows as far as the records could be read."""

    state: State
    number: str
    site: str
    zone: str
    at: float
    view: View | None = None
    order: OrderRow | None = None
    session: SessionDetail | None = None
    refund: RefundRow | None = None
    pay_url: str | None = None

    @property
    def key(self) -> str:
        """Changes whenever the page must be drawn anew."""
        ready = "ready" if self.state is State.PAYING and self.pay_url else ""
        return f"{self.state}{pauses.mark_of(self.view)}:{self.refund.state if self.refund else ready}"

    @property
    def over(self) -> bool:
        """Nothing more will change."""
        at_rest = self.refund is None or self.refund.state != "due"
        return at_rest and self.state not in (State.PAYING, State.QUESTIONED, *LIVE.values())


async def known(services: Services, secret: str) -> Charge | None:
    """The order of this secret. A live one is known without the records; AwayError if they are needed and away."""
    hidden, at = hashed(secret), services.clock.now().at
    view = services.board.by_secret(hidden)
    try:
        order = await read(services.queries.order_by_secret, hidden)
    except AwayError:
        if view is None:
            raise
        order = None
    if view is not None and view.session_phase in LIVE:
        return live(view, order, at)
    return None if order is None else await _recorded(services, order, at)


def live(view: View, order: OrderRow | None, at: float) -> Charge:
    site, zone = (order.site_name, order.zone) if order is not None else ("", HOME_ZONE)
    state = State.WAITING if view.paused else LIVE[view.session_phase or ""]
    state = State.QUESTIONED if pauses.questioned(view) else state
    return Charge(state, view.number, site, zone, at, view=view, order=order)


async def _recorded(services: Services, order: OrderRow, at: float) -> Charge:
    base = Charge(State.PAYING, order.number, order.site_name, order.zone, at, order=order)
    if order.state == "paid":
        return await _paid(services, base, order)
    if order.state == "open" and at < order.expires_at:
        url = services.board.pay_urls.get(order.id) or order.pay_url
        return msgspec.structs.replace(base, pay_url=url)
    state = State.EXPIRED if order.state == "open" else State(order.state)
    refunds = await read(services.queries.refunds_of, order.id)
    return msgspec.structs.replace(base, state=state, refund=refunds[-1] if refunds else None)


async def _paid(services: Services, base: Charge, order: OrderRow) -> Charge:
    session = await read(services.queries.session_by_order, order.id)
    if session is None or session.phase != "settled":
        # Live, but not on the board yet: it will be within a second of a start.
        state = State.WAITING if session is None else LIVE[session.phase]
        return msgspec.structs.replace(base, state=state, session=session, view=_from_row(order, session))
    refund = session.refunds[-1] if session.refunds else None
    return msgspec.structs.replace(base, state=State.FINISHED, session=session, refund=refund)


def _from_row(order: OrderRow, session: SessionDetail | None) -> View:
    """What the board would say, as far as the records know it."""
    paid = View(
        outlet=order.outlet_id,
        number=order.number,
        site=order.site_id,
        pile="",
        phase="open",
        lease_class="",
        linked=True,
        opened_at=order.placed_at,
        hold_fen=order.amount_fen,
    )
    if session is None:
        return paid
    return msgspec.structs.replace(
        paid,
        started_at=session.started_at,
        used_wh=session.energy_wh,
        max_s=session.max_s,
        reason=session.reason,
    )


# -- figures that move --------------------------------------------------------------------------------------------


def figures(charge: Charge, lang: str, services: Services) -> dict[str, str]:
    """What the script puts into the page between two drawings of it."""
    view, rules = charge.view, services.rules
    if view is None:
        return {}
    if charge.state is State.STARTING:
        return {"left": words.span(lang, rules.never_plugged_s + (view.opened_at or charge.at) - charge.at)}
    if charge.state is State.WAITING:
        return _waiting(charge, view, lang, services)
    if charge.state in (State.SUSPENDED, State.QUESTIONED):
        return {"left": pauses.left(lang, view, rules, charge.at)}
    return _charging(charge, view, lang)


def _waiting(charge: Charge, view: View, lang: str, services: Services) -> dict[str, str]:
    """With a line: how many are before, and about how long; without one it is a matter of seconds."""
    since_at = (view.opened_at or charge.at) if view.pause is None else view.pause.at
    since = words.span(lang, charge.at - since_at)
    line = services.waits.in_line(services, view)
    if line is None:
        return {"since": since}
    ahead = words.t(lang, "line.ahead", count=line.ahead) if line.ahead else words.t(lang, "line.next")
    return {"since": since, "ahead": ahead, "wait": waits.about(lang, line.wait)}


def _charging(charge: Charge, view: View, lang: str) -> dict[str, str]:
    began_at = view.started_at or view.opened_at or charge.at
    quiet_s = 0.0 if view.reading_at is None else charge.at - view.reading_at
    return {
        "power": "–" if view.power_w is None else words.watts(view.power_w),
        "energy": words.kwh(view.used_wh),
        "cost": words.yuan(view.cost_fen),
        "time": words.span(lang, charge.at - began_at),
        "spent": str(view.cost_fen),
        "quiet": words.t(lang, "charge.quiet", span=words.span(lang, quiet_s)) if quiet_s > 60 else "",
    }


def told(charge: Charge, lang: str, services: Services) -> bytes:
    """One message of the live stream."""
    fields = figures(charge, lang, services)
    return msgspec.json.encode({"key": charge.key, "over": charge.over, "fields": fields})


# -- why it ended -------------------------------------------------------------------------------------------------


class Explained(msgspec.Struct, frozen=True):
    """Why it ended, what to do next ("" for nothing), how full it probably was, whether the plug may be touched."""

    why: str
    advice: str
    full: Fullness | None
    may_unplug: bool


def explained(lang: str, charge: Charge) -> Explained | None:
    """Of a charge that has ended."""
    session = charge.session
    if session is None or session.reason is None or charge.state is not State.FINISHED:
        return None
    of = (session.reason, session.rule, session.evidence)
    may_unplug = session.reason not in why.HANDS_OFF
    return Explained(why.sentence(lang, *of), why.advice(lang, *of), why.how_full(session), may_unplug)


# -- the curve ----------------------------------------------------------------------------------------------------


def curve(lang: str, session: SessionDetail, view: View | None, at: float) -> str:
    """The drawing, or "" while there is nothing to draw."""
    points = [(point[0], point[1]) for point in session.curve]
    if session.started_at is None:
        return ""
    if view is not None and view.power_w is not None and session.off_at is None:
        points.append((at - session.started_at, view.power_w))
    if len(points) < 2:
        return ""
    cut = _cut(lang, session)
    bands = _price_bands(lang, session.tariff, session.started_at, session.started_at + points[-1][0])
    return svg(points, width=328, height=176, cut=cut, bands=bands, title=_spoken(lang, points, cut), styled=False)


def _cut(lang: str, session: SessionDetail) -> tuple[float, str] | None:
    if session.off_at is None or session.reason is None or session.started_at is None:
        return None
    return max(0.0, session.off_at - session.started_at), words.t(lang, f"short.{session.reason}")


def _spoken(lang: str, points: list[tuple[float, float]], cut: tuple[float, str] | None) -> str:
    peak = words.watts(max(power_w for _, power_w in points))
    if cut is None:
        return words.t(lang, "curve.title", peak=peak)
    return words.t(lang, "curve.title_cut", peak=peak, at=words.span(lang, cut[0]), reason=cut[1])


def _price_bands(lang: str, tariff: Tariff, from_at: float, to_at: float) -> list[tuple[float, float, str]]:
    if len({band.name for band in tariff.bands}) < 2:
        return []
    bands, at = [], from_at
    while at < to_at:
        until_at = min(to_at, next_edge(tariff, at))
        bands.append((at - from_at, until_at - from_at, words.band(lang, band_at(tariff, at).name)))
        at = until_at
    return bands
