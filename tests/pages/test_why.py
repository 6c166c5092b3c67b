"""Why it ended, said with the figures that matter; plain where they are not there; with what to do next."""

from pathlib import Path

import pytest

from api.pages import why, words
from controller.core import danger, finish, safety
from controller.core.events import Reading
from controller.core.reasons import StopReason
from controller.core.state import Limits
from simulators.curves import charge
from tests.pages import fakes

LOW = {"power_w": 3.0, "peak_w": 100.0, "percent_of_peak": 3.0, "low_s": 720.0}
LIMITS = Limits(800.0, 8.0, 270.0, 100.0, 80.0, None, StopReason.CREDIT_USED)


def tripped(**values: float) -> tuple[str, dict[str, float]]:
    """As the guard cuts for it, at its second report at the latest."""
    guard, trip = safety.CALM, None
    for at_s in (0.0, 10.0):
        read = Reading(at=at_s, steady_s=at_s, outlet="o", **{"power_w": 100.0, **values})
        guard, trip = safety.guarded(guard, LIMITS, read)
    assert trip is not None
    return str(trip.reason), trip.evidence


def test_a_full_charge_says_how_low_it_fell_and_for_how_long() -> None:
    assert (
        why.sentence("en", "finished", "low", LOW)
        == "The power fell to 3 W, 3 % of its peak, and stayed there for 12 min: full, so it was switched off."
    )
    assert why.sentence("zh", "finished", "low", LOW) == (
        "功率降到 3 W，只有最高时的 3 %，并保持了 12 分钟：充满了，自动断电。"
    )


@pytest.mark.parametrize("lang", words.LANGS)
@pytest.mark.parametrize("reason", list(StopReason))
def test_without_figures_every_reason_still_has_its_sentence(lang: str, reason: StopReason) -> None:
    assert why.sentence(lang, reason, "", {}) == words.t(lang, f"stop.{reason}")
    assert why.sentence(lang, reason, "a rule of a later release", {"odd_figure": 1.0}) == words.t(
        lang, f"stop.{reason}"
    )


@pytest.mark.parametrize("lang", words.LANGS)
def test_what_the_guard_cuts_for_is_said_with_its_figures(lang: str) -> None:
    for values, figures in (
        ({"power_w": 2210.0}, ("2210 W", "800 W")),
        ({"temperature_c": 86.0}, ("86 °C", "80 °C")),
        ({"voltage_v": 281.0}, ("281 V",)),
        ({"voltage_v": 91.0}, ("91 V",)),
    ):
        reason, evidence = tripped(**values)
        said = why.sentence(lang, reason, "", evidence)
        assert all(figure in said for figure in figures), said
        assert why.advice(lang, reason, "", evidence)


# What the detector may say with its verdicts, by which question was answered; figures as it gives them.
RULES = {
    "finished": ("low", "flat", "spent", "still", "usual", "fallen", "unworked"),
    "unplugged": ("gone", "empty"),
}
FIGURES = {
    "power_w": 3.0,
    "peak_w": 168.0,
    "percent_of_peak": 1.8,
    "fell_from_percent": 92.0,
    "low_s": 725.0,
    "modest_s": 2400.0,
    "no_power_s": 905.0,
    "energy_wh": 347.0,
    "elapsed_s": 9000.0,
}


@pytest.mark.parametrize("lang", words.LANGS)
def test_every_rule_of_the_detector_has_a_sentence_of_its_own(lang: str) -> None:
    source = Path(finish.__file__).read_text(encoding="utf-8")
    told = {why.sentence(lang, reason, rule, FIGURES) for reason, rules in RULES.items() for rule in rules}

    assert len(told) == sum(len(rules) for rules in RULES.values())
    assert not told & {words.t(lang, f"stop.{reason}") for reason in RULES}
    assert all(f'"{rule}"' in source for rules in RULES.values() for rule in rules)


@pytest.mark.parametrize("lang", words.LANGS)
@pytest.mark.parametrize("shape", ["cc-cv", "high idle", "small", "lead-acid", "thermal pause", "unplugged", "soak"])
def test_a_made_up_charge_is_explained_by_the_rule_that_cut_it(shape: str, lang: str) -> None:
    state, verdict = finish.begin(0.0), None
    for step, power_w in enumerate(charge(shape, 11).powers(14 * 3600)):
        state, verdict = finish.observe(state, step * 10.0, power_w)
        if verdict is not None:
            break
    assert verdict is not None
    said = why.sentence(lang, str(verdict.reason), verdict.rule, verdict.evidence)

    assert verdict.rule in RULES[str(verdict.reason)]
    assert said != words.t(lang, f"stop.{verdict.reason}")


def test_what_a_pause_came_to_is_said_rather_than_what_began_it() -> None:
    doubted = {"power_w": 2.0, "fell_from_percent": 95.0, "modest_s": 185.0}
    probed = why.sentence("en", "finished", "fallen", {**doubted, "probed_w": 3.0})
    silent = why.sentence("en", "unplugged", "gone", {"no_power_s": 185.0, "waited_s": 120.0})
    swapped = {"before_w": 168.0, "peak_w": 172.0, "now_w": 251.0, "away_s": 22.0}
    nobody = why.sentence("en", "plug_swapped", "", {**swapped, "waited_s": 900.0})
    other = why.sentence("en", "plug_swapped", "", {**swapped, "mine": 0.0})

    assert "drew only 3 W" in probed
    assert "nothing drew for 2 min" in silent
    assert "nobody answered for 15 min" in nobody
    assert "You said" in other


def test_a_pack_that_never_turns_is_sent_to_be_checked() -> None:
    state, verdict, at_s = danger.begin(0.0), None, 0.0
    while verdict is None and at_s < 12 * 3600:
        state, verdict = danger.observe(state, at_s, 168.0 if at_s < 7200 else 110.0)
        at_s += 60
    assert verdict is not None
    said = why.sentence("en", str(verdict.reason), verdict.rule, verdict.evidence)

    assert "110 W" in said
    assert "checked" in why.advice("en", str(verdict.reason), verdict.rule, verdict.evidence)


@pytest.mark.parametrize("key", sorted(key for key in words.catalogue("en") if key.startswith(("why.", "next."))))
def test_no_sentence_is_about_a_reason_that_does_not_exist(key: str) -> None:
    assert key.split(".")[1] in set(StopReason)


def test_figures_are_said_with_their_unit_as_people_say_them() -> None:
    said = why.said(
        "en",
        {
            "a_w": 3.0,
            "b_w": 2.46,
            "c_s": 4000.0,
            "d_wh": 849.0,
            "e_fen": 120,
            "percent_of_peak": 0.42,
            "f": 2.0,
            "note": "text",
        },
    )

    assert said == {
        "a_w": "3 W",
        "b_w": "2.5 W",
        "c_s": "1 h 7 min",
        "d_wh": "0.84 kWh",
        "e_fen": "¥1.20",
        "percent_of_peak": "0.4 %",
        "f": "2",
    }


def test_how_full_it_was_is_told_only_of_what_has_ended() -> None:
    street = fakes.Street()
    street.finished()
    ended = street.queries.session_rows["order-1"]
    full = why.how_full(ended)

    assert full is not None
    assert why.percents(full) == "97–100 %"
    assert why.how_full(fakes.SESSION) is None
