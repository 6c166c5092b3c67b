"""A constraint that fails is our bug: the gateway stops, so that leases cut and a restart begins from disk."""

import threading
from pathlib import Path

from anchong.bench.off import Rig
from anchong.wiring import Gateway, Plan
from controller.batches import Batch
from controller.clock import HandClock
from controller.core import effects as fx
from controller.core.state import Rules
from tests.house import eventually


def test_a_row_that_the_database_refuses_stops_the_gateway(tmp_path: Path) -> None:
    rig = Rig(tmp_path, 0)
    stopped = threading.Event()
    plan = Plan(HandClock(), Rules(), f"sqlite:///{tmp_path / 'other.sqlite3'}", tmp_path / "trips", "gw", {}, {})
    gateway = Gateway(plan, rig.wire, fatal=stopped.set)
    gateway.start()
    orphan = fx.Put("sticker", {"id": "s", "outlet_id": "no such outlet", "made_at": 0.0, "retired_at": None})

    gateway.writer.put(Batch("gw:1", 0.0, 0.0, (orphan,), (), ()))

    eventually(stopped.is_set)
    assert gateway.broken
    gateway.stop()
