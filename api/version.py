"""Which program this is."""

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """As installed; "0" from a bare checkout."""
    try:
        return metadata.version("anchong")
    except metadata.PackageNotFoundError:
        return "0"
