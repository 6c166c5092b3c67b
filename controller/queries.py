"""Read-only views for pages and the API: nothing here can write, and paging is the database's work."""

from collections.abc import Sequence
from typing import TypeVar

from sqlmodel import SQLModel

from controller import tables as t

T = TypeVar("T")
Sites = Sequence[str] | None  # None: all of them

_ALL = SQLModel.metadata.tables
SITE, TARIFF, PILE, OUTLET = (_ALL[t.__dict__[name].__tablename__] for name in ("Site", "Tariff", "Pile", "Outlet"))
MERCHANT, FOUND, STICKER, CARD = _ALL["merchant"], _ALL["found"], _ALL["sticker"], _ALL["card"]
ORDER, SESSION, SAMPLE, RECEIPT = _ALL["charge_order"], _ALL["session"], _ALL["sample"], _ALL["receipt"]
MOMENT, REFUND, ACCOUNT, ENTRY = _ALL["moment"], _ALL["refund"], _ALL["account"], _ALL["entry"]
TRANSFER, AUDIT, STAFF, ALARM = _ALL["transfer"], _ALL["audit"], _ALL["staff"], _ALL["alarm"]
OWED = ("due", "closed", "abnormal")
STUCK = ("closed", "abnormal")
