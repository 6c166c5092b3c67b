"""One whole charge through engine, writer, gates and a real database, as the other tests here begin it."""

from pathlib import Path

from controller.core.state import Phase
from tests.shell.rig import Rig


def test_a_paid_charge_runs_stops_settles_and_refunds_to_the_fen(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.charging()
    rig.beat(times=100)
    assert rig.live().phase is Phase.CHARGING
    assert rig.plug.log.count("on") > 10  # leased, and renewed

    rig.answer(rig.stop())
    rig.beat()

    done = rig.saved()
    assert (done.phase, done.proof, done.reason) == (Phase.SETTLED, "measured", "stopped_by_resident")
    assert done.bill is not None
    assert done.bill.total_fen + done.returned_fen == 200
    assert "session:S1:hold" not in rig.house.balances
    rig.answer(rig.refunded("O1R", done.returned_fen))
    assert rig.house.balances["psp:sandbox:m"] == -done.bill.total_fen
