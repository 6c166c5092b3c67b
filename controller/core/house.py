"""The decider's memory: everything a decision may look at, kept equal to the rows by applying them. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import ledger
from controller.core.bikes import KEPT_S, Bike
from controller.core.chargers import Charger
from controller.core.contacts import Contact, Wired, wired_of
from controller.core.errors import Refused
from controller.core.hardware import Hardware, hardware_of, keys_of, remembered
from controller.core.load import Grid, pile_key, site_key
from controller.core.state import Card, Cut, Order, OrderState, Outlet, Phase, Refund, RefundState, Seen, Session, Site
from controller.core.tags import staff_tag
from controller.core.tariff import Band, Tariff

KEYS_MAX = 100_000  # 15 minutes of asks at a hundred a second
ENDED_MAX = 10_000  # orders that money may still come for, or come twice for
TAPS_MAX = 1_000  # anybody can tap any number; a tap is of interest for seconds


class House:
    """Live sessions, open orders, owed refunds, balances with a floor; the settled past stays in the database."""

    def __init__(self) -> None:
        self.merchants: dict[str, str] = {}  # id → name, as of piles
        self.piles: dict[str, str] = {}
        self.sites: dict[str, Site] = {}
        self.outlets: dict[str, Outlet] = {}
        self.seen: dict[str, Seen] = {}
        self.grid = Grid()  # limits of power, and who waits for it
        self.sessions: dict[str, Session] = {}  # by outlet: at most one is live
        self.orders: dict[str, Order] = {}
        self.order_keys: dict[str, str] = {}
        self.ended: dict[str, Order] = {}  # the newest ENDED_MAX that are no longer open
        self.cuts: dict[str, Cut] = {}  # by site, while nobody has released it
        self.wired: dict[str, dict[int, Wired]] = {}  # by pile
        self.contacts: dict[str, dict[int, Contact]] = {}  # by pile and number; never stored
        self.active: set[str] = set()  # keys of feeders that an active input keeps dead
        self.bikes: dict[str, Bike] = {}
        self.chargers: dict[str, Charger] = {}
        self.finish: dict[str, dict[str, float]] = {}  # by site: approved settings of its detector
        self.cards: dict[str, Card] = {}
        self.uids: dict[str, str] = {}
        self.refunds: dict[str, Refund] = {}
        self.balances: dict[str, int] = {}  # by account, without the holds of sessions that have settled
        self.entries: dict[str, str] = {}  # key → body hash, the newest KEYS_MAX
        self.readers: set[str] = set()  # outlets whose device has shown that it reads cards
        self.taps: dict[str, float] = {}
        self.logins: dict[str, str] = {}  # of staff → id
        self.staff: dict[str, str] = {}  # id → tag
        self.hardware: dict[str, Hardware] = {}  # by pile
        self.owners: dict[str, str] = {}  # device → its pile
        self.found: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.outbox: dict[str, int] = {}  # slot → version
        self.versions = 0
        self.paid: dict[str, tuple[str, str]] = {}  # order of a live session → (provider, txn)
        self.reachable: set[str] = set()  # parties that left an address; the address itself is not known here
        self.secrets: dict[str, str] = {}  # order → hash of its secret, while something may be asked with it

    def session_of_card(self, card: str) -> Session | None:
        return next((s for s in self.sessions.values() if s.card == card), None)

    def outlet(self, outlet: str) -> Outlet:
        known = self.outlets.get(outlet)
        if known is None:
            raise Refused("unknown_outlet", f"there is no outlet {outlet}")
        return known

    def site_of_pile(self, pile: str) -> str:
        feeder = self.grid.feeders.get(pile_key(pile))
        return "" if feeder is None else feeder.site

    def made_of(self, pile: str, hardware: Hardware) -> None:
        """Whatever it was made of before may be found again."""
        for key in keys_of(self.hardware[pile]) if pile in self.hardware else ():
            self.owners.pop(key, None)
        self.hardware[pile] = remembered(hardware)
        self.owners.update(dict.fromkeys(keys_of(hardware), pile))

    def contact(self, pile: str, number: int) -> Contact | None:
        return self.contacts.get(pile, {}).get(number)

    def heard(self, pile: str, number: int, contact: Contact) -> None:
        before = self.contact(pile, number)
        self.contacts.setdefault(pile, {})[number] = contact
        if number in self.wired.get(pile, {}) and (before is None or before.on is not contact.on):
            self._find_active()

    def is_active(self, pile: str, number: int, wired: Wired) -> bool:
        """As far as it was heard."""
        contact = self.contact(pile, number)
        return contact is not None and wired.is_active(contact.on)

    def scope_key(self, pile: str, wired: Wired) -> str:
        """The feeder whose outlets this input keeps dead."""
        return pile_key(pile) if wired.scope == "pile" else site_key(self.site_of_pile(pile))

    def _find_active(self) -> None:
        self.active = {
            self.scope_key(pile, wired)
            for pile, of_pile in self.wired.items()
            for number, wired in of_pile.items()
            if self.is_active(pile, number, wired)
        }

    def wire(self, pile: str, wired: dict[int, Wired]) -> None:
        self.wired.pop(pile, None)
        if wired:
            self.wired[pile] = wired
        self._find_active()

    def tapped(self, uid: str, steady_s: float) -> float | None:
        """Remembers a tap; when (steady) the same card was tapped before, if that is still known."""
        last_s = self.taps.pop(uid, None)
        self.taps[uid] = steady_s
        _bounded(self.taps, TAPS_MAX)
        return last_s

    def has_posted(self, entry: ledger.Entry) -> bool:
        """True for a repeat; Refused("conflict") if the key was used for something else."""
        body_hash = self.entries.get(entry.key)
        if body_hash is None:
            return False
        if body_hash != entry.body_hash:
            raise Refused("conflict", f"{entry.key} was booked with other contents")
        return True

    def check(self, rows: Iterable[fx.Effect]) -> None:
        """Refuses what a floor in the database would refuse, before a row exists."""
        balances: dict[str, int] = {}
        for row in rows:
            if isinstance(row, fx.Post):
                balances.update(ledger.posted({**self.balances, **balances}, row.entry))

    def apply(self, row: fx.Effect) -> None:
        handler = _APPLY.get(type(row))
        if handler is not None:
            handler(self, row)


def _session(house: House, row: fx.SaveSession) -> None:
    session = row.session
    if session.phase is Phase.SETTLED:
        house.sessions.pop(session.outlet, None)
        house.secrets.pop(session.order or "", None)
        house.paid.pop(session.order or "", None)
    else:
        house.sessions[session.outlet] = session


def _outlet(house: House, row: fx.SaveOutlet) -> None:
    house.outlets[row.outlet.id] = row.outlet
    house.seen.setdefault(row.outlet.id, Seen())
    house.grid.hang(row.outlet)


def _order(house: House, row: fx.SaveOrder) -> None:
    order = row.order
    house.order_keys[order.key] = order.id
    _bounded(house.order_keys, KEYS_MAX)
    if order.state is OrderState.PAID and order.txn is not None:
        house.paid[order.id] = (order.provider, order.txn)
    if order.state in (OrderState.OPEN, OrderState.PAID):
        house.secrets[order.id] = order.secret_hash
    if order.state is OrderState.OPEN:
        house.orders[order.id] = order
    else:
        house.orders.pop(order.id, None)
        _remember_ended(house, order)


def _remember_ended(house: House, order: Order) -> None:
    """What the database says of an order may be older than what was just decided."""
    house.ended[order.id] = order
    while len(house.ended) > ENDED_MAX:
        forgotten = house.ended.pop(next(iter(house.ended)))
        house.order_keys.pop(forgotten.key, None)
        if all(live.order != forgotten.id for live in house.sessions.values()):
            house.secrets.pop(forgotten.id, None)


def _card(house: House, row: fx.SaveCard) -> None:
    house.cards[row.card.id] = row.card
    house.uids[row.card.uid] = row.card.id


def _refund(house: House, row: fx.SaveRefund) -> None:
    if row.refund.state in (RefundState.SUCCESS, RefundState.BY_HAND):
        house.refunds.pop(row.refund.id, None)
    else:
        house.refunds[row.refund.id] = row.refund


def _post(house: House, row: fx.Post) -> None:
    changed = ledger.posted(house.balances, row.entry)
    house.balances.update(changed)
    for account in (name for name, fen in changed.items() if fen == 0 and ledger.is_hold(name)):
        del house.balances[account]
    house.entries[row.entry.key] = row.entry.body_hash
    _bounded(house.entries, KEYS_MAX)


def _bounded(newest: dict[str, Any], at_most: int) -> None:
    while len(newest) > at_most:
        newest.pop(next(iter(newest)))


def _wish(house: House, row: fx.Wish) -> None:
    house.versions += 1
    house.outbox[row.slot] = house.versions


def _wish_done(house: House, row: fx.WishDone) -> None:
    if row.retry_at is None and house.outbox.get(row.slot) == row.version:
        del house.outbox[row.slot]


def _power(house: House, row: fx.SavePower) -> None:
    house.grid.limit(f"{row.of}:{row.id}", row.power_w)


def _cut(house: House, row: fx.SaveCut) -> None:
    if row.cut is None:
        house.cuts.pop(row.site, None)
    else:
        house.cuts[row.site] = row.cut


def _inputs(house: House, row: fx.SaveInputs) -> None:
    house.wire(row.pile, wired_of(row.inputs))


def _bike(house: House, row: fx.SaveBike) -> None:
    """Whoever came last stands last."""
    bikes, bike = house.bikes, row.bike
    bikes.pop(bike.id, None)
    bikes[bike.id] = bike
    while (oldest := next(iter(bikes.values()))).at < bike.at - KEPT_S:
        del bikes[oldest.id]


def _charger(house: House, row: fx.SaveCharger) -> None:
    house.chargers[row.charger.id] = row.charger


def _finish(house: House, row: fx.SaveFinish) -> None:
    if row.rules:
        house.finish[row.site] = row.rules
    else:
        house.finish.pop(row.site, None)


def _put(house: House, row: fx.Put) -> None:
    if row.table == "party_identity":
        house.reachable.add(str(row.values["party_id"]))
    elif row.table == "site":
        house.sites[str(row.values["id"])] = site_of(row.values)
    elif row.table == "staff":
        house.logins[str(row.values["login"])] = str(row.values["id"])
        house.staff[str(row.values["id"])] = staff_tag(row.values)
    elif row.table == "merchant":
        house.merchants[str(row.values["id"])] = str(row.values["name"])
    elif row.table == "pile":
        house.piles[str(row.values["id"])] = str(row.values["name"])
        house.made_of(str(row.values["id"]), hardware_of(row.values))
    elif row.table == "found":
        house.found[str(row.values["id"])] = dict(row.values)


def _name_pile(house: House, row: fx.NamePile) -> None:
    house.piles[row.id] = row.name


def _firmware(house: House, row: fx.SaveFirmware) -> None:
    old = house.hardware.get(row.pile)
    if old is not None:
        house.hardware[row.pile] = replace(old, firmware=row.firmware, model=row.model or old.model)


def _hardware(house: House, row: fx.SaveHardware) -> None:
    """The counters of the new device begin elsewhere; what its contacts show it must say itself."""
    house.made_of(row.pile, row.hardware)
    house.seen.update((outlet, Seen()) for outlet in row.outlets)
    house.readers.difference_update(row.outlets)
    house.contacts.pop(row.pile, None)
    house.wire(row.pile, house.wired.get(row.pile, {}))


def _drop(house: House, row: fx.Drop) -> None:
    if row.table == "found":
        house.found.pop(row.key, None)
    elif row.table == "party_identity":
        house.reachable.discard(row.key)
    elif row.table == "bike":
        house.bikes.pop(row.key, None)


def site_of(values: dict[str, Any]) -> Site:
    """A site's row with its tariff inside (`tariff`: id, name, zone, bands)."""
    return Site(values["id"], values["name"], values["zone"], values["merchant_id"], tariff_of(values["tariff"]))


def tariff_of(values: dict[str, Any]) -> Tariff:
    bands = tuple(msgspec.convert(band, Band) for band in values["bands"])
    return Tariff(values["id"], values["name"], values["zone"], bands)


_APPLY: dict[type, Any] = {
    fx.SaveSession: _session,
    fx.SaveOutlet: _outlet,
    fx.SaveOrder: _order,
    fx.SaveCard: _card,
    fx.SaveRefund: _refund,
    fx.Post: _post,
    fx.Wish: _wish,
    fx.WishDone: _wish_done,
    fx.SavePower: _power,
    fx.SaveCut: _cut,
    fx.SaveInputs: _inputs,
    fx.SaveBike: _bike,
    fx.SaveCharger: _charger,
    fx.SaveFinish: _finish,
    fx.Put: _put,
    fx.NamePile: _name_pile,
    fx.SaveFirmware: _firmware,
    fx.SaveHardware: _hardware,
    fx.Drop: _drop,
}
