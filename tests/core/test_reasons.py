"""Every reason to stop has its word in the field's language and in ours."""

import json
from pathlib import Path

import pytest

from controller.core.reasons import OCPP_STOPPED_REASON, StopReason

LOCALES = Path(__file__).parents[2] / "api" / "pages" / "locales"


def test_the_reasons_are_the_designs() -> None:
    assert " ".join(StopReason) == (
        "finished unplugged never_plugged time_limit energy_limit credit_used stopped_by_resident stopped_by_staff "
        "site_cut overload overheat smoke flood leakage over_voltage under_voltage never_turned not_a_charger "
        "relay_fault fuse_blown meter_fault link_lost power_loss plug_swapped device_stop gateway_fault start_failed "
        "cancelled"
    )


def test_a_reason_is_its_own_word_on_the_wire() -> None:
    assert json.dumps(StopReason.FINISHED) == '"finished"'
    assert set(OCPP_STOPPED_REASON) == set(StopReason)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("reason", StopReason)
def test_people_are_told_every_reason_in_their_language(language: str, reason: StopReason) -> None:
    said = (LOCALES / f"{language}.json").read_text(encoding="utf-8")
    assert str(reason) in said
