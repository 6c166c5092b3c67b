"""Samples and progress: written with what is written anyway, or once a second by themselves, and never before time."""

from concurrent.futures import Future
from pathlib import Path

from msgspec.structs import replace

from controller.batches import RIDE_S, Answered, Batches
from controller.core import effects as fx
from controller.core.events import Stamp
from controller.core.tariff import Meter
from tests.shell.rig import Rig


def sample(number: int) -> fx.Sampled:
    return fx.Sampled("S1", float(number), 100.0, 1.0)


def now(steady_s: float) -> Stamp:
    return Stamp(steady_s, steady_s)


def rows_of(batches: Batches, steady_s: float) -> tuple[fx.Effect, ...] | None:
    batch = batches.closed(now(steady_s))
    return None if batch is None else batch.rows


def test_samples_of_one_second_are_one_commit() -> None:
    batches = Batches("gw")
    left = []
    for tenth in range(20):
        batches.riding.append(sample(tenth))
        left.append(rows_of(batches, 100.0 + tenth / 10))

    assert [None if rows is None else len(rows) for rows in left] == [1, *[None] * 9, 10, *[None] * 9]
    assert batches.due_s() == 101.0 + RIDE_S


def test_a_decision_takes_them_along_and_they_come_first() -> None:
    batches = Batches("gw")
    batches.riding.append(sample(1))
    batches.closed(now(100.0))
    decision = fx.Moment("S1", 100.0, "charging")
    batches.riding.append(sample(2))
    batches.rows.append(decision)

    assert rows_of(batches, 100.1) == (sample(2), decision)
    assert batches.due_s() is None


def test_an_answer_that_needs_no_disk_does_not_wait_for_samples() -> None:
    batches = Batches("gw")
    batches.riding.append(sample(1))
    batches.answers.append(Answered(Future(), {}))

    assert rows_of(batches, 100.0) == ()
    assert rows_of(batches, 100.0) == (sample(1),)


def test_the_newest_progress_of_a_session_is_what_the_disk_says(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    other = replace(rig.live(), id="S9")  # of which the disk knows nothing
    older, newer = (replace(rig.live(), meter=Meter(used_wh), peak_w=used_wh) for used_wh in (5.0, 7.0))

    rig.store.write("two", [fx.Progressed(older), fx.Progressed(other), fx.Progressed(newer)])

    assert rig.saved() == newer
    assert rig.sql("SELECT id, energy_wh, peak_w FROM session") == [("S1", 7.0, 7.0)]


def test_a_charge_under_way_is_on_disk_as_it_was_at_its_last_sample(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    begun_s = rig.live().saved_s
    for _ in range(9):
        rig.beat()

        since_s = (rig.clock.now().steady_s - begun_s) % rig.rules.sample_s
        assert rig.saved().saved_s == rig.clock.now().steady_s - since_s
        assert (rig.saved().finish == rig.live().finish) == (since_s == 0)

    assert rig.sql("SELECT COUNT(*) FROM sample WHERE session_id = 'S1'") == [(4,)]
