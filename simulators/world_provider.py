"""The provider's side of the world: what goes wrong there, and its notices at our own door."""

from random import Random
from typing import TYPE_CHECKING, Any

from controller.core import events as ev
from simulators import provider_books
from simulators.world_ground import PROVIDER
from simulators.world_people import Script

if TYPE_CHECKING:
    from simulators.world import World

ON_THE_WIRE = tuple(
    provider_books.Fault(name)
    for name in (
        "lose_request",
        "effect_then_timeout",
        "server_error",
        "drop_webhook",
        "late_webhook",
        "duplicate_webhook",
        "refund_closed",
        "refund_abnormal",
        "not_enough",
    )
)


def provider(world: "World", rng: Random) -> Script:
    fault = rng.choice(ON_THE_WIRE)
    before = world.books.faults[fault]
    world.books.arm(fault, rng.choice((1, 1, 2, 3)))
    yield rng.uniform(60.0, 600.0)
    world.faults[f"provider_{fault}"] += max(0, before + 1 - world.books.faults[fault])
    world.books.faults[fault] = 0


def notified(world: "World", body: dict[str, Any], event_id: str) -> Script:
    """One try of one notice: accepted once it was answered, whatever the answer was."""
    said: dict[str, Any] = {name: body[name] for name in ("merchant", "amount_fen")}
    said |= {"provider": PROVIDER, "key": f"{PROVIDER}:{event_id}"}

    def event(stamp: dict[str, Any]) -> ev.Event:
        if body["kind"] == "refund":
            return ev.RefundConfirmed(refund=body["refund_no"], state=body["state"], **said, **stamp)
        named = {"app": body["app"], "order": body["order_no"], "txn": body["txn_id"], "currency": body["currency"]}
        return ev.PaymentConfirmed(**named, **said, **stamp)

    reply = yield from world.asked(event, tries=1)
    if reply.answered:
        world.books.accepted(event_id)
