"""What the controller needs of others, and what others may ask of it: protocols of at most four methods."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from controller.core.effects import AskNow, Provision, Renew, SwitchOn
from controller.core.events import Event


class Switchgear(Protocol):
    """The gates, as the decider sees them. Never blocks."""

    def generation(self, outlet: str) -> int:
        """The number an ON decided now must carry."""
        ...

    def on(self, order: SwitchOn) -> bool:
        """False: dropped (another generation, expired, link down) and counted."""
        ...

    def renew(self, order: Renew) -> bool: ...

    def off(self, outlet: str) -> None:
        """Closes the gate, raises its generation, sends OFF."""
        ...


class Errander(Protocol):
    """Carries what is no power command to a device: settings and questions."""

    def tell(self, order: Provision | AskNow) -> bool: ...


class Door(Protocol):
    """The one door. `ask` is answered after the commit; Refused and NotNow arrive through the future."""

    def ask(self, event: Event, found: Mapping[str, Any] | None = None) -> "Future[dict[str, Any]]":
        """`event.key` makes a repeat get the first answer; `found` is what queries know of that key (order, entry)."""
        ...

    def tell(self, event: Event) -> None: ...


class Notifier(Protocol):
    def notify(self, party: str, kind: str, values: Mapping[str, Any]) -> None: ...
