"""What `anchong doctor` says of one thing that it looked at."""

from enum import StrEnum

import msgspec


class State(StrEnum):
    """From the best to the worst."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


class Finding(msgspec.Struct, frozen=True):
    """`do` is for whoever has to mend it; empty where all is well."""

    area: str
    state: State
    says: str
    do: str = ""
