"""What the page of one outlet says: free, in use, or out of order, and what it costs there."""

from enum import StrEnum

import msgspec

from api.pages import why
from controller.core.state import Rules
from controller.core.tariff import Band, Tariff, band_at, credit_wh
from controller.records import OutletDetail
from controller.views import Health, View

AMOUNTS_FEN = (100, 200, 300, 500, 1_000, 2_000)
DEFAULT_FEN = 200
HOURS = (0, 2, 4, 6, 8)  # 0: until full, at most the usual cap
USUAL_WH = (500, 1_200)  # what common packs take from low to full, charger's losses included


class State(StrEnum):
    FREE = "free"
    BUSY = "busy"
    OUT = "out"


class Out(StrEnum):
    """Why nothing can start here; also the catalogue's word."""

    CUT = "cut"
    CLOSED = "closed"
    LOCKED = "locked"
    LATCHED = "latched"
    LINK_DOWN = "link_down"


class Choice(msgspec.Struct, frozen=True):
    amount_fen: int
    buys_wh: int
    chosen: bool


class Price(msgspec.Struct, frozen=True):
    """`bands` is empty where one price holds all day."""

    now: Band
    bands: tuple[Band, ...]
    usual_fen: tuple[int, int]

    @property
    def total(self) -> int:
        return self.now.energy_price + self.now.service_price


def why_out(view: View | None, rules: Rules) -> Out | None:
    """The first reason why this outlet serves nobody new."""
    if view is None:
        return Out.LINK_DOWN
    reasons = {
        Out.CUT: view.dead in ("input_active", "site_cut"),
        Out.LATCHED: view.latch is not None or may_be_live(view, rules),
        Out.LOCKED: view.locked_by is not None,
        Out.CLOSED: view.phase != "open",
        Out.LINK_DOWN: not view.linked,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def state_of(view: View | None, rules: Rules) -> State:
    if view is not None and view.session is not None:
        return State.BUSY
    return State.FREE if why_out(view, rules) is None else State.OUT


def may_be_live(view: View | None, rules: Rules) -> bool:
    """Power or a closed relay where nobody charges."""
    if view is None or view.session is not None:
        return False
    return view.latch == "relay_fault" or bool(view.relay_on) or (view.power_w or 0.0) >= rules.no_power_w


def may_unplug(view: View | None, rules: Rules) -> bool:
    """Only what was measured is said, and not where it may be dangerous to touch the outlet."""
    if view is None or not view.linked or view.power_w is None or may_be_live(view, rules):
        return False
    return why_out(view, rules) is not Out.CUT and view.latch not in why.HANDS_OFF


def free_beside(of_pile: list[View], outlet: OutletDetail, rules: Rules) -> list[str]:
    """The printed numbers of this pile's other outlets that serve now."""
    return sorted(v.number for v in of_pile if v.outlet != outlet.id and state_of(v, rules) is State.FREE)


def not_selling(health: Health, rules: Rules) -> bool:
    return not health.clock_trusted or health.database_away_s > rules.db_away_s


def choices(tariff: Tariff, rules: Rules) -> list[Choice]:
    amounts = [fen for fen in AMOUNTS_FEN if rules.pay_fen_min <= fen <= rules.pay_fen_max]
    chosen = DEFAULT_FEN if DEFAULT_FEN in amounts else amounts[0]
    return [Choice(fen, credit_wh(tariff, fen), fen == chosen) for fen in amounts]


def hours(rules: Rules) -> list[int]:
    return [hour for hour in HOURS if hour * 3600 <= rules.hard_cap_s]


def price(tariff: Tariff, at: float) -> Price:
    now = band_at(tariff, at)
    per_kwh = now.energy_price + now.service_price
    low, high = (round(wh * per_kwh / 100_000) for wh in USUAL_WH)
    several = len({(band.energy_price, band.service_price) for band in tariff.bands}) > 1
    return Price(now, tuple(sorted(tariff.bands, key=lambda band: band.from_min)) if several else (), (low, high))
