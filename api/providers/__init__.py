"""Payment providers: one file each, and one word in PROVIDERS."""

from types import ModuleType

from api.providers import sandbox
from api.providers.event import EventKind, EventState, ProviderEvent

__all__ = ["PROVIDERS", "EventKind", "EventState", "ProviderEvent"]

PROVIDERS: dict[str, ModuleType] = {"sandbox": sandbox}
