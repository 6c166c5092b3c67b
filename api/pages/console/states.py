"""What an outlet, a session, an order or a refund is called, with its colour and its shape."""

from typing import Final

import msgspec

from controller.records import OutletRow
from controller.views import Board, View


class State(msgspec.Struct, frozen=True):
    """`name` is the shape too. Grey is dead and safe, green flows, blue is on its way, amber waits, red is a fault."""

    name: str
    tone: str


FREE, CHARGING = State("free", "grey"), State("charging", "green")
QUEUED = State("queued", "amber")
STARTING, ENDING = State("starting", "blue"), State("ending", "blue")
INTERRUPTED, FAULT = State("interrupted", "amber"), State("fault", "red")
CUT = State("cut", "red")
LOCKED, OFFLINE = State("locked", "amber"), State("offline", "amber")
PROVING, ADOPTED = State("proving", "blue"), State("adopted", "amber")
CLOSED, METERING = State("closed", "grey"), State("metering", "grey")

OF_SESSION: Final = {
    "queued": QUEUED,
    "opening": STARTING,
    "charging": CHARGING,
    "suspended": INTERRUPTED,
    "closing": ENDING,
}
OF_OUTLET: Final = {
    "adopted": ADOPTED,
    "proving": PROVING,
    "commissioned": CLOSED,
    "open": FREE,
    "metering_only": METERING,
}
OF_ORDER: Final = {"open": "blue", "paid": "grey", "expired": "grey", "cancelled": "grey", "rejected": "amber"}
ORDER_MARK: Final = {"open": "starting", "paid": "check", "expired": "cross", "cancelled": "cross", "rejected": "back"}
OF_REFUND: Final = {"due": "blue", "success": "grey", "closed": "red", "abnormal": "red", "by_hand": "grey"}
REFUND_MARK: Final = {
    "due": "starting",
    "success": "check",
    "closed": "fault",
    "abnormal": "fault",
    "by_hand": "check",
}
CALM: Final = frozenset({"finished", "unplugged", "time_limit", "energy_limit", "credit_used", "stopped_by_resident"})
NO_HARM: Final = frozenset({"never_plugged", "cancelled", "stopped_by_staff", "device_stop", "power_loss"})


def state_of(view: View) -> State:
    """The first thing that is true of it, worst first; what may be live, or is not proven off, is not called cut."""
    cut = view.dead in ("input_active", "site_cut")
    true_of_it = (
        (FAULT, view.latch == "relay_fault"),
        (ENDING, cut and view.session_phase == "closing"),
        (CUT, cut),
        (FAULT, view.latch is not None),
        (LOCKED, view.locked_by is not None),
        (OFFLINE, not view.linked),
    )
    at_work = OF_OUTLET.get(view.phase, CLOSED)
    if view.session is not None:
        at_work = OF_SESSION.get(view.session_phase or "", ENDING)
    return next((state for state, holds in true_of_it if holds), at_work)


def view_of(board: Board, row: OutletRow) -> View:
    """Live if the decider has shown it, else what its row says: not heard of since this program began."""
    known = board.views.get(row.id)
    if known is not None:
        return known
    return View(
        outlet=row.id,
        number=row.number,
        site=row.site_id,
        pile=row.pile_id,
        phase=row.phase,
        lease_class=row.lease_class,
        linked=False,
        latch=row.latch,
        locked_by=row.locked_by,
    )


def tone_of_end(reason: str) -> tuple[str, str]:
    """Tone and shape of a stop reason."""
    if reason in CALM:
        return "grey", "check"
    return ("amber", "interrupted") if reason in NO_HARM else ("red", "fault")
