"""A row of the audit in words: what was changed, on what, to what. The row itself stays as it was hashed."""

import json
from functools import cached_property
from typing import Any, Final

from api.pages import words
from api.pages.console.desk import Desk
from api.pages.console.story import figure, person
from controller.records import AuditRow

SHOWN_MOST: Final = 12
SHORT: Final = 24  # of an id that has no name
WHERE: Final = ("site", "pile", "outlet", "outlets", "sites")
TOLD_BY: Final = {"outlets": "numbers"}  # the first is left out where the second says it


class Audited:
    """Reads names once for a whole page."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def row(self, row: AuditRow, zone: str) -> dict[str, str]:
        desk = self._desk
        return {
            "when": desk.when(row.at, zone),
            "who": person(desk, row.by),
            "what": desk.or_plain(f"change.{row.what}", row.what),
            "subject": self._name(row.subject),
            "body": self._body(json.loads(row.body)),
        }

    def _body(self, values: dict[str, Any]) -> str:
        told = [(name, value) for name, value in values.items() if TOLD_BY.get(name) not in values]
        parts = [f"{self._desk.or_plain(f'figure.{name}', name)} {self._value(name, v)}" for name, v in told]
        return " · ".join(parts[:SHOWN_MOST])

    def _value(self, name: str, value: object) -> str:
        desk = self._desk
        if isinstance(value, list):
            return desk.t("comma").join(self._value(name, part) for part in value) or self._nothing(name)
        if isinstance(value, dict):
            return self._parts(name, value)
        if name in WHERE and isinstance(value, str):
            return self._name(value)
        if value is None:
            return self._nothing(name)
        word = f"{name}.{value}" if name == "role" else f"word.{name}.{value}"
        return desk.or_plain(word, figure(desk, name, value)) if isinstance(value, str) else figure(desk, name, value)

    def _parts(self, name: str, value: dict[str, Any]) -> str:
        desk = self._desk
        if name == "bands":
            return self._band(value)
        if name == "inputs":
            return desk.t("comma").join(self._input(number, one) for number, one in value.items()) or desk.t("none")
        if name in ("rules", "evidence"):
            told = (f"{desk.or_plain(f'setting.{part}', part)} {of}" for part, of in value.items())
            return desk.t("comma").join(told) or desk.t("none")
        return desk.t("comma").join(str(part) for part in value.values())

    def _nothing(self, name: str) -> str:
        return self._desk.t({"sites": "all_sites", "power_w": "limits.none"}.get(name, "none"))

    def _band(self, band: dict[str, Any]) -> str:
        desk = self._desk
        hours = f"{words.minute_of_day(band['from_min'])}–{words.minute_of_day(band['to_min'])}"
        price = desk.t("per_kwh", price=desk.price(band["energy_price"] + band["service_price"]))
        return f"{desk.band(band['name'])} {hours} {price}"

    def _input(self, number: str, wired: dict[str, str]) -> str:
        words = (self._desk.t(f"input.{wired[part]}") for part in ("kind", "scope", "normally") if part in wired)
        return f"{number} {' '.join(words)}"

    def _name(self, subject: str) -> str:
        return self._names.get(subject) or self._card(subject) or subject[:SHORT]

    def _card(self, subject: str) -> str:
        card = self._desk.services.queries.card(subject)
        return "" if card is None else self._desk.t("card.title", number=card.printed)

    @cached_property
    def _names(self) -> dict[str, str]:
        desk = self._desk
        queries = desk.services.queries
        names = {row.id: desk.t("outlet.title", number=row.number) for row in queries.outlets(desk.sites)}
        names |= {row.id: row.name for row in queries.sites(desk.sites)}
        names |= {row.id: row.name for row in queries.piles(desk.sites)}
        return names | {row.id: row.name for row in queries.staff()}
