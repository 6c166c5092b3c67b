"""Card readers over the API: how they are, and which unknown cards were swiped, told to who may enrol them."""

from collections.abc import Sequence
from dataclasses import replace

from controller.ports import Shown, Standing, Swipe
from tests.api.stand import AT, Stand


class Readers:
    def standing(self) -> Sequence[Standing]:
        return (Standing("east", "pn532", "/dev/r1", "", "p1", "reads", "PN532 1.6", {"garbage": 3}, 7),)

    def unknown(self) -> Sequence[Swipe]:
        return (Swipe(1, "east", AT, "CB98A605"),)

    def shown(self, name: str) -> Shown | None:
        return None


def test_readers_and_swiped_cards_are_listed_the_cards_to_who_may_enrol_them_alone(stand: Stand) -> None:
    manager, maintainer = stand.as_role("manager"), stand.as_role("maintainer")
    assert manager.get("/api/v1/readers").json() == {"readers": []}
    assert manager.get("/api/v1/readers/swipes").json() == {"swipes": []}

    stand.app.state.services = replace(stand.services, readers=Readers())
    (reader,) = maintainer.get("/api/v1/readers").json()["readers"]
    assert (reader["name"], reader["state"], reader["faults"]) == ("east", "reads", {"garbage": 3})

    (swipe,) = manager.get("/api/v1/readers/swipes").json()["swipes"]
    assert {name: swipe[name] for name in ("uid", "reversed_uid", "decimal", "reversed_decimal")} == {
        "uid": "CB98A605",
        "reversed_uid": "05A698CB",
        "decimal": "3415778821",
        "reversed_decimal": "0094804171",
    }
    assert maintainer.get("/api/v1/readers/swipes").status_code == 403
