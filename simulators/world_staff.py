"""Staff as scripts: they make the site, adopt, prove and open by real events, and look after it all day."""

from collections.abc import Generator
from random import Random
from typing import TYPE_CHECKING, Any

from controller.core import events as ev
from controller.core.events import Change
from controller.core.house import House
from controller.core.ledger import card as card_account
from controller.core.reasons import StopReason
from controller.core.state import OutletPhase, RefundState
from simulators.world_devices import Spot, Watts
from simulators.world_ground import MERCHANT
from simulators.world_people import Script

if TYPE_CHECKING:
    from simulators.world import World

SITE = "s1"
LAMP_W = 60.0
PROVEN_S = 200.0
BANDS: list[dict[str, Any]] = [
    {"name": "valley", "from_min": 0, "to_min": 480, "energy_price": 3100, "service_price": 2500},
    {"name": "flat", "from_min": 480, "to_min": 1080, "energy_price": 5583, "service_price": 3000},
    {"name": "peak", "from_min": 1080, "to_min": 1320, "energy_price": 9200, "service_price": 3000},
    {"name": "valley", "from_min": 1320, "to_min": 1440, "energy_price": 3100, "service_price": 2500},
]


def changed(
    world: "World", change: Change, subject: str, by: str = "staff:owner", **values: object
) -> Generator[float, None, bool]:
    key = world.new_id("staff")
    reply = yield from world.asked(
        lambda stamp: ev.StaffChange(**stamp, key=key, by=by, change=change, subject=subject, values=values)
    )
    return reply.body is not None


def set_up(world: "World") -> Script:
    """From an empty database to open outlets and cards with money; nothing here goes past the one door."""
    yield from changed(world, Change.SITE, SITE, name="Compound", zone="Asia/Shanghai", merchant=MERCHANT, bands=BANDS)
    owner: dict[str, Any] = {"login": "owner", "name": "Owner", "password_hash": "x", "role": "owner", "sites": []}
    owner |= {"disabled": False}
    yield from changed(world, Change.STAFF, "owner", **owner)
    for number, device in enumerate(world.devices):
        mine = [spot for spot in world.spots.values() if spot.device is device]
        yield from changed(
            world,
            Change.ADOPT,
            device.found,
            site=SITE,
            name=f"Pile {number}",
            pile=f"pile{number}",
            outlets=[spot.outlet for spot in mine],
            numbers=[spot.outlet.upper() for spot in mine],
            stickers=[f"st-{spot.outlet}" for spot in mine],
        )
    for spot in world.spots.values():
        if not (yield from proven(world, spot)):
            world.checks.violated("a sound outlet failed its commissioning", f"{spot.outlet} {_why(world, spot)}")
    for number, uid in enumerate(world.uids):
        yield from changed(world, Change.CARD, f"c{number}", uid=uid, printed=f"No. {number}")
        yield from topped_up(world, f"c{number}", world.rng.choice((3, 6, 15, 60, 2_000)))
    if world.probes:
        yield from changed(world, Change.FINISH, SITE, rules={"probe": 1})
    yield from changed(world, Change.CARD, "poor", uid=world.poor_uid, printed="poor")
    yield from changed(world, Change.CARD, "frozen", uid="F0F0F0F0", printed="frozen", frozen=True)
    world.ready_s = world.now_s


def _why(world: "World", spot: Spot) -> str:
    house = world.house
    return "no gateway" if house is None else f"{house.outlets[spot.outlet].failed}"


def proven(world: "World", spot: Spot) -> Generator[float, None, bool]:
    """Commissioned with a lamp plugged in, then opened."""
    spot.plug(Watts(LAMP_W))
    yield 3.0
    done = yield from changed(world, Change.COMMISSION, spot.outlet)
    until_s = world.now_s + PROVEN_S
    while done and world.now_s < until_s and world.phase(spot.outlet) is OutletPhase.PROVING:
        yield 5.0
    spot.unplug()
    yield 12.0
    return done and (yield from changed(world, Change.OPEN, spot.outlet))


def topped_up(world: "World", card: str, amount_fen: int) -> Script:
    key = world.new_id("topup")
    yield from world.asked(
        lambda stamp: ev.CardToppedUp(**stamp, key=key, by="staff:owner", card=card, amount_fen=amount_fen)
    )


# -- the day ------------------------------------------------------------------------------------------------------


def caretaker(world: "World", until_s: float) -> Script:
    """Releases what was cut, clears latches of what was mended, proves again, pays by hand what the provider can't."""
    while world.now_s < until_s:
        yield 240.0
        for site in list(world.house.cuts) if world.house else ():
            yield from changed(world, Change.RELEASE_SITE, site)
        for spot in world.spots.values():
            yield from _looked_after(world, spot)
        for refund in (
            [r for r in world.house.refunds.values() if r.state is not RefundState.DUE] if world.house else ()
        ):
            yield from _by_hand(world, refund.id)
        yield from _full_cards(world)


def _looked_after(world: "World", spot: Spot) -> Script:
    house = world.house
    if house is None or spot.faults or spot.outlet not in house.outlets:
        return
    outlet = house.outlets[spot.outlet]
    if outlet.latch is not None:
        yield from changed(world, Change.CLEAR_LATCH, spot.outlet)
    if outlet.locked_by is not None:
        yield from changed(world, Change.UNLOCK, spot.outlet, owner=True)
    if outlet.phase is OutletPhase.ADOPTED and not spot.taken:
        spot.taken = True
        spot.plugs.come()
        yield from proven(world, spot)
        spot.taken = False
    elif outlet.phase is OutletPhase.COMMISSIONED:
        yield from changed(world, Change.OPEN, spot.outlet)


def _by_hand(world: "World", refund: str) -> Script:
    key = world.new_id("hand")
    yield from world.asked(lambda stamp: ev.RefundPaidByHand(**stamp, key=key, by="staff:owner", refund=refund))


def _full_cards(world: "World") -> Script:
    for card in _poor_cards(world.house):
        if world.rng.random() < 0.6:
            yield from topped_up(world, card, world.rng.choice((3, 8, 15, 60)))


def _poor_cards(house: House | None) -> list[str]:
    known = [] if house is None else [f"c{number}" for number in range(len(house.cards))]
    return [card for card in known if house is not None and house.balances.get(card_account(card), 3) < 3]


def busybody(world: "World", until_s: float) -> Script:
    """Whatever else staff do of a day, at any moment."""
    rng = world.child()
    while world.now_s < until_s:
        yield rng.uniform(200.0, 1_800.0)
        spot = rng.choice(list(world.spots.values()))
        yield from rng.choice(ERRANDS)(world, spot, rng)


def _shuts(world: "World", spot: Spot, rng: Random) -> Script:
    yield from changed(world, Change.CLOSE, spot.outlet)


def _locks(world: "World", spot: Spot, rng: Random) -> Script:
    yield from changed(world, Change.LOCK, spot.outlet, by="staff:guard")


def _stops_one(world: "World", spot: Spot, rng: Random) -> Script:
    house = world.house
    live = house.sessions.get(spot.outlet) if house is not None else None
    session = live.id if live is not None else "S-nobody"
    key = world.new_id("stop")
    yield from world.asked(
        lambda stamp: ev.StopAsked(
            **stamp,
            key=key,
            session=session,
            outlet=spot.outlet,
            by="staff:owner",
            reason=StopReason.STOPPED_BY_STAFF,
        )
    )


def _cuts_all(world: "World", spot: Spot, rng: Random) -> Script:
    key = world.new_id("cut")
    yield from world.asked(lambda stamp: ev.SiteCutAsked(**stamp, key=key, site=SITE, by="staff:owner"))


def _prices(world: "World", spot: Spot, rng: Random) -> Script:
    bands = [{**band, "service_price": rng.randrange(1_000, 4_000)} for band in BANDS[1:3]]
    bands = [{**bands[0], "from_min": 0}, {**bands[1], "to_min": 1440}]
    yield from changed(world, Change.TARIFF, SITE, name="new", bands=bands)


def _names(world: "World", spot: Spot, rng: Random) -> Script:
    yield from changed(world, Change.NAME, spot.outlet, number=f"N{rng.randrange(100)}")


def _proves_again(world: "World", spot: Spot, rng: Random) -> Script:
    """Whatever stands there; refused while it charges."""
    yield from changed(world, Change.COMMISSION, spot.outlet)


ERRANDS = (_shuts, _locks, _stops_one, _stops_one, _cuts_all, _prices, _names, _proves_again)
