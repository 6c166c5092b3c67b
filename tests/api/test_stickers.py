"""A sticker is known by its MAC before any database is asked; guessing is slow and tells nothing."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.stickers import ALPHABET, mac, new_id, printed, sticker_path, verified
from controller.core import effects as fx
from tests.api.stand import AT, STICKER, STICKER_KEYS, Stand

KEY = STICKER_KEYS["1"]


def shown(sticker: str = STICKER) -> str:
    return sticker_path(sticker, STICKER_KEYS[sticker[0]]).removeprefix("/S/")


def test_a_new_sticker_is_known_again_in_any_case() -> None:
    made = new_id(STICKER_KEYS)
    path = sticker_path(made, STICKER_KEYS["2"])
    assert path == f"/S/{printed(STICKER_KEYS, made)}"
    assert (len(path), path, made[0]) == (27, path.upper(), "2")
    assert verified(path[3:], STICKER_KEYS) == verified(path[3:].lower(), STICKER_KEYS) == made
    assert len({new_id(STICKER_KEYS) for _ in range(1000)}) == 1000


def test_an_older_key_still_opens_its_own_stickers_alone() -> None:
    assert verified(shown(), STICKER_KEYS) == STICKER
    assert verified(shown(), {"2": STICKER_KEYS["2"]}) is None
    assert verified(STICKER + mac(STICKER, STICKER_KEYS["2"]), STICKER_KEYS) is None


@given(st.integers(0, 23), st.sampled_from(ALPHABET))
def test_T59_one_character_altered_is_a_wrong_sticker(place: int, character: str) -> None:
    good = shown()
    bad = good[:place] + character + good[place + 1 :]
    assert (verified(bad, STICKER_KEYS) is None) == (bad != good)


@given(st.text(max_size=64))
def test_no_text_is_taken_for_a_sticker(text: str) -> None:
    assert verified(text, STICKER_KEYS) is None


def test_whatever_is_asked_costs_one_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = hmac.compare_digest

    def compared(a: str, b: str) -> bool:
        seen.append(a)
        return bool(real(a, b))

    monkeypatch.setattr(hmac, "compare_digest", compared)
    for text in ("", "1", shown(), "9" + shown()[1:], "ß" * 24, "0" * 5000):
        verified(text, STICKER_KEYS)
    assert len(seen) == 6


def test_T58_guessing_never_reaches_the_database_and_is_slowed_down(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(_: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(stand.queries, "sticker", asked)
    client = stand.client()
    answers = [client.get(f"/S/{'0' * 22}{n:02d}").status_code for n in range(30)]
    assert set(answers[:20]) == {404}
    assert answers[-1] == 429
    monkeypatch.undo()
    assert client.get(f"/S/{shown()}").status_code == 200, "a genuine one is never slowed"


def test_T60_a_retired_sticker_leads_nowhere(stand: Stand) -> None:
    row: dict[str, object] = {"id": STICKER, "outlet_id": "o-here", "made_at": AT, "retired_at": AT}
    stand.store.write("retire", [fx.Put("sticker", row)])
    assert stand.client().get(f"/S/{shown()}").status_code in (404, 410)
