"""What others see at once: a view is made when somebody looks, and says what was so at its step."""

from pathlib import Path

from controller.clock import HandClock
from tests.shell.rig import Plug, Rig


def charging(folder: Path) -> Rig:
    clock = HandClock()
    rig = Rig(folder, clock, [Plug(clock, "o1"), Plug(clock, "o2")])
    rig.charging()
    return rig


def test_a_view_looked_at_late_says_what_was_so_at_its_step(tmp_path: Path) -> None:
    rig = charging(tmp_path)
    at, live = rig.clock.now().at, rig.live()
    rig.clock.advance(7.0)

    view = rig.engine.board.views["o1"]

    assert view.reading_at == at
    assert view.lease_left_s == live.lease_s - (rig.clock.now().steady_s - 7.0 - (live.renewed_s or 0.0))
    assert (view.session, view.used_wh, view.power_w) == (live.id, live.meter.used_wh, live.power_now_w)


def test_a_view_is_made_once_and_anew_after_the_next_reading(tmp_path: Path) -> None:
    rig = charging(tmp_path)
    views = rig.engine.board.views
    before = views["o1"]

    assert views["o1"] is before
    rig.beat()
    assert views["o1"] is not before
    assert views["o1"].used_wh > before.used_wh


def test_views_are_found_by_outlet_pile_session_and_secret(tmp_path: Path) -> None:
    rig = charging(tmp_path)
    board = rig.engine.board

    assert sorted(board.views) == ["o1", "o2"]
    assert len(board.views) == 2
    assert sorted(view.outlet for view in board.views.of_pile("p1")) == ["o1", "o2"]
    assert board.views.of_pile("p9") == []
    for found in (board.by_session("S1"), board.by_secret("hash-O1")):
        assert found is not None
        assert found.outlet == "o1"
    assert board.by_session("S9") is None
