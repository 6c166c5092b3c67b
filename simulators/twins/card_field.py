"""What lies on a card reader, and for how long; for the twins of readers."""

TAP_S = 0.4  # as people do


class CardField:
    def __init__(self) -> None:
        self._until_s: dict[bytes, tuple[float, float]] = {}

    def tap(self, uid: bytes, now_s: float, for_s: float = TAP_S) -> None:
        self._until_s[uid] = (now_s, now_s + for_s)

    def stutter(self, uid: bytes, now_s: float, gone_s: float = 0.2) -> None:
        """It is lost for a moment while it lies there."""
        self._until_s[uid] = (now_s + gone_s, now_s + gone_s + TAP_S)

    def cards(self, now_s: float) -> list[bytes]:
        return [uid for uid, (from_s, until_s) in self._until_s.items() if from_s <= now_s < until_s]
