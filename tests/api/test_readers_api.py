"""Card readers over the API: how they are, and which unknown cards were swiped, told to who may enrol them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from controller.ports import Shown, Standing, Swipe
from tests.api.stand import AT, Stand


class Readers:
    def standing(self) -> Sequence[Standing]:
        return (Standing("east", "pn532", "/dev/r1", "", "p1", "reads", "PN532 1.6", {"garbage": 3}, 7),)

    def unknown(self) -> Sequence[Swipe]:
        return (Swipe(1, "east", AT, "CB98A605"),)

    def shown(self, name: str) -> Shown | None:
        return None


@pytest.fixture
def with_readers(stand: Stand) -> Stand:
    stand.app.state.services = replace(stand.services, readers=Readers())
    return stand


def test_each_reader_is_listed_with_its_faults(with_readers: Stand) -> None:
    (reader,) = with_readers.as_role("maintainer").get("/api/v1/readers").json()["readers"]
    assert (reader["name"], reader["state"], reader["faults"]) == ("east", "reads", {"garbage": 3})


def test_a_swiped_card_is_told_in_all_its_forms_to_who_may_enrol_it_alone(with_readers: Stand) -> None:
    (swipe,) = with_readers.as_role("manager").get("/api/v1/readers/swipes").json()["swipes"]
    assert {name: swipe[name] for name in ("uid", "reversed_uid", "decimal", "reversed_decimal")} == {
        "uid": "CB98A605",
        "reversed_uid": "05A698CB",
        "decimal": "3415778821",
        "reversed_decimal": "0094804171",
    }
    assert with_readers.as_role("maintainer").get("/api/v1/readers/swipes").status_code == 403


def test_without_readers_the_lists_are_empty(stand: Stand) -> None:
    client = stand.as_role("manager")
    assert client.get("/api/v1/readers").json() == {"readers": []}
    assert client.get("/api/v1/readers/swipes").json() == {"swipes": []}
