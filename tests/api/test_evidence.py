"""The evidence pack: whole, checkable without us, judged again to the same end, and silent about people."""

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import text
from typer.testing import CliRunner

from anchong.__main__ import app
from anchong.replay import AfterEnd, Limits, Rules, read_curve, run
from api.evidence import Facts, pack
from controller.core import effects as fx
from controller.core import finish
from controller.core import state as core
from controller.core.reasons import StopReason
from controller.records import AlarmRow, MomentRow, SessionDetail, TransferRow
from simulators.curves import charge
from tests.api.stand import Stand
from tests.pages import fakes

FILES = ["README.txt", "session.json", "curve.csv", "curve.svg", "commands.csv", "trips.csv", "money.json"]
AT = fakes.AT
TRANSFER = TransferRow(
    entry_key="settle:1",
    kind="settle",
    ref="session-1",
    at=AT + 5380,
    by="staff:wang",
    debit="session:1:hold",
    credit="revenue:energy:m1",
    amount_fen=19,
)


def opened(body: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(body)) as whole:
        assert whole.testzip() is None
        return {name: whole.read(name).decode() for name in whole.namelist()}


def packed(session: SessionDetail, staff: bool = True, lang: str = "zh", **more: object) -> dict[str, str]:
    outlet = fakes.outlet()
    known = Facts(session, outlet, more.get("alarms", []), core.Rules(), AT + 9000)  # type: ignore[arg-type]
    return opened(b"".join(pack(known, lang, staff=staff)))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def charged(shape: str, seed: int) -> tuple[SessionDetail, float]:
    """As a gateway does it: readings each 10 s are judged, each third is kept. The session, and when it was cut."""
    powers = charge(shape, seed).powers(14 * 3600)
    state, used_wh, curve, verdict = finish.begin(0.0), 0.0, [], None
    for step, power_w in enumerate(powers):
        state, verdict = finish.observe(state, step * 10.0, round(power_w, 1))
        if step % 3 == 0:
            curve.append([step * 10.0, round(power_w, 1), round(used_wh, 3)])
        if verdict is not None:
            break
        used_wh += power_w / 360
    assert verdict is not None
    cut_s = step * 10.0
    done = replace(
        fakes.SESSION,
        phase="settled",
        reason=str(verdict.reason),
        rule=verdict.rule,
        evidence=verdict.evidence,
        curve=curve,
        energy_wh=used_wh,
        off_at=AT + cut_s,
        settled_at=AT + cut_s + 5,
    )
    return done, cut_s


@pytest.mark.parametrize("shape", ["cc-cv", "high idle", "snap-off", "lead-acid", "fast", "unplugged"])
def test_the_replay_of_a_packs_curve_comes_to_the_same_decision(shape: str, tmp_path: Path) -> None:
    session, cut_s = charged(shape, 7)
    path = tmp_path / "curve.csv"
    path.write_text(packed(session)["curve.csv"])
    again = run(read_curve(path), Rules(), Limits(), AfterEnd.HOLD)

    assert again.reason == session.reason
    assert again.cut_at_s is not None
    assert abs(again.cut_at_s - cut_s) <= 60
    assert again.evidence["percent_of_peak"] == pytest.approx(session.evidence["percent_of_peak"], abs=1.0)


def test_every_file_is_there_and_fits_its_sum() -> None:
    session, _ = charged("cc-cv", 3)
    files = packed(session)
    sums = dict(line.split("  ")[::-1] for line in files.pop("SHA256SUMS").splitlines())

    assert list(files) == FILES
    assert sums == {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}


def test_it_says_why_in_figures_and_in_both_languages() -> None:
    session, _ = charged("cc-cv", 3)
    files = packed(session)
    told = json.loads(files["session.json"])

    assert told["stop"]["reason"] == "finished"
    assert told["stop"]["ocpp_stopped_reason"] == "StoppedByEV"
    assert told["stop"]["evidence"] == session.evidence
    assert told["stop"]["said"]["zh"] in files["README.txt"]
    assert told["stop"]["said"]["en"] in files["README.txt"]
    assert told["versions"]["device"] == {"family": "tasmota", "model": "plug", "firmware": "1"}
    assert told["versions"]["tariff"]["bands"][0]["energy_price"] == 5583
    assert told["versions"]["rules"]["no_power_w"] == 3.0
    assert 90 <= told["probably_full_percent"][0] <= told["probably_full_percent"][1] == 100
    assert told["versions"]["finish_rules"] == msgspec.to_builtins(finish.RULES)
    assert files["README.txt"].startswith("安充")
    assert packed(session, lang="en")["README.txt"].startswith("Anchong")


def test_a_device_that_came_later_is_not_said_to_have_served() -> None:
    outlet = fakes.outlet()
    later = replace(outlet, pile=replace(outlet.pile, adopted_at=AT + 9_000))
    session, _ = charged("cc-cv", 3)

    known = Facts(session, later, [], core.Rules(), AT + 9_999)
    told = json.loads(opened(b"".join(pack(known, "zh", staff=True)))["session.json"])

    assert told["versions"]["device"] is None
    assert (told["commissioned"], told["outlet_limits"]) == (None, None)
    assert told["outlet"]["number"] == session.number


def test_commands_and_trips_stand_in_order_with_their_moments() -> None:
    moments = [
        MomentRow(at=AT - 10, what="paid", evidence={}),
        MomentRow(at=AT - 9.5, what="on_decided", evidence={}),
        MomentRow(at=AT - 9.1, what="on_confirmed", evidence={}),
        MomentRow(at=AT, what="charging", evidence={}),
        MomentRow(at=AT + 600, what="stop:overload", evidence={"power_w": 2210.0, "limit_w": 800.0}),
        MomentRow(at=AT + 605, what="off_proven:measured", evidence={}),
    ]
    alarm = AlarmRow(
        id="a1",
        at=AT + 603,
        site_id="site-1",
        outlet_id=fakes.OUTLET,
        number="03",
        kind="relay_fault",
        evidence={"power_w": 40.0},
        cleared_at=None,
        cleared_by=None,
    )
    session = replace(fakes.SESSION, moments=moments, reason="overload", off_at=AT + 600, curve=fakes.curve()[:20])
    files = packed(session, alarms=[alarm])
    commands, trips = rows(files["commands.csv"]), rows(files["trips.csv"])

    assert [row["what"].partition(":")[0] for row in commands] == [
        "on_decided",
        "on_confirmed",
        "charging",
        "stop",
        "off_proven",
    ]
    assert commands[0]["utc"] == "2027-01-15T07:59:50.500Z"
    assert [(row["source"], row["what"], row["t_s"]) for row in trips] == [
        ("trip", "overload", "600.0"),
        ("alarm", "relay_fault", "603.0"),
    ]
    assert trips[0]["evidence"] == "power_w=2210.0; limit_w=800.0"


def test_the_money_can_be_added_up_by_hand() -> None:
    street_session = replace(
        fakes.SESSION, **fakes.SETTLED, receipt=fakes.RECEIPT, refunds=[fakes.REFUND], transfers=[TRANSFER]
    )
    money = json.loads(packed(street_session)["money.json"])

    assert sum(line["amount_fen"] for line in money["lines"]) == money["bill_fen"] == 29
    assert money["hold_fen"] == money["bill_fen"] + money["returned_fen"]
    assert money["refunds"][0]["amount_fen"] == 171
    assert money["transfers"][0]["by"] == "staff:wang"


def test_a_resident_reads_that_staff_acted_and_not_who() -> None:
    session = replace(
        fakes.SESSION, **fakes.SETTLED, reason="stopped_by_staff", stopped_by="staff:wang", transfers=[TRANSFER]
    )
    theirs, ours = packed(session, staff=False), packed(session, staff=True)

    assert "wang" not in "".join(theirs.values())
    assert json.loads(theirs["session.json"])["stop"]["by"] == "staff"
    assert json.loads(ours["session.json"])["stop"]["by"] == "staff:wang"


def test_nobody_who_pays_is_named_in_it() -> None:
    session = replace(fakes.SESSION, **fakes.SETTLED, party_id="party-77", card_id="card-77", transfers=[TRANSFER])

    for staff in (True, False):
        whole = "".join(packed(session, staff=staff).values())
        assert "party-77" not in whole
        assert "card-77" not in whole


def test_the_picture_is_a_picture_with_the_cut_in_it() -> None:
    session, _ = charged("cc-cv", 3)
    picture = ElementTree.fromstring(packed(session, lang="en")["curve.svg"])  # noqa: S314 - our own

    marked = [node.text for node in picture.iter() if node.get("class") == "reason"]
    assert marked == ["full, cut"]


def test_of_a_charge_under_way_it_tells_what_there_is() -> None:
    files = packed(replace(fakes.SESSION, curve=fakes.curve()[:40]))

    assert json.loads(files["session.json"])["stop"] == {
        "reason": None,
        "ocpp_stopped_reason": None,
        "rule": "",
        "by": None,
        "proof": None,
        "evidence": {},
        "said": {},
    }
    assert len(rows(files["curve.csv"])) == 40


def test_staff_of_the_site_get_it_and_others_a_404(stand: Stand) -> None:
    answer = stand.as_role("maintainer").get("/api/v1/sessions/s-here/evidence.zip?lang=en")
    files = opened(answer.content)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].endswith('.zip"')
    assert json.loads(files["session.json"])["stop"]["reason"] == StopReason.FINISHED
    assert [row["what"] for row in rows(files["trips.csv"])] == ["no_proof"]
    assert "hash-here" not in "".join(files.values())
    assert stand.as_role("maintainer").get("/api/v1/sessions/s-there/evidence.zip").status_code == 404


@pytest.mark.parametrize("name", ["5e55a0b19c34", "5E55-A0B1"])
def test_on_the_machine_itself_one_command_writes_it(stand: Stand, tmp_path: Path, name: str) -> None:
    """By the id, or by the number on the bill."""
    with stand.store.engine.connect() as db:
        kept = msgspec.json.decode(db.scalar(text("SELECT state FROM session WHERE id = 's-here'")), type=core.Session)
    stand.store.write("more", [fx.SaveSession(replace(kept, id="5e55a0b19c34"))])
    out = tmp_path / "pack.zip"
    answer = CliRunner().invoke(app, ["evidence", name, "--database", stand.store.url, "-o", str(out)])

    assert answer.exit_code == 0, answer.output
    assert json.loads(opened(out.read_bytes())["session.json"])["session"] == "5e55a0b19c34"


def test_a_charge_that_is_not_there_costs_one_line(stand: Stand, tmp_path: Path) -> None:
    for arguments in (["nowhere"], ["5E55"], ["s-here", "-o", str(tmp_path / "none" / "x.zip")]):
        answer = CliRunner().invoke(app, ["evidence", *arguments, "--database", stand.store.url])
        assert answer.exit_code == 2
        assert answer.stderr.count("\n") == 1
        assert answer.stderr.startswith("anchong evidence: ")
