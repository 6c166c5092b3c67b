"""Every alarm says in both languages what happened, with its figures, what to do, and what ends it."""

import pytest

from api.pages import words
from api.pages.console.alarms import sentence

RAISED: dict[str, dict[str, float]] = {
    "power_without_session": {"power_w": 35.0},
    "relay_fault": {"power_w": 35.0, "on_for_s": 15.0},
    "link_lost": {"proof_s": 600.0},
    "gateway_fault": {},
    "shared_outlet": {"before_w": 110.0, "now_w": 240.0},
    "over_limit": {"pile_power_w": 5200.0, "limit_w": 5000.0},
    "smoke": {"input": 2.0},
    "flood": {"input": 2.0},
    "emergency": {"input": 2.0},
    "input_lost": {"input": 2.0, "silent_s": 240.0},
    "hook_failing": {"status": 503},
    "overload": {},
    "overheat": {},
    "over_voltage": {},
    "under_voltage": {},
    "meter_fault": {},
    "device_stop": {},
}


@pytest.mark.parametrize("lang", words.LANGS)
@pytest.mark.parametrize("kind", RAISED)
def test_an_alarm_says_what_happened_what_to_do_and_what_ends_it(kind: str, lang: str) -> None:
    said = sentence(lang, kind, RAISED[kind])

    assert said
    assert "{" not in said
    assert all(f"{value:g}" in said for name, value in RAISED[kind].items() if name.endswith("_w"))
    assert words.t(lang, f"desk.alarm.do.{kind}")
    assert words.t(lang, f"desk.alarm.ends.{kind}")


@pytest.mark.parametrize("kind", ["refund_closed", "refund_abnormal"])
def test_a_refund_that_failed_says_how_much_it_was(kind: str) -> None:
    assert "¥12.50" in sentence("en", kind, {"amount_fen": 1250.0})


def test_without_its_figures_nothing_is_made_up() -> None:
    assert sentence("en", "shared_outlet", {}) == ""
    assert sentence("en", "an alarm of a later release", {"power_w": 3.0}) == ""
    assert "600" not in sentence("en", "relay_fault", {})
