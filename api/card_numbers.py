"""The number of a card in the forms that are printed on cards: as read or reversed, in hexadecimal or decimal. Pure."""

import msgspec

FOUR_BYTES_DIGITS = 10  # of the largest number of four bytes; printed with zeros before it


class Forms(msgspec.Struct, frozen=True):
    """One of these is usually what stands on the card."""

    hex: str
    reversed_hex: str
    decimal: str
    reversed_decimal: str


def forms(uid: str) -> Forms:
    """Of a number as we keep it: upper-case hexadecimal, two digits a byte."""
    raw = bytes.fromhex(uid)
    return Forms(uid, raw[::-1].hex().upper(), _decimal(raw), _decimal(raw[::-1]))


def _decimal(raw: bytes) -> str:
    number = str(int.from_bytes(raw, "big"))
    return number.zfill(FOUR_BYTES_DIGITS) if len(raw) == 4 else number
