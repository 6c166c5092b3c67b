"""What the decider lets others see at once: one view an outlet, newest wins, read without a lock or a query."""

import msgspec

from controller.readiness import Check


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
    power_w: float | None = None
    relay_on: bool | None = None
    reading_at: float | None = None
    proving_step: str | None = None
    failed: str | None = None
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
    lease_left_s: float | None = None
    reader: bool = False


class Health(msgspec.Struct, frozen=True):
    """What /readyz and the pages' banners need."""

    clock_trusted: bool = True
    database_away_s: float = 0.0
    sessions_live: int = 0
    links_down: int = 0
    at: float = 0.0
    steady_s: float | None = None  # of the step that said so; None: no step yet


class Board:
    """Written by the decider, read by anybody: assignments of frozen values, atomic under the interpreter."""

    def __init__(self) -> None:
        self.views: dict[str, View] = {}
        self.health = Health()
        self.checks: tuple[Check, ...] = ()  # what must hold for something new to start
        self.pay_urls: dict[str, str] = {}  # by order, while it is open
        self._by_secret: dict[str, str] = {}

    def put(self, view: View) -> None:
        old = self.views.get(view.outlet)
        if old is not None and old.secret_hash not in (None, view.secret_hash):
            self._by_secret.pop(old.secret_hash, None)
        self.views[view.outlet] = view
        if view.secret_hash is not None:
            self._by_secret[view.secret_hash] = view.outlet

    def by_secret(self, secret_hash: str) -> View | None:
        """The live session's view for an order's secret, without a database."""
        view = self.views.get(self._by_secret.get(secret_hash, ""))
        return view if view is not None and view.secret_hash == secret_hash else None

    def by_session(self, session: str) -> View | None:
        return next((v for v in self.views.values() if v.session == session), None)
