"""Every word that a refusal may carry: its status, what it means, and what to do next. Programs rely on the words."""

import msgspec


class Code(msgspec.Struct, frozen=True):
    status: int
    title: str
    todo: str


_RELOAD = "Read it again and repeat your change on what you find."
_LATER = "Ask again in a few seconds with the same key."

CODES: dict[str, Code] = {
    # -- the request
    "invalid": Code(422, "Something in the request is not right.", "Mend the named field and send it again."),
    "amount": Code(422, "The amount is outside what is allowed.", "Send an amount within the limits named."),
    "cursor": Code(422, "This cursor is not one of ours.", "Begin again without a cursor."),
    "password_length": Code(422, "The password is too short or too long.", "Choose one of 12 to 256 characters."),
    "tariff_empty": Code(422, "The tariff has no bands.", "Send at least one band."),
    "tariff_zone": Code(422, "There is no such time zone.", "Send an IANA name such as Asia/Shanghai."),
    "tariff_band": Code(422, "A band of the tariff is not right.", "Name each band; let its minutes run forward."),
    "tariff_price": Code(422, "A price is outside its limits.", "Send whole 1/100 fen per kWh within the limits."),
    "tariff_overlap": Code(422, "Two bands overlap.", "Let each minute of the day belong to one band."),
    "tariff_gap": Code(422, "Some minutes of the day have no band.", "Let the bands cover minutes 0 to 1440."),
    "tariff_name": Code(422, "A band's name has two prices.", "Give the second band another name."),
    "not_acceptable": Code(406, "This answers JSON only.", "Send Accept: application/json, or none."),
    "not_json": Code(415, "The body is not JSON.", "Send the body as JSON, with Content-Type: application/json."),
    "too_large": Code(413, "The body is too large.", "Send at most a megabyte."),
    "too_slow": Code(408, "The body took too long.", "Send the whole body within ten seconds."),
    "method_not_allowed": Code(405, "This path has no such method.", "Use one of the methods named by Allow."),
    # -- who asks
    "not_logged_in": Code(401, "Nobody is logged in.", "Log in, and send the token as Authorization: Bearer."),
    "login_failed": Code(401, "This login and password don't fit.", "Check both; an owner can set a new password."),
    "not_allowed_role": Code(403, "This needs another role.", "Ask somebody with a role in the operation's x-roles."),
    "not_allowed_csrf": Code(
        403, "This did not come from a page of ours.", "Send the session's token in X-CSRF-Token, or use Bearer."
    ),
    "not_allowed_person": Code(403, "This is for people, not for tokens.", "Log in with a name and password for it."),
    "streams_each": Code(429, "You have too many streams open.", "Close one, or wait for the seconds named."),
    "too_fast": Code(429, "Too many wrong tries.", "Wait for the seconds named by Retry-After."),
    "not_yours_to_give": Code(403, "A token has no more rights than its maker.", "Choose a role and sites you have."),
    "hook_url": Code(422, "This address can't be told.", "Give a public https address without a user or a #part."),
    # -- things that are not there, or not for whoever asks
    "not_found": Code(404, "There is no such path.", "See /api/v1/openapi.json for what there is."),
    "unknown": Code(404, "There is no such thing, or not for you.", "Check the id; lists show what you may see."),
    "unknown_outlet": Code(404, "There is no such outlet.", "Check the id in /api/v1/outlets."),
    "unknown_order": Code(404, "There is no such order.", "Check the id in /api/v1/orders."),
    "unknown_refund": Code(404, "There is no such refund.", "Check the id in /api/v1/refunds."),
    "unknown_site": Code(404, "There is no such site.", "Check the id in /api/v1/sites."),
    "unknown_device": Code(404, "No such device waits to be adopted.", "Check the id in /api/v1/found."),
    "card_unknown": Code(404, "There is no such card.", "Check the id in /api/v1/cards."),
    # -- not now
    "conflict": Code(409, "It contradicts what is there.", "Look at what is there; a new wish takes a new key."),
    "changed": Code(412, "Somebody else changed it meanwhile.", _RELOAD),
    "busy": Code(409, "The outlet is in use.", "Wait until its charge has ended, or stop that charge first."),
    "no_room": Code(409, "There is no power left for another charge here.", "Wait until one of those under way ends."),
    "limit_too_low": Code(422, "With this limit no outlet could ever start.", "Send a higher limit, or null for none."),
    "finish_rules": Code(422, "This can't be set, or not to that.", "See `settable` of the site's finish settings."),
    "number_missing": Code(422, "An outlet has no number.", "Send its number, as printed on the box."),
    "meter_missing": Code(422, "An outlet has no meter.", "Name a found meter for it, or leave its number empty."),
    "meter_taken": Code(409, "A meter measures one outlet only.", "Name another meter; see /api/v1/found."),
    "meter_elsewhere": Code(422, "Board and meter are not on one bus.", "Name a meter on the board's own bus."),
    "meter_unfit": Code(422, "That is no meter of one circuit.", "Name a found meter; see /api/v1/found."),
    "meter_unneeded": Code(422, "This device measures by itself.", "Send neither meters nor a watchdog."),
    "watchdog": Code(
        422, "This watchdog can't be.", "Give it 15 to 900 s, and a channel of the board without an outlet."
    ),
    "too_few_outlets": Code(409, "That device has too few outlets.", "Choose one with as many as are in use."),
    "link_down": Code(409, "The outlet can't be reached.", "See to its power and network, then ask again."),
    "latched": Code(409, "A fault keeps the outlet out of service.", "Have the fault mended, then clear the latch."),
    "locked": Code(409, "The outlet is locked out for work.", "Ask whoever locked it, or an owner, to unlock it."),
    "site_cut": Code(409, "The whole site is switched off.", "Have a person look, then release the site."),
    "input_active": Code(409, "An input shows danger.", "See to what it reports; nothing starts while it does."),
    "not_cut": Code(409, "The site is not switched off.", "Nothing has to be released."),
    "not_open": Code(409, "The outlet is not in service.", "Commission and open it first."),
    "not_commissioned": Code(409, "The outlet is not proven.", "Commission it first."),
    "metering_only": Code(409, "The outlet can't end a charge by itself.", "It is for metering only; use another."),
    "not_asked": Code(409, "Nobody asks whose plug it is.", "Look at the session: the question may be answered."),
    "already_settled": Code(409, "That charge has ended.", "Nothing is left to do; its page has the bill."),
    "overdraft": Code(409, "There is not enough money.", "Ask for no more than the balance."),
    "too_many": Code(409, "There are as many as there may be.", "Remove one that is no longer needed first."),
    "card_busy": Code(409, "The card is charging elsewhere.", "End that charge first."),
    "card_empty": Code(409, "The card is empty.", "Top it up first."),
    "card_frozen": Code(409, "The card is frozen.", "Unfreeze it first."),
    # -- ask again
    "no_answer_yet": Code(503, "No answer yet; it may still happen.", "Ask again with the Idempotency-Key in `key`."),
    "streams_full": Code(503, "There is no room for another stream.", "Wait for the seconds named, or read pages."),
    "overloaded": Code(503, "There is too much to do.", _LATER),
    "database_away": Code(503, "The records can't be reached.", _LATER),
    "clock_untrusted": Code(503, "The gateway's clock can't be trusted.", "Set the clock; nothing is sold until then."),
    "not_set_up": Code(503, "There is no owner yet.", "Open the link that was printed at the start."),
    "our_fault": Code(500, "This is our mistake.", "It has been noted; report it with the time."),
}


def code_of(word: str) -> Code:
    """A word without an entry is a refusal like any other."""
    return CODES.get(word) or Code(409, word.replace("_", " "), "")


def path_of(word: str) -> str:
    """Where a word is explained; also the `type` of its problems."""
    return f"/api/v1/problems/{word}"
