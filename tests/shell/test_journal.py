"""The trip journal: what a power cut leaves of it, and what may be done when it can't be read."""

from pathlib import Path
from typing import Any

import pytest

from controller.core.events import Tripped
from controller.core.reasons import StopReason
from controller.core.state import Phase
from controller.journal import SLOT, SLOTS, Journal
from tests.shell.rig import Rig


def trip(at: float, outlet: str = "o1", reason: StopReason = StopReason.OVERLOAD, **evidence: Any) -> Tripped:
    return Tripped(at=at, steady_s=at, outlet=outlet, generation=1, reason=reason, evidence=evidence)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "trips")
    journal.open()
    return journal


def again(journal: Journal) -> Journal:
    """As the next process finds it."""
    found = Journal(journal._path)
    found.open()
    return found


def test_a_trip_is_found_by_the_next_process(journal: Journal) -> None:
    journal.write(trip(100.0, power_w=1300.0))
    journal.write(trip(101.0, "o2", StopReason.OVERHEAT))

    assert again(journal).since({"o1": 50.0, "o2": 50.0}) == {
        "o1": (StopReason.OVERLOAD, {"power_w": 1300.0}),
        "o2": (StopReason.OVERHEAT, {}),
    }
    assert not journal.failed


def test_a_trip_counts_for_the_session_it_ended_and_for_no_later_one(journal: Journal) -> None:
    journal.write(trip(100.0))

    assert again(journal).since({"o1": 100.1}) == {}
    assert again(journal).since({"o2": 0.0}) == {}


def test_the_newest_trip_of_an_outlet_wins_wherever_it_stands_in_the_ring(journal: Journal) -> None:
    for at in range(SLOTS + 10):
        journal.write(trip(float(at), "o1" if at % 2 else "o2", turn=float(at)))

    found = again(journal).since({"o1": 0.0, "o2": 0.0})

    assert found["o1"][1] == {"turn": SLOTS + 9.0}
    assert found["o2"][1] == {"turn": SLOTS + 8.0}
    assert journal._path.stat().st_size == SLOT * SLOTS


def test_the_next_process_writes_after_the_newest_and_over_the_oldest(journal: Journal) -> None:
    journal.write(trip(1.0, "o1"))
    later = again(journal)
    later.write(trip(2.0, "o2"))

    assert set(again(later).since({"o1": 0.0, "o2": 0.0})) == {"o1", "o2"}


@pytest.mark.parametrize("keep", [0, 3, 7, 8, 20, 60])
def test_a_half_written_slot_is_no_trip_and_no_failure(journal: Journal, keep: int) -> None:
    journal.write(trip(1.0, "o1"))
    journal.write(trip(2.0, "o2"))
    ring = bytearray(journal._path.read_bytes())
    ring[SLOT + keep : 2 * SLOT] = b"\0" * (SLOT - keep)
    journal._path.write_bytes(ring)

    found = again(journal)

    assert set(found.since({"o1": 0.0, "o2": 0.0})) == {"o1"}
    assert not found.failed


def test_garbage_of_the_right_size_is_no_trip(journal: Journal) -> None:
    journal._path.write_bytes(bytes(range(256)) * (SLOT * SLOTS // 256))

    assert again(journal).since({"o1": 0.0}) == {}


def test_evidence_too_long_for_a_slot_is_left_out_and_the_trip_is_kept(journal: Journal) -> None:
    journal.write(trip(1.0, **dict[str, Any]({f"value_{at}": 1.0 for at in range(100)})))

    assert again(journal).since({"o1": 0.0}) == {"o1": (StopReason.OVERLOAD, {})}


def test_a_journal_that_cannot_be_read_or_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "trips").mkdir()
    journal = Journal(tmp_path / "trips")
    journal.open()
    journal.write(trip(1.0))

    assert journal.failed
    assert journal.since({"o1": 0.0}) == {}


# -- and what a restart makes of it ---------------------------------------------------------------------------------


def restarted_dark(rig: Rig, **other: Any) -> Rig:
    """Ten minutes away, so that the lease has cut the charge."""
    rig.charging()
    rig.beat(times=3)
    rig.clock.advance(600)
    later = rig.restarted(**other)
    later.beat(times=2)
    return later


def test_found_off_after_its_lease_a_charge_goes_on(tmp_path: Path) -> None:
    later = restarted_dark(Rig(tmp_path))

    assert later.live().phase is Phase.CHARGING
    assert later.plug.on


def test_found_off_after_a_trip_it_settles_with_the_trips_reason(tmp_path: Path) -> None:
    later = restarted_dark(Rig(tmp_path), trips={"o1": (StopReason.OVERLOAD, {"power_w": 1300.0})})

    assert "on" not in later.plug.log[later.plug.log.index("off") :]
    assert (later.saved().reason, later.saved().evidence) == (StopReason.OVERLOAD, {"power_w": 1300.0})


def test_found_off_with_a_journal_that_failed_nothing_is_energised_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    later = restarted_dark(rig, journal_failed=True)

    assert not later.plug.on
    assert later.saved().reason == StopReason.POWER_LOSS
