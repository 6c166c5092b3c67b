"""What energy costs: bands of the local day, a meter split over them, and the bill, which alone rounds."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import pairwise
from math import floor, inf
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from controller.core.errors import Refused

DAY_MIN = 24 * 60
MAX_PRICE = 1_000_000  # 100 yuan a kWh: dearer is a slip of the keyboard
FEN_WH = 100_000  # a price is 1/100 fen per kWh, so Wh x price / this is fen
MAX_STEP_WH = 2_000.0  # an outlet gives 800 W: two and a half hours of silence, far beyond any lease
FREE_WH = 1_000_000  # what any hold buys where everything is free; the other limits end the session

Kind = Literal["energy", "service"]


class Band(msgspec.Struct, frozen=True):
    """Minutes [from_min, to_min) of the local day; prices in whole 1/100 fen per kWh."""

    name: str
    from_min: int
    to_min: int
    energy_price: int
    service_price: int


class Tariff(msgspec.Struct, frozen=True):
    """`bands` cover the 24 h without overlap; `zone` is an IANA name. Bands of one name have one price."""

    id: str
    name: str
    zone: str
    bands: tuple[Band, ...]


class Used(msgspec.Struct, frozen=True):
    """Whole Wh taken while the named band held."""

    band: str
    wh: int


class Line(msgspec.Struct, frozen=True):
    """One printed line: wh x price, rounded down to whole fen, or less where the hold did not reach."""

    band: str
    kind: Kind
    wh: int
    price: int
    amount_fen: int


class Bill(msgspec.Struct, frozen=True):
    """The totals are the sums of the printed lines."""

    lines: tuple[Line, ...]
    total_fen: int
    energy_fen: int
    service_fen: int


class Meter(msgspec.Struct, frozen=True, gc=False):
    """What one session has used: `used_wh` grows, `band` began at `band_from_wh`, earlier bands are in `closed`."""

    used_wh: float = 0.0
    counter_wh: float | None = None
    band: str = ""
    band_from_wh: int = 0
    closed: tuple[Used, ...] = ()


# -- which band ---------------------------------------------------------------------------------------------------


def check(tariff: Tariff) -> None:
    """Refuses a tariff that could not price every Wh of every day."""
    if not tariff.bands:
        raise Refused("tariff_empty", "The tariff has no bands.")
    _check_zone(tariff.zone)
    for band in tariff.bands:
        _check_band(band)
    _check_cover(sorted(tariff.bands, key=lambda band: band.from_min))
    _check_names(tariff.bands)


def band_at(tariff: Tariff, at: float) -> Band:
    """The band that prices what is used from `at` on."""
    local = datetime.fromtimestamp(at, _zone(tariff.zone))
    minute = local.hour * 60 + local.minute
    for band in tariff.bands:
        if band.from_min <= minute < band.to_min:
            return band
    raise ValueError(f"tariff {tariff.id} has no band for minute {minute}: it was never checked")


def band_ending_at(tariff: Tariff, at: float) -> Band:
    """The band that prices what was used up to `at`: a reading on the edge still belongs to the band it ends."""
    return band_at(tariff, at - 1e-6)  # finer than any edge, coarser than a float's step in this century


def next_edge(tariff: Tariff, at: float) -> float:
    """Until then `band_at` can not change; it may also be a mere change of clocks, after which one asks again."""
    zone = _zone(tariff.zone)
    local = datetime.fromtimestamp(at, zone)
    second = local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6
    edge = float(round(at + band_at(tariff, at).to_min * 60 - second))
    return edge if _offset_s(edge, zone) == _offset_s(at, zone) else _clock_change(at, edge, zone)


# -- the bill -----------------------------------------------------------------------------------------------------


def bill(tariff: Tariff, used: Sequence[Used]) -> Bill:
    """Two lines a band, in the order the bands were first used."""
    bands = {band.name: band for band in tariff.bands}
    return _summed(line for name, wh in _by_band(used).items() for line in _lines(bands[name], wh))


def capped(bill: Bill, hold_fen: int) -> Bill:
    """Never more than was held: the excess comes off the last lines, service fees first."""
    excess_fen = max(0, bill.total_fen - hold_fen)
    lines = list(bill.lines)
    for at in sorted(range(len(lines)), key=lambda at: (lines[at].kind == "service", at), reverse=True):
        off_fen = min(excess_fen, lines[at].amount_fen)
        lines[at] = msgspec.structs.replace(lines[at], amount_fen=lines[at].amount_fen - off_fen)
        excess_fen -= off_fen
    return _summed(lines)


def credit_wh(tariff: Tariff, hold_fen: int) -> int:
    """The most Wh that the hold surely pays for, however they fall on the bands."""
    return credit_left_wh(tariff, (), hold_fen)


def credit_left_wh(tariff: Tariff, used: Sequence[Used], hold_fen: int) -> int:
    """How many Wh more the hold surely pays for, after `used`, even if all of them fall in the dearest band."""
    prices = {band.name: band.energy_price + band.service_price for band in tariff.bands}
    dearest = max(prices.values())
    if dearest == 0:
        return FREE_WH
    spent = sum(prices[part.band] * part.wh for part in used)
    return max(0, ((hold_fen + 1) * FEN_WH - 1 - spent) // dearest)


# -- the meter ----------------------------------------------------------------------------------------------------


def metered(
    meter: Meter, counter_wh: float | None, band_name: str, *, max_step_wh: float = MAX_STEP_WH
) -> tuple[Meter, bool]:
    """The meter after one reading, and whether the counter made a step too absurd to bill.

    A counter that falls was reset: like an absurd step it adds nothing and only sets the new mark.
    """
    meter = _in_band(meter, band_name)
    if counter_wh is None or counter_wh == meter.counter_wh:
        return meter, False
    step_wh = 0.0 if meter.counter_wh is None else counter_wh - meter.counter_wh
    absurd = step_wh > max_step_wh
    added_wh = 0.0 if absurd or step_wh < 0 else step_wh
    # Rounded so that 1.347 kWh less 1 kWh is 347 Wh, not 346.99999 floored to 346.
    used_wh = round(meter.used_wh + added_wh, 6)
    return msgspec.structs.replace(meter, used_wh=used_wh, counter_wh=counter_wh), absurd


def used(meter: Meter) -> tuple[Used, ...]:
    """Every whole Wh exactly once, in the order of use."""
    open_wh = floor(meter.used_wh) - meter.band_from_wh
    return (*meter.closed, Used(meter.band, open_wh)) if open_wh else meter.closed


# -- helpers ------------------------------------------------------------------------------------------------------


def _in_band(meter: Meter, band_name: str) -> Meter:
    if meter.band == band_name:
        return meter
    return msgspec.structs.replace(meter, band=band_name, band_from_wh=floor(meter.used_wh), closed=used(meter))


def _by_band(used: Sequence[Used]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in used:
        total[part.band] = total.get(part.band, 0) + part.wh
    return total


def _lines(band: Band, wh: int) -> Iterator[Line]:
    yield Line(band.name, "energy", wh, band.energy_price, wh * band.energy_price // FEN_WH)
    yield Line(band.name, "service", wh, band.service_price, wh * band.service_price // FEN_WH)


def _summed(lines: Iterable[Line]) -> Bill:
    lines = tuple(lines)
    energy_fen = sum(line.amount_fen for line in lines if line.kind == "energy")
    service_fen = sum(line.amount_fen for line in lines if line.kind == "service")
    return Bill(lines, energy_fen + service_fen, energy_fen, service_fen)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _offset_s(at: float, zone: ZoneInfo) -> float:
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    return offset.total_seconds() if offset is not None else inf


def _clock_change(start: float, end: float, zone: ZoneInfo) -> float:
    """The second in (start, end] at which the zone's clock is moved."""
    before, low, high = _offset_s(start, zone), floor(start), int(end)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset_s(middle, zone) == before else (low, middle)
    return float(high)


def _check_zone(name: str) -> None:
    try:
        _zone(name)
    except (KeyError, ValueError, OSError) as error:
        raise Refused("tariff_zone", f"There is no time zone called {name!r}; try Asia/Shanghai.") from error


def _check_band(band: Band) -> None:
    if not band.name:
        raise Refused("tariff_band", "Every band needs a name.")
    if not 0 <= band.from_min < band.to_min <= DAY_MIN:
        raise Refused("tariff_band", f"Band {band.name!r} must run forward within 0 to {DAY_MIN} minutes.")
    for price in (band.energy_price, band.service_price):
        if not 0 <= price <= MAX_PRICE:
            raise Refused("tariff_price", f"A price of band {band.name!r} is outside 0 to {MAX_PRICE}.")


def _check_cover(bands: Sequence[Band]) -> None:
    for before, after in pairwise(bands):
        if after.from_min < before.to_min:
            raise Refused("tariff_overlap", f"Bands {before.name!r} and {after.name!r} overlap.")
    edges = [0, *(band.to_min for band in bands)]
    for band, edge in zip(bands, edges, strict=False):
        if band.from_min != edge:
            raise Refused("tariff_gap", f"No band covers minutes {edge} to {band.from_min}.")
    if edges[-1] != DAY_MIN:
        raise Refused("tariff_gap", f"No band covers minutes {edges[-1]} to {DAY_MIN}.")


def _check_names(bands: Sequence[Band]) -> None:
    prices: dict[str, tuple[int, int]] = {}
    for band in bands:
        price = band.energy_price, band.service_price
        if prices.setdefault(band.name, price) != price:
            raise Refused("tariff_name", f"Band {band.name!r} has two prices; give the second another name.")
