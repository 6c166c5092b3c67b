"""A stop that was acknowledged while the disk was away outlives a kill: its OFF stands in the trip journal."""

from pathlib import Path

from controller.core.reasons import StopReason
from controller.core.state import Phase
from tests.shell.rig import Rig


def test_a_stop_with_the_disk_away_is_kept_and_nothing_is_energised_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    rig.engine.inbox.tell(rig.topup(100))
    assert rig.engine.step(rig.clock.now()) is not None  # and nobody writes it: the disk is away
    rig.clock.advance(3.0)
    rig.engine.inbox.ask(rig.stop())
    rig.engine.step(rig.clock.now())
    assert [trip.reason for trip in rig.kept] == [StopReason.STOPPED_BY_RESIDENT]

    trips = {trip.outlet: (trip.reason, trip.evidence) for trip in rig.kept}
    rig.clock.advance(150.0)
    again = rig.restarted(trips=trips)
    live = again.live()

    assert live.phase is Phase.CLOSING
    assert live.reason is StopReason.STOPPED_BY_RESIDENT
    again.beat(times=2)
    assert again.sql("SELECT phase FROM session") == [("settled",)]


def test_an_ordinary_stop_needs_no_journal(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    rig.engine.inbox.ask(rig.stop())
    rig.step()

    assert rig.kept == []
