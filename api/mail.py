"""Notices by e-mail: `ports.Notifier` over smtplib, in the payer's language, with no secret in any letter.

The link leads to the charge only on the phone that paid: its cookie holds the order's secret, the letter does not.
"""

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate
from re import ASCII
from re import compile as pattern
from typing import Any, Final

import msgspec
import structlog

from api.pages import why, words
from controller.ports import Sent

log = structlog.get_logger()

PATIENCE_S = 20.0
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
# What people type and servers take; no spaces, quotes, lists or line ends, so nothing of it can become a header,
# and no question mark, which would make an encoded word of it: decoded, one address is two.
ADDRESS: Final = pattern(
    r"[A-Za-z0-9.!#$%&'*+/=^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}", ASCII
)
ADDRESS_MAX: Final = 200


class MailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`tls`: starttls, tls (from the first byte), or none, which only this machine may be told things by."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    tls: str = "starttls"
    ca_file: str = ""


class Mail:
    """Each letter over a connection of its own: there are few, and a kept one would be dead when it is needed."""

    def __init__(self, settings: MailSettings, public_url: str) -> None:
        if settings.tls == "none" and settings.host not in LOOPBACK:
            raise ValueError("mail leaves this machine only by TLS")
        self._settings = settings
        self._public_url = public_url

    def send(self, address: str, slot: str, notice: Mapping[str, Any]) -> Sent:
        """Of what goes wrong only the kind is logged: a server's words may quote the address."""
        try:
            letter = letter_of(self._settings.sender, address, slot, notice, self._public_url)
            with self._connected() as server:
                server.send_message(letter)
        except smtplib.SMTPRecipientsRefused as refused:
            codes = [code for code, _ in refused.recipients.values()]
            return self._failed(slot, refused, Sent.NEVER if codes and min(codes) >= 500 else Sent.LATER)
        except (smtplib.SMTPException, OSError) as error:
            return self._failed(slot, error, Sent.LATER)
        except (KeyError, ValueError) as error:  # a notice of another release, an address that is none
            return self._failed(slot, error, Sent.NEVER)
        return Sent.DONE

    def _failed(self, slot: str, error: Exception, sent: Sent) -> Sent:
        log.warning("letter not sent", slot=slot, error=type(error).__name__, code=getattr(error, "smtp_code", None))
        return sent

    def _connected(self) -> smtplib.SMTP:
        """Encrypted and logged in, or not at all: a password never leaves in clear."""
        s = self._settings
        tls = ssl.create_default_context(cafile=s.ca_file or None)
        if s.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(s.host, s.port, timeout=PATIENCE_S, context=tls)
        else:
            server = smtplib.SMTP(s.host, s.port, timeout=PATIENCE_S)
        try:
            if s.tls == "starttls":
                server.starttls(context=tls)
            if s.user:
                server.login(s.user, s.password)
        except BaseException:
            server.close()
            raise
        return server


def is_address(text: str) -> bool:
    return len(text) <= ADDRESS_MAX and ADDRESS.fullmatch(text) is not None


def masked(address: str) -> str:
    """Enough to know one's own by."""
    name, _, host = address.partition("@")
    return f"{name[:1]}…@{host}"


# -- the letter ---------------------------------------------------------------------------------------------------


def letter_of(sender: str, address: str, slot: str, notice: Mapping[str, Any], public_url: str) -> EmailMessage:
    """Plain text; the number of the letter is the notice's, so a second copy is known as one."""
    if not is_address(address):
        raise ValueError("not an address")
    lang = notice["lang"] if notice["lang"] in words.LANGS else words.LANGS[0]
    said = _said(lang, notice)
    letter = EmailMessage()
    letter["From"], letter["To"] = sender, address
    letter["Subject"] = words.t(lang, f"mail.{notice['what']}.subject", **said)
    letter["Date"] = formatdate(localtime=False)
    letter["Message-ID"] = f"<{slot.replace(':', '.')}@{sender.rpartition('@')[2].rstrip('>')}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(words.t(lang, "mail.body", **said, text=_text(lang, notice, said), url=_url(notice, public_url)))
    return letter


def _said(lang: str, notice: Mapping[str, Any]) -> dict[str, str]:
    energy_wh = float(notice.get("energy_wh", 0.0))
    return {
        "site": _line(notice["site"]),
        "outlet": _line(notice["outlet"]),
        "kwh": words.kwh(energy_wh),
        "paid": words.yuan(notice["hold_fen"]),
        "bill": words.yuan(notice.get("bill_fen", 0)),
        "back": words.yuan(notice.get("back_fen", 0)),
        "number": words.bill_number(str(notice["session"])),
    }


def _line(text: object) -> str:
    return " ".join(str(text).split())


def _text(lang: str, notice: Mapping[str, Any], said: dict[str, str]) -> str:
    if notice["what"] != "ended":
        return words.t(lang, f"mail.{notice['what']}.text", **said)
    of = (str(notice["reason"]), str(notice["rule"]), notice["evidence"])
    told = [why.sentence(lang, *of) if notice["reason"] else "", words.t(lang, "mail.ended.text", **said)]
    return "\n\n".join(part for part in (*told, why.advice(lang, *of)) if part)


def _url(notice: Mapping[str, Any], public_url: str) -> str:
    return f"{public_url}/paid/{notice['order']}" if notice["order"] else public_url
