"""Prepaid cards: money put on one at the office, and taps at an outlet, which start a charge or stop it. Pure."""

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import garage, ledger
from controller.core.errors import Refused
from controller.core.house import House
from controller.core.load import pile_key
from controller.core.moves import owed
from controller.core.starting import Context, Outcome, check_can_start, new_session
from controller.core.state import Card, Session
from controller.core.tariff import bill, used

TOPUP_FEN_MAX = 100_000  # an unnamed prepaid card may hold 1,000 yuan


def card_topped_up(house: House, event: ev.CardToppedUp, ctx: Context) -> Outcome:
    if event.card not in house.cards:
        raise Refused("card_unknown", f"there is no card {event.card}")
    entry = ledger.card_topped_up(event.key, _office(house), event.card, event.amount_fen, event.by, event.at)
    if house.has_posted(entry) or ctx.found.get("entry") == entry.body_hash:
        return Outcome((), {"card": event.card, "repeat": True})
    if ctx.found.get("entry") is not None:
        raise Refused("conflict", f"top-up {event.key} was booked with other contents")
    balance = house.balances.get(ledger.card(event.card), 0)
    if not 1 <= event.amount_fen <= TOPUP_FEN_MAX - balance:
        raise Refused("amount", f"a card holds at most {TOPUP_FEN_MAX} fen")
    audit = fx.Audit(event.at, event.by, "card_topped_up", event.card, {"amount_fen": event.amount_fen})
    return Outcome((fx.Post(entry), audit), {"card": event.card, "balance_fen": balance + event.amount_fen})


def _office(house: House) -> str:
    merchants = {site.merchant for site in house.sites.values()}
    if len(merchants) != 1:
        raise Refused("invalid", "make a site first: a card's money belongs to its merchant")
    return merchants.pop()


def card_tapped(house: House, event: ev.CardTapped, ctx: Context) -> Outcome:
    """First tap starts, second tap stops; taps closer than `tap_s` are one. A card is a name, never a proof.

    At a reader for a whole pile a tap without an outlet only says who it is, unless that card charges there: then it
    stops. The answer says what was done (`session`, `stop`, `choose` or `repeat`), where, and what the card is left.
    """
    house.readers |= _outlets_at(house, event)
    if _is_repeat(house, event, ctx.rules.tap_s):
        return Outcome((), {"repeat": True})
    card = house.cards.get(house.uids.get(event.uid, ""))
    if card is None:
        raise Refused("card_unknown", "this card is not known here")
    running = house.session_of_card(card.id)
    if running is not None:
        return _second_tap(house, card, running, event)
    if _chooses(event):
        return _told_who(house, card, event, ctx)
    return _first_tap(house, card, event, ctx)


def _outlets_at(house: House, event: ev.CardTapped) -> set[str]:
    """Those that this reader serves; Refused if that is none, or not the one that was chosen."""
    if not event.pile:
        return {house.outlet(event.outlet).id}
    feeder = house.grid.feeders.get(pile_key(event.pile))
    if feeder is None or (event.outlet and event.outlet not in feeder.outlets):
        raise Refused("unknown_outlet", f"pile {event.pile} has no outlet {event.outlet or 'at all'}")
    return feeder.outlets


def _chooses(event: ev.CardTapped) -> bool:
    """Nothing starts by it, so what is chosen a second later is no repeat of it."""
    return bool(event.pile) and not event.outlet


def _is_repeat(house: House, event: ev.CardTapped, tap_s: float) -> bool:
    last_s = house.taps.get(event.uid)
    repeat = last_s is not None and event.steady_s - last_s < tap_s
    if repeat or not _chooses(event):
        house.tapped(event.uid, event.steady_s)
    return repeat


def _second_tap(house: House, card: Card, running: Session, event: ev.CardTapped) -> Outcome:
    at = house.outlets[running.outlet]
    if event.outlet != at.id and event.pile != at.pile:
        raise Refused("card_busy", "this card is charging at another outlet")
    house.tapped(event.uid, event.steady_s)
    cost_fen = min(running.hold_fen, bill(running.tariff, used(owed(running))).total_fen)
    left_fen = house.balances.get(ledger.card(card.id), 0) + running.hold_fen - cost_fen
    answer = {"stop": running.id, "outlet": at.id, "cost_fen": cost_fen, "balance_fen": left_fen}
    return Outcome((), answer)


def _told_who(house: House, card: Card, event: ev.CardTapped, ctx: Context) -> Outcome:
    """Whoever could start nothing anywhere need not choose."""
    if ctx.not_selling is not None:
        raise Refused(ctx.not_selling, "nothing new is started now")
    return Outcome((), {"choose": event.pile, "balance_fen": _money_on(house, card)})


def _money_on(house: House, card: Card) -> int:
    if card.frozen:
        raise Refused("card_frozen", "this card is frozen")
    balance_fen = house.balances.get(ledger.card(card.id), 0)
    if balance_fen <= 0:
        raise Refused("card_empty", "there is no money on this card")
    return balance_fen


def _first_tap(house: House, card: Card, event: ev.CardTapped, ctx: Context) -> Outcome:
    balance_fen = _money_on(house, card)
    check_can_start(house, event.outlet, ctx)
    hold_fen = min(balance_fen, ctx.rules.card_hold_fen)
    session = new_session(house, event.session, event.outlet, card.party, hold_fen, ctx.rules.session_s, event)
    session = garage.fitted(house, replace(session, card=card.id), card.party)  # a card is a bike unless told otherwise
    entry = ledger.card_held(card.id, session.id, hold_fen, event.at, f"party:{card.party}")
    effects = (fx.Post(entry), fx.SaveSession(session), fx.Moment(session.id, event.at, "card_tapped"))
    return Outcome(effects, {"session": session.id, "outlet": event.outlet, "balance_fen": balance_fen})
