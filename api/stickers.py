"""Stickers: `/S/<id><tag>`, where the id says which key made the tag; upper case, so that the QR code stays small."""

import hmac
import secrets
from base64 import b32encode
from collections.abc import Mapping

ID_CHARS = 17  # the key's version and 80 random bits
TAG_CHARS = 8  # 40 bits: stops made-up ids before the database
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def new_id(keys: Mapping[str, bytes]) -> str:
    """A random id under the newest key."""
    return next(reversed(list(keys))) + "".join(secrets.choice(ALPHABET) for _ in range(ID_CHARS - 1))


def printed(keys: Mapping[str, bytes], sticker: str) -> str:
    """What the code says after `/S/`."""
    return sticker + _tag(keys[sticker[0]], sticker)


def opened(keys: Mapping[str, bytes], text: str) -> str | None:
    """The id, if the tag is ours; without regard to case, in the same time for every wrong one."""
    text = text.upper()
    sticker, tag = text[:ID_CHARS], text[ID_CHARS:]
    key = keys.get(text[:1], b"none")
    same = hmac.compare_digest(tag.encode(), _tag(key, sticker).encode())
    return sticker if same and text[:1] in keys and len(text) == ID_CHARS + TAG_CHARS else None


def _tag(key: bytes, sticker: str) -> str:
    return b32encode(hmac.digest(key, sticker.encode(), "sha256")[:5]).decode()
