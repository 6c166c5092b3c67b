"""Following the feed: what one reader wants and may see, from any place on, out of memory or from the disk."""

from collections.abc import Collection

from controller.feed import Feed, Kept
from controller.links import Links

LOOK = 1_000  # at most so many events of the ring are looked at in one go


class Follower:
    """Of some kinds and sites (None: all); what belongs to no site only if its kind is in `siteless`."""

    def __init__(
        self,
        feed: Feed,
        links: Links,
        kinds: Collection[str],
        sites: Collection[str] | None,
        siteless: Collection[str] = (),
    ) -> None:
        self._feed = feed
        self._links = links
        self._kinds = frozenset(kinds)
        self._sites = None if sites is None else frozenset(sites)
        self._siteless = frozenset(siteless)

    def wants(self, event: Kept) -> bool:
        if event.kind not in self._kinds:
            return False
        return self._sites is None or (event.site in self._sites if event.site else event.kind in self._siteless)

    def newest(self) -> int:
        newest = self._feed.newest
        return self._links.newest() if newest is None else newest

    def heard(self, place: int, most: int) -> tuple[list[Kept], int] | None:
        """As `read`, from memory alone; None if that does not reach back so far."""
        ring = self._feed.after(place, LOOK)
        if ring is None:
            return None
        wanted = [event for event in ring if self.wants(event)]
        if len(wanted) > most:
            return wanted[:most], wanted[most - 1].id
        return wanted, ring[-1].id if ring else place

    def read(self, place: int, most: int) -> tuple[list[Kept], int]:
        """At most `most` events after `place`, and the place up to which there are no others."""
        heard = self.heard(place, most)
        if heard is not None:
            return heard
        upto = self._links.newest()
        found = self._links.fed(place, upto, self._kinds, None if self._sites is None else ["", *self._sites], most)
        return [e for e in found if self.wants(e)], found[-1].id if len(found) == most else max(place, upto)

    def gap(self, place: int) -> int | None:
        """Where to go on if what followed `place` is no longer kept, or was never ours (an older database)."""
        if self._feed.after(place, 1) is not None and place <= self.newest():
            return None
        oldest, newest = self._links.oldest(), self._links.newest()
        if place > newest:
            return newest
        return oldest - 1 if oldest and place < oldest - 1 else None
