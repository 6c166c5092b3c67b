"""What a charge would cost: the meter and the bill of a real one, fed with steady power. Pure."""

from math import inf

import msgspec

from controller.core.tariff import Bill, Meter, Tariff, band_at, band_ending_at, bill, metered, next_edge, used


class Quoted(msgspec.Struct, frozen=True):
    end_at: float
    energy_wh: int
    bill: Bill


def quoted(tariff: Tariff, at: float, power_w: float, seconds: float, most_wh: float = inf) -> Quoted:
    """From `at` on at `power_w`, until `seconds` have passed or `most_wh` are used."""
    end_at = at + min(seconds, most_wh * 3600 / power_w)
    meter, until = Meter(counter_wh=0.0, band=band_at(tariff, at).name), at
    while until < end_at:
        until = min(end_at, next_edge(tariff, until))
        counter_wh = power_w * (until - at) / 3600
        meter, _ = metered(meter, counter_wh, band_ending_at(tariff, until).name, max_step_wh=inf)
    taken = used(meter)
    return Quoted(end_at, sum(part.wh for part in taken), bill(tariff, taken))
