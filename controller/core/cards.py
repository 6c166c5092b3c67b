"""Prepaid cards: money put on one at the office, and taps at an outlet, which start a charge or stop it. Pure."""

from msgspec.structs import replace

from controller.core import effects as fx
from controller.core import events as ev
from controller.core import garage, ledger
from controller.core.errors import Refused
from controller.core.house import House
from controller.core.starting import Context, Outcome, check_can_start, new_session
from controller.core.state import Card, Session

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
    """First tap starts, second tap stops; taps closer than `tap_s` are one. A card is a name, never a proof."""
    house.readers.add(event.outlet)
    last_s = house.tapped(event.uid, event.steady_s)
    if last_s is not None and event.steady_s - last_s < ctx.rules.tap_s:
        return Outcome((), {"repeat": True})
    card = house.cards.get(house.uids.get(event.uid, ""))
    if card is None:
        raise Refused("card_unknown", "this card is not known here")
    running = house.session_of_card(card.id)
    if running is not None:
        return _second_tap(running, event)
    return _first_tap(house, card, event, ctx)


def _second_tap(running: Session, event: ev.CardTapped) -> Outcome:
    if running.outlet != event.outlet:
        raise Refused("card_busy", "this card is charging at another outlet")
    return Outcome((), {"stop": running.id})


def _first_tap(house: House, card: Card, event: ev.CardTapped, ctx: Context) -> Outcome:
    if card.frozen:
        raise Refused("card_frozen", "this card is frozen")
    check_can_start(house, event.outlet, ctx)
    hold_fen = min(house.balances.get(ledger.card(card.id), 0), ctx.rules.card_hold_fen)
    if hold_fen <= 0:
        raise Refused("card_empty", "there is no money on this card")
    session = new_session(house, event.session, event.outlet, card.party, hold_fen, ctx.rules.session_s, event)
    session = garage.fitted(house, replace(session, card=card.id), card.party)  # a card is a bike unless told otherwise
    entry = ledger.card_held(card.id, session.id, hold_fen, event.at, f"party:{card.party}")
    effects = (fx.Post(entry), fx.SaveSession(session), fx.Moment(session.id, event.at, "card_tapped"))
    return Outcome(effects, {"session": session.id})
