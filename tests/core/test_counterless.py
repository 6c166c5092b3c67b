"""Readings that bring power and no counter: good enough to cut by, not to bill by."""

from msgspec.structs import replace

from controller.core.session import decide
from controller.core.state import Phase
from tests.core import made
from tests.core.made import ctx, reading, session


def test_a_charge_is_billed_by_the_counter_as_it_stands_after_the_off() -> None:
    waiting = decide(session(Phase.CLOSING), reading(0.0, None), ctx()).session
    assert waiting.phase is Phase.CLOSING

    settled = decide(waiting, reading(0.0, 1051.0, after_s=1.0), ctx()).session
    assert (settled.phase, settled.proof) == (Phase.SETTLED, "measured")
    assert made.bill_fen(settled) == 3  # 51 Wh: 2.8 and 1.5 fen


def test_where_no_counter_was_ever_read_nothing_drawn_is_proof_enough() -> None:
    closing = session(Phase.CLOSING)
    without = replace(closing, meter=replace(closing.meter, counter_wh=None))

    assert decide(without, reading(0.0, None), ctx()).session.proof == "measured"


def test_power_without_a_counter_after_the_off_is_still_power() -> None:
    assert decide(session(Phase.CLOSING), reading(60.0, None), ctx()).session.phase is Phase.CLOSING


def test_a_reset_of_the_counter_is_found_out_through_readings_that_have_none() -> None:
    charging = session(Phase.CHARGING)
    for low_wh in (3.0, 4.0, 5.0, 6.0):
        charging = decide(charging, reading(100.0, low_wh), ctx()).session
        charging = decide(charging, reading(120.0, None), ctx()).session

    assert charging.meter.counter_wh == 6.0
