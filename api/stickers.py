"""The numbers on the boxes: random ids with a short MAC, so that a made-up one never reaches the database."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from starlette.requests import Request

from api.services import services_of
from api.throttle import Throttle, address_of

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no letter that looks like a figure
ID_CHARS = 16  # the key's version and 75 random bits
MAC_CHARS = 8
_NO_KEY = bytes(32)


def new_id(keys: Mapping[str, bytes]) -> str:
    """Made for the newest key, whose version it carries."""
    return list(keys)[-1] + "".join(secrets.choice(ALPHABET) for _ in range(ID_CHARS - 1))


def id_from(keys: Mapping[str, bytes], secret: bytes, what: str) -> str:
    """As `new_id`, but the same each time for the same `what`."""
    digest = int.from_bytes(hmac.digest(secret, f"sticker:{what}".encode(), hashlib.sha256), "big")
    return list(keys)[-1] + "".join(ALPHABET[digest >> 5 * at & 31] for at in range(ID_CHARS - 1))


def mac(sticker: str, key: bytes) -> str:
    digest = int.from_bytes(hmac.digest(key, sticker.encode("ascii"), hashlib.sha256)[:5], "big")
    return "".join(ALPHABET[digest >> shift & 31] for shift in range(35, -1, -5))


def sticker_path(sticker: str, key: bytes) -> str:
    """Upper case throughout, which keeps the QR code small."""
    return f"/S/{sticker}{mac(sticker, key)}"


def printed(keys: Mapping[str, bytes], sticker: str) -> str:
    """The id with its MAC, as it stands on the box."""
    return sticker + mac(sticker, keys[sticker[0]])


def verified(text: str, keys: Mapping[str, bytes]) -> str | None:
    """The sticker's id if its MAC is ours; one HMAC and one comparison whatever was asked."""
    whole = text.upper() if text.isascii() else ""
    sticker, shown = whole[:ID_CHARS], whole[ID_CHARS:]
    key = keys.get(sticker[:1])
    fits = hmac.compare_digest(mac(sticker, key or _NO_KEY), shown)
    return sticker if fits and key is not None and len(sticker) == ID_CHARS else None


def wrong_stickers() -> Throttle:
    """Twenty wrong ones are forgiven: many phones may share one address."""
    return Throttle(free=20)


def order_storms() -> Throttle:
    """Counted for a phone at an outlet: ten without a pause, then waits; neighbours behind one address go on."""
    return Throttle(free=10)


def scanned(request: Request, text: str) -> str | None:
    """The id behind a scanned sticker, None for a wrong one; who guesses is slowed down, genuine ones never are."""
    services = services_of(request)
    sticker = verified(text, services.sticker_keys)
    if sticker is not None:
        return sticker
    throttle: Throttle = request.app.state.wrong_stickers
    now_s = services.real_clock.now().steady_s
    throttle.check(address_of(request), now_s)
    throttle.wrong(address_of(request), now_s)
    return None
