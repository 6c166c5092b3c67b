"""What the decider lets others see at once: one view an outlet, newest wins, read without a lock or a query."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from controller.core.programme import Failure
from controller.core.state import Cut
from controller.readiness import Check


class Paused(msgspec.Struct, frozen=True):
    """A charge in doubt: since when, and what it is billed if the doubt is not cleared. `why` as in `state.Why`."""

    why: str
    at: float
    used_wh: float
    cost_fen: int
    evidence: dict[str, float] = {}
    counts_at: float | None = None  # from when its patience counts, if not from `at`


class View(msgspec.Struct, frozen=True):
    outlet: str
    number: str
    site: str
    pile: str
    phase: str  # of the outlet: adopted, proving, commissioned, open, metering_only
    lease_class: str
    linked: bool
    latch: str | None = None
    locked_by: str | None = None
    dead: str | None = None  # why it may not be energised: input_active, site_cut, latched, locked
    power_w: float | None = None
    relay_on: bool | None = None
    reading_at: float | None = None
    proving_step: str | None = None
    proving_steps: tuple[str, ...] = ()  # of the programme under way, as far as is known by now
    proving_todo: str = ""  # what a person has to do for it now: plug_load, take_away, give_back, wait_on
    proving_measured: dict[str, float] = {}
    failed: str | None = None
    failure: Failure | None = None
    session: str | None = None
    session_phase: str | None = None
    party: str | None = None
    order: str | None = None
    secret_hash: str | None = None
    reason: str | None = None
    opened_at: float | None = None
    started_at: float | None = None
    used_wh: float = 0.0
    cost_fen: int = 0
    hold_fen: int = 0
    max_s: float = 0.0
    stop_at: int = 100  # per cent: at about how full its rider wants it to stop
    lease_left_s: float | None = None
    reader: bool = False
    place: int | None = None  # in the line of its site; 1 is next
    paused: bool = False  # was charging, and waits for room to go on
    reserved_w: int = 0  # what it counts for, where there is a limit
    plateau_w: float | None = None  # what it is known to come to, once that is known
    tail: bool = False
    pause: Paused | None = None


class Load(msgspec.Struct, frozen=True):
    """A site or pile with a limit: what it may draw, what is spoken for, what was measured, and who waits."""

    limit_w: float
    reserved_w: int
    drawn_w: int
    waiting_w: int
    waiting: int


class InputView(msgspec.Struct, frozen=True):
    """One contact of a pile: what hangs on it ("": nothing that we know of), and what it shows."""

    number: int
    kind: str
    scope: str
    normally: str
    on: bool | None  # None: not heard yet
    state: str  # calm, active, lost


class Health(msgspec.Struct, frozen=True):
    """What /readyz and the pages' banners need."""

    clock_trusted: bool = True
    database_away_s: float = 0.0
    sessions_live: int = 0
    links_down: int = 0
    at: float = 0.0
    steady_s: float | None = None  # of the step that said so; None: no step yet


class Glance(Protocol):
    """What a view will be made of, as it was at one moment."""

    @property
    def pile(self) -> str: ...

    @property
    def session(self) -> str | None: ...

    @property
    def secret_hash(self) -> str | None: ...

    def view(self) -> View: ...


class Views(Mapping[str, View]):
    """By outlet. A view is made when somebody looks: of a hundred readings ninety-nine are never looked at."""

    def __init__(self) -> None:
        self._kept: dict[str, View | Glance] = {}

    def keep(self, outlet: str, what: View | Glance) -> View | Glance | None:
        """The newest of an outlet; returns what was there."""
        old = self._kept.get(outlet)
        self._kept[outlet] = what
        return old

    def clear(self) -> None:
        self._kept.clear()

    def of_pile(self, pile: str) -> list[View]:
        return [_made(what) for what in list(self._kept.values()) if what.pile == pile]

    def of_session(self, session: str) -> View | None:
        return next((_made(what) for what in list(self._kept.values()) if what.session == session), None)

    def __getitem__(self, outlet: str) -> View:
        return _made(self._kept[outlet])

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._kept))  # the decider may add one meanwhile

    def __len__(self) -> int:
        return len(self._kept)


def _made(what: View | Glance) -> View:
    return what if isinstance(what, View) else what.view()


class Board:
    """Written by the decider, read by anybody: assignments of frozen values, atomic under the interpreter."""

    def __init__(self) -> None:
        self.views = Views()
        self.health = Health()
        self.checks: tuple[Check, ...] = ()  # what must hold for something new to start
        self.pay_urls: dict[str, str] = {}  # by order, while it is open
        self.lasted: dict[str, tuple[float, ...]] = {}  # by site: how long its last charges took, in seconds
        self.loads: dict[str, Load] = {}  # "site:<id>" and "pile:<id>" that have a limit
        self.cuts: dict[str, Cut] = {}  # sites that nobody has released
        self.inputs: dict[str, tuple[InputView, ...]] = {}  # by pile
        self._by_secret: dict[str, str] = {}

    def put(self, view: View) -> None:
        self.show(view.outlet, view)

    def show(self, outlet: str, what: View | Glance) -> None:
        old, now = self.views.keep(outlet, what), what.secret_hash
        before = None if old is None else old.secret_hash
        if before == now:
            return
        if before is not None:
            self._by_secret.pop(before, None)
        if now is not None:
            self._by_secret[now] = outlet

    def by_secret(self, secret_hash: str) -> View | None:
        """The live session's view for an order's secret, without a database."""
        view = self.views.get(self._by_secret.get(secret_hash, ""))
        return view if view is not None and view.secret_hash == secret_hash else None

    def by_session(self, session: str) -> View | None:
        return self.views.of_session(session)
