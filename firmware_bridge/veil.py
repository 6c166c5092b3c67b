"""What a capture does not give away: whose card, whose network, whose password. Devices keep their own numbers.

The same card stays the same card within one capture; another capture has another key, which nobody keeps.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from controller.core.errors import BadFrame
from firmware_bridge.codecs import dlt645, dny, dny_data, dongjun, dongjun_data, juy, juy_data, m1, pn532
from firmware_bridge.codecs.fields import replaced

# Names as devices spell them, without case and underscores.
_OF_PEOPLE = re.compile(
    r"b?ssid\d*|apmac|bssids?|uid|card|carduid|carddata|cardid|cardnumber|data|key|auth|iccid|imsi|phone"
    r"|(mqtt|web|wifi)?(user(name)?|pass(word)?|pwd)\d*|.*(password|psk|secret|token)|lat(itude)?|lon(gitude)?"
)
# The same in commands of words, as Tasmota takes them.
_COMMANDED = re.compile(r"(?i)\b(b?ssid\d*|(?:mqtt|web)?password\d*|mqttuser)(\s+)([^;]+)")
_IP_KEYS = re.compile(r"ip|ip(v4|v6)?address\d*|staip|gateway|subnetmask|dnsserver\d*|nameserver|netmask|gw")
_VERSIONS = re.compile(r"sw|fw|ver(sion)?|swversion|fwid|firmware")  # four numbers and dots, and no address
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_IPV6 = re.compile(r"(?<![0-9A-Fa-f:])(?=[0-9A-Fa-f:]*::)[0-9A-Fa-f:]{3,39}(?![0-9A-Fa-f:])")
_MAC = re.compile(r"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])")
NOWHERE, NOWHERE_6 = "192.0.2.1", "2001:db8::1"  # addresses set aside for examples
_OPEN_ORDERS = (m1.BUZZER, m1.FIELD_ON, m1.FIELD_OFF, m1.ACTIVATE)
_ADDRESSED = 2  # of a PN532's exchange with a card: its code and which card, or how it went
Field = Callable[[bytes], bytes]


class Veil:
    def __init__(self, key: bytes) -> None:
        self._key = key
        self._binary: Mapping[str, Callable[[str, bytes], bytes]] = {
            "pn532-hsu": self._pn532,
            "m1-reader-serial": self._m1,
            "dny-ap3000": self._dny,
            "juy-5aa5": self._juy,
            "dongjun-0xEE": self._dongjun,
            "dlt645-2007": self._dlt645,
        }
        self._fields: Mapping[str, Field] = {
            **dict.fromkeys(("card_bytes", "card_number", "card_key", "new_card_key", "order_hex"), self.bytes_),
            **dict.fromkeys(("iccid", "module_imei", "user", "password", "host"), self._text_bytes),
        }

    def over(self, protocol: str, direction: str, topic: str, payload: bytes) -> bytes | None:
        """The payload without what is not for others, still decodable; None where it can't be read well enough."""
        binary = self._binary.get(protocol)
        if binary is not None:
            try:
                return binary(direction, payload)
            except BadFrame:
                return None
        if protocol.startswith("modbus"):
            return payload  # figures of a meter, states of a relay
        try:
            return self._said(topic, payload.decode()).encode()
        except UnicodeDecodeError:
            return None

    # -- values ---------------------------------------------------------------------------------------------------

    def bytes_(self, data: bytes) -> bytes:
        """As many others; what says that there is nothing goes on saying so."""
        if not data.strip(b"\0") or not data.strip(b"\xff"):
            return data
        return self._stream(data, len(data))

    def text(self, text: str) -> str:
        """Of the same shape: digits for digits, letters for letters."""
        drawn = self._stream(text.encode(errors="surrogatepass"), len(text))
        hexadecimal = re.fullmatch(r"[0-9A-Fa-f]+", text) is not None and not text.isdecimal()
        return "".join(_alike(char, byte, hexadecimal) for char, byte in zip(text, drawn, strict=True))

    def _stream(self, data: bytes, size: int) -> bytes:
        return hashlib.shake_128(self._key + data).digest(size)

    def _text_bytes(self, data: bytes) -> bytes:
        said = data.rstrip(b"\0")
        return self.text(said.decode("latin-1")).encode("latin-1").ljust(len(data), b"\0")

    # -- text and JSON --------------------------------------------------------------------------------------------

    def _said(self, topic: str, text: str) -> str:
        own = re.sub(r"[^0-9A-F]", "", topic.upper())
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return self._commanded(topic, text, own)
        covered = self.json(value, own)
        return text if covered == value else json.dumps(covered)

    def _commanded(self, topic: str, text: str, own: str) -> str:
        """Words alone; of a command its name stands in the topic, or before it where there are several."""
        if _OF_PEOPLE.fullmatch(topic.rpartition("/")[2].lower()):
            return self.text(text)
        return self._plain(_COMMANDED.sub(lambda found: f"{found[1]}{found[2]}{self.text(found[3])}", text), own)

    def json(self, value: Any, own: str = "", key: str = "") -> Any:
        """`own`: in hexadecimal, what the device is known by; a name in which its own address stands is its own."""
        if isinstance(value, dict):
            return {name: self.json(item, own, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self.json(item, own, key) for item in value]
        name = key.lower().replace("_", "")
        if isinstance(value, str):
            return self._string(value, own, name)
        personal = _OF_PEOPLE.fullmatch(name) is not None and not isinstance(value, bool)
        return 0 if personal and isinstance(value, int | float) else value

    def _string(self, value: str, own: str, name: str) -> str:
        if not value:
            return value
        if _OF_PEOPLE.fullmatch(name):
            return self.text(value)
        if _IP_KEYS.fullmatch(name):
            return NOWHERE_6 if ":" in value and "." not in value else NOWHERE
        return value if _VERSIONS.fullmatch(name) else self._plain(value, own)

    def _plain(self, text: str, own: str) -> str:
        text = _MAC.sub(lambda found: self._mac(found[0], own), text)
        return _IPV6.sub(NOWHERE_6, _IPV4.sub(NOWHERE, text))

    def _mac(self, mac: str, own: str) -> str:
        return mac if re.sub("[:-]", "", mac).upper() in own else self.text(mac)

    # -- frames ---------------------------------------------------------------------------------------------------

    def _pn532(self, direction: str, payload: bytes) -> bytes:
        return b"".join(pn532.encode(self._said_by_reader(said)) for said in pn532.read_all(payload))

    def _said_by_reader(self, said: pn532.Said) -> pn532.Said:
        if not isinstance(said, pn532.Frame) or not said.data:
            return said
        if (said.tfi, said.code) == (pn532.FROM_READER, pn532.LIST_TARGETS + 1):
            return pn532.answer_cards([self._card(card) for card in pn532.cards(said)])
        if said.code in (pn532.GET_FIRMWARE, pn532.GET_FIRMWARE + 1, pn532.SAM_CONFIGURATION, pn532.LIST_TARGETS):
            return said
        return pn532.Frame(said.tfi, said.data[:_ADDRESSED] + self.bytes_(said.data[_ADDRESSED:]))

    def _card(self, card: pn532.Card) -> pn532.Card:
        return pn532.Card(card.atqa, card.sak, self.bytes_(card.uid), card.ats[:1] + self.bytes_(card.ats[1:]))

    def _m1(self, direction: str, payload: bytes) -> bytes:
        frame = m1.read(payload) if direction == "up" else m1.read_request(payload)
        if direction == "down" and frame.code in _OPEN_ORDERS:
            return payload
        return m1.encode(m1.Frame(frame.code, self.bytes_(frame.data)))

    def _dny(self, direction: str, payload: bytes) -> bytes:
        if payload == dny.LINK:
            return payload
        if not payload.startswith(b"DNY") and len(payload) == dny.ICCID_SIZE:
            return self.text(dny.read_iccid(payload)).encode()
        frame = dny.read(payload)
        fields = dny_data.fields_of(frame, direction)
        data = replaced(frame.data, fields, self._fields) if fields else frame.data
        longer = 13 if (direction, frame.command) == ("up", 0x02) else len(data)  # another number of the card
        return dny.encode(
            dny.Frame(frame.pile, frame.message, frame.command, data[:longer] + self.bytes_(data[longer:]))
        )

    def _juy(self, direction: str, payload: bytes) -> bytes:
        frame = juy.read(payload)
        data = replaced(frame.data, juy_data.fields_of(frame, direction), self._fields)
        return juy.encode(juy.Frame(frame.command, frame.result, data, frame.imei))

    def _dongjun(self, direction: str, payload: bytes) -> bytes:
        frame = dongjun.read(payload)
        secret = dict.fromkeys(("card_number", "iccid"), self.bytes_)
        data = replaced(frame.data, dongjun_data.fields_of(frame), secret)
        return dongjun.encode(dongjun.Frame(frame.command, frame.session, data, frame.start))

    def _dlt645(self, direction: str, payload: bytes) -> bytes:
        """The password and the operator of an order; whoever has them switches the meter."""
        frame = dlt645.read(payload)
        if frame.answered or frame.function not in (dlt645.WRITE, dlt645.RELAY):
            return payload
        at = 0 if frame.function == dlt645.RELAY else 4
        data = frame.data[: at + 1] + bytes(len(frame.data[at + 1 : at + 8])) + frame.data[at + 8 :]
        return dlt645.encode(
            msgspec.structs.replace(frame, data=data), len(payload) - len(payload.lstrip(dlt645.PREAMBLE))
        )


def _alike(char: str, byte: int, hexadecimal: bool) -> str:
    if hexadecimal:
        return "0123456789ABCDEF"[byte % 16] if not char.islower() else "0123456789abcdef"[byte % 16]
    if char.isdecimal() and char.isascii():
        return "0123456789"[byte % 10]
    if char.isalnum():
        return chr(ord("A" if char.isupper() else "a") + byte % 26)
    return char
