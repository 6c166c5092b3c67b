"""kill -9 before and after every commit and after every OFF: from disk the charge goes on or settles, to the fen."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import pytest

from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.state import Phase, RefundState
from controller.feed import Kept
from controller.ledger_check import proofs
from controller.queries import Queries
from controller.store import Store
from tests.shell.rig import LOAD_W, Killed, Plug, Rig

BEATS_MAX = 120
POWERED_BEATS = 8
BEFORE_THE_DOUBT = 8  # commits, of which the other stories tell


class Mortal(Store):
    """Counts commits over all processes of a test, and dies at one of them, before it or just after."""

    commits: ClassVar[int] = 0
    dies_at: ClassVar[tuple[int, str] | None] = None

    def write(self, number: str, rows: Iterable[fx.Effect], at: float = 0.0) -> tuple[Kept, ...]:
        Mortal.commits += 1
        if Mortal.dies_at == (Mortal.commits, "before"):
            raise Killed
        kept = super().write(number, rows, at)
        if Mortal.dies_at == (Mortal.commits, "after"):
            raise Killed
        return kept


class Story:
    """Two residents at two outlets, one by code and one by card, and an office; all of them ask until they are
    answered, as pages and providers do. The gateway under them may be killed and started again at any point."""

    def __init__(self, folder: Path, away_s: float = 1.0) -> None:
        self.away_s = away_s
        clock = HandClock()
        self.rig = Rig(folder, clock, [Plug(clock), Plug(clock, "o2")], store=Mortal)
        self.deaths = 0
        self.beats = 0
        self.answered: set[str] = set()
        self.powered = {"o1": 0, "o2": 0}
        self.queries = Queries(self.rig.url)

    def run(self) -> None:
        for _ in range(BEATS_MAX):
            if self.over():
                break
            try:
                self.beat()
            except Killed:
                self.deaths += 1
                self.rig.clock.advance(self.away_s)
                self.rig = self.rig.restarted(store=Mortal)
        self.queries.close()

    def over(self) -> bool:
        phases = dict(self.rig.sql("SELECT id, phase FROM session"))
        settled = phases.get("SC1") == "settled" and set(phases.values()) == {"settled"}
        told = {"key-O1", "event-T1", "event-T2", "event-T3", "cancel-O2", "name"} <= self.answered
        return settled and told and not self.rig.house.refunds and not self.rig.batches

    def beat(self) -> None:
        self.beats += 1
        rig = self.rig
        rig.beat()
        for outlet, plug in rig.plugs.items():
            plug.load_w = self.load_w(outlet) if outlet in rig.house.sessions else 0.0
            self.powered[outlet] += plug.power_w > 0
        for event in self.wishes():
            self.once(event)

    def load_w(self, outlet: str) -> float:
        return LOAD_W

    def wishes(self) -> Iterator[ev.Event]:
        rig = self.rig
        yield rig.topup(300)
        yield rig.staff_change(ev.Change.NAME, key="name", number="7")
        yield rig.order()
        if "key-O1" in self.answered:
            yield rig.paid()
        yield from self.trouble()
        if "t1" in self.answered and not rig.sql("SELECT 1 FROM session WHERE id = 'SC1'"):
            rig.engine.inbox.tell(rig.tap(outlet="o2"))
            rig.step()
        for outlet, session in (("o1", "S1"), ("o2", "SC1")):
            if self.powered[outlet] >= POWERED_BEATS and outlet in rig.house.sessions:
                yield rig.stop(session, outlet, key=f"stop-{session}")
        for wish in list(rig.wishes):
            if wish.kind == "refund":
                yield rig.refunded(str(wish.payload["refund"]), int(str(wish.payload["amount_fen"])))

    def trouble(self) -> Iterator[ev.Event]:
        """One order is paid twice, another is paid after it was given up: both sums go back."""
        rig = self.rig
        if "event-T1" in self.answered:
            yield rig.paid(txn="T2")
            yield rig.order("O2", "o2")
        if "key-O2" in self.answered:
            yield ev.OrderCancelled(**rig.stamp(), key="cancel-O2", order="O2")
        if "cancel-O2" in self.answered:
            yield rig.paid("O2", "T3")

    def once(self, event: Any) -> None:
        """Asked again until answered; what the database knows of it is looked up first, as the door does."""
        if event.key in self.answered:
            return
        future: Future[dict[str, Any]] = self.rig.ask(event, self.queries.known(event))
        if future.done() and future.exception() is None:
            self.answered.add(event.key)


class Swapped(Story):
    """One of them has another charger plugged in mid-charge: the outlet is dark until they say that it is theirs."""

    lived = 0

    def load_w(self, outlet: str) -> float:
        if outlet != "o1":
            return LOAD_W
        self.lived += 1
        at_drop = POWERED_BEATS - 2
        return LOAD_W if self.lived < at_drop else 0.0 if self.lived < at_drop + 2 else 2.5 * LOAD_W

    def wishes(self) -> Iterator[ev.Event]:
        live = self.rig.house.sessions.get("o1")
        if live is not None and live.pause is not None and live.pause.why == "plug":
            whose: dict[str, Any] = {"session": live.id, "outlet": "o1", "by": "party:p1"}
            yield ev.PlugAnswered(**self.rig.stamp(), **whose, key="answer", mine=True)
        yield from super().wishes()


def counted(folder: Path, play: type[Story] = Story) -> tuple[int, int]:
    """Commits and OFFs of a run that nobody kills."""
    Mortal.commits, Mortal.dies_at = 0, None
    story = play(folder)
    offs = 0

    def seen() -> None:
        nonlocal offs
        offs += 1

    for plug in story.rig.plugs.values():
        plug.on_off = seen
    story.run()
    check(story)
    return Mortal.commits, offs


def check(story: Story) -> None:
    """However it went: everything settled, proven off, dark, paid back, and the books sound."""
    rig = story.rig
    assert story.over(), (rig.sql("SELECT id, phase, reason FROM session"), rig.house.refunds, story.answered)
    assert proofs(rig.url) == []
    sessions = [session for (session,) in rig.sql("SELECT id FROM session")]
    assert len(sessions) == (2 if story.away_s < rig.rules.order_s else len(sessions))  # else the order had expired
    for session in sessions:
        done = rig.saved(session)
        assert done.phase is Phase.SETTLED
        assert done.proof == "measured"
        assert done.bill is not None
        assert 0 <= done.bill.total_fen <= done.hold_fen
    assert [plug.power_w for plug in rig.plugs.values()] == [0.0, 0.0]
    paid_back = rig.sql("SELECT SUM(amount_fen) FROM refund WHERE state = :state", state=str(RefundState.SUCCESS))[0][0]
    revenue = rig.sql("SELECT SUM(balance) FROM account WHERE code LIKE 'revenue:%'")[0][0] or 0
    card = rig.house.balances["card:c1"]
    assert revenue + paid_back + card == 3 * 200 + 300
    metered = sum(plug.counter_wh - 1000.0 for plug in rig.plugs.values())
    bills = [bill for session in sessions if (bill := rig.saved(session).bill) is not None]
    assert sum(line.wh for bill in bills for line in bill.lines if line.kind == "energy") <= metered


AWAY = {"a moment": 1.0, "longer than a lease": 150.0, "longer than a charge may sleep": 2000.0}


@pytest.mark.parametrize("away", AWAY)
def test_t32_the_gateway_can_be_killed_at_every_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], away: str
) -> None:
    (tmp_path / "whole").mkdir()
    commits, _ = counted(tmp_path / "whole")
    sides = ("before", "after") if away == "a moment" else ("after",)  # which side makes no difference to the wait
    points = [(at, when) for at in range(1, commits + 1) for when in sides]
    for at, when in points:
        Mortal.commits, Mortal.dies_at = 0, (at, when)
        story = told(tmp_path / f"{at}-{when}", AWAY[away])
        assert story.deaths == 1, (at, when)
        check(story)
    with capsys.disabled():
        print(f"\nkilled at {len(points)} points around {commits} commits, away for {away}")
    assert commits >= 15


@pytest.mark.parametrize("away", AWAY)
def test_t32_the_gateway_can_be_killed_after_every_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], away: str
) -> None:
    (tmp_path / "whole").mkdir()
    _, offs = counted(tmp_path / "whole")
    Mortal.dies_at = None
    for at in range(1, offs + 1):
        story = told(tmp_path / str(at), AWAY[away], dies_at_off=at)
        assert story.deaths == 1, at
        check(story)
    with capsys.disabled():
        print(f"\nkilled after each of {offs} OFFs, away for {away}")
    assert offs >= 2


def test_t32_the_gateway_can_be_killed_at_every_commit_of_a_charge_in_doubt(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    commits, _ = counted(tmp_path / "whole", Swapped)
    for at in range(BEFORE_THE_DOUBT, commits + 1):
        Mortal.commits, Mortal.dies_at = 0, (at, "after")
        story = told(tmp_path / f"{at}", AWAY["a moment"], play=Swapped)
        assert story.deaths == 1, at
        check(story)


def told(folder: Path, away_s: float, dies_at_off: int = 0, play: type[Story] = Story) -> Story:
    folder.mkdir()
    story = play(folder, away_s)
    left = dies_at_off

    def off() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    for plug in story.rig.plugs.values():
        plug.on_off = off
    story.run()
    story.rig.store.close()
    return story
