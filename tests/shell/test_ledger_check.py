"""Books that are sound are said to be, and each way of breaking them by hand is named."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from anchong.ledger import ledger
from controller.core import events as ev
from controller.ledger_check import proofs
from tests.databases import unguarded
from tests.shell.rig import Rig

RUN = CliRunner()

BREAKS = {
    "I1": ["UPDATE account SET balance = balance + 1 WHERE code LIKE 'psp:%'"],
    "I2": [
        "UPDATE account SET balance = balance + 1 WHERE code LIKE 'psp:%'",
        "UPDATE account SET balance = balance - 1 WHERE code LIKE 'cash:%'",
    ],
    "I3: account card:c1 has": ["UPDATE account SET floor = NULL WHERE code = 'card:c1'"],
    "I3: account card:c1 is": [
        "UPDATE account SET floor = NULL, balance = -1 WHERE code = 'card:c1'",
    ],
    "I4: entry settle:S1 is not": ["UPDATE transfer SET amount_fen = amount_fen + 1 WHERE entry_key = 'settle:S1'"],
    "I4: entry topup:t1 is not": ["UPDATE entry SET ref = 'c2' WHERE key = 'topup:t1'"],
    "I4: entry topup:t1 has no": ["DELETE FROM transfer WHERE entry_key = 'topup:t1'"],
    "I4: transfers of": ["DELETE FROM entry WHERE key = 'topup:t1'"],
    "I4: audit has": ["DELETE FROM audit WHERE id = 1"],
    "I5: session S1": ["UPDATE session SET hold_fen = hold_fen + 100 WHERE id = 'S1'"],
    "I5: order O1": ["UPDATE charge_order SET txn = 'T3' WHERE id = 'O1'"],
    "I6": ["UPDATE session SET phase = 'charging', outlet_id = 'o9' WHERE id = 'S1'"],
    "I7: refund": ["UPDATE refund SET state = 'due'"],
    "I7: refund_due": ["UPDATE refund SET state = 'due'"],
    "I7: of payment": ["UPDATE refund SET body = OTHER_BODY"],
    "I8: session S1 was": ["UPDATE session SET bill_fen = 300 WHERE id = 'S1'"],
    "I8: session S1: receipt": ["UPDATE receipt SET total_fen = total_fen - 1"],
    "I8: session S1: bill": ["UPDATE session SET returned_fen = returned_fen - 1 WHERE id = 'S1'"],
    "I8: the receipt": ["UPDATE receipt SET lines = OTHER_LINES WHERE session_id = 'S1'"],
    "I8: session S1 is settled": ["DELETE FROM receipt WHERE session_id = 'S1'"],
    "I9": [
        "DROP INDEX one_live_session_per_outlet",
        "UPDATE session SET phase = 'charging' WHERE card_id IS NULL",
    ],
    "audit: the chain": ["UPDATE audit SET body = '{}' WHERE id = 1"],
}

IN_WORDS_OF = {
    "sqlite": {
        "OTHER_BODY": "CAST(replace(CAST(body AS TEXT), '\"T1\"', '\"T9\"') AS BLOB)",
        "OTHER_LINES": "replace(lines, '5583', '5584')",
    },
    "postgresql": {
        "OTHER_BODY": "convert_to(replace(convert_from(body, 'UTF8'), '\"T1\"', '\"T9\"'), 'UTF8')",
        "OTHER_LINES": "CAST(replace(CAST(lines AS TEXT), '5583', '5584') AS JSON)",
    },
}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Two settled charges, one refund paid, one card with money, two lines of audit."""
    rig = Rig(tmp_path)
    for number in "12":
        _charged(rig, number)
    rig.answer(rig.topup(300))
    rig.staff(ev.Change.NAME, number="7")
    return rig


def _charged(rig: Rig, number: str) -> None:
    rig.beat()
    rig.answer(rig.order(f"O{number}"))
    rig.answer(rig.paid(f"O{number}", f"T{number}"))
    rig.plug.load_w = 600.0
    rig.beat(times=20)
    rig.answer(rig.stop(f"S{number}", key=f"stop{number}"))
    rig.beat()
    rig.answer(rig.refunded(f"O{number}R", rig.saved(f"S{number}").returned_fen))


def test_sound_books_are_sound(rig: Rig) -> None:
    assert proofs(rig.url) == []


def test_books_with_a_charge_under_way_are_sound_too(rig: Rig) -> None:
    rig.answer(rig.order("O3"))
    rig.answer(rig.paid("O3", "T3"))
    rig.answer(rig.paid("O3", "T4"))  # somebody paid twice

    assert proofs(rig.url) == []


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_invariant_is_named(rig: Rig, name: str) -> None:
    broken_by_hand(rig, BREAKS[name])

    found = proofs(rig.url)

    assert any(line.startswith(name) for line in found), found


def test_check_says_so_and_exits_by_it(rig: Rig) -> None:
    sound = RUN.invoke(ledger, ["check", "--database", rig.url])
    assert sound.exit_code == 0
    assert sound.stdout.startswith(
        "the books are sound\nentries 7, transfers 9, moved_fen 1498, held_fen 0, sessions 2"
    )

    broken_by_hand(rig, BREAKS["I1"])

    broken = RUN.invoke(ledger, ["check", "--database", rig.url, "--json"])
    assert broken.exit_code == 1
    said = json.loads(broken.stdout)
    assert said["sound"] is False
    assert "I1: the balances of all accounts sum to 1 fen, not to 0" in said["broken"]


def test_check_finds_the_database_in_the_settings(rig: Rig, tmp_path: Path) -> None:
    config = tmp_path / "anchong.toml"
    config.write_text(f'database = "{rig.url}"\n[broker]\nhost = "127.0.0.1"\n', encoding="utf-8")

    assert RUN.invoke(ledger, ["check", "-c", str(config)]).exit_code == 0


@pytest.mark.parametrize(
    "arguments", [[], ["--database", "sqlite:////nowhere/x.sqlite3"], ["--database", "nonsense"], ["-c", "/nowhere"]]
)
@pytest.mark.parametrize("command", ["check", "export"])
def test_bad_input_is_one_line_and_exit_2(command: str, arguments: list[str]) -> None:
    result = RUN.invoke(ledger, [command, *arguments])

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_checking_writes_nothing(rig: Rig) -> None:
    before = rig.sql("SELECT * FROM meta")
    proofs(rig.url)
    assert rig.sql("SELECT * FROM meta") == before


def test_the_export_holds_every_transfer_and_runs_no_formula(rig: Rig, tmp_path: Path) -> None:
    broken_by_hand(rig, ["UPDATE entry SET ref = '=HYPERLINK(0)' WHERE key = 'topup:t1'"])

    assert RUN.invoke(ledger, ["export", str(tmp_path / "books"), "--database", rig.url]).exit_code == 0

    with (tmp_path / "books" / "entries.csv").open(encoding="utf-8-sig") as file:
        entries = {row["key"]: row for row in csv.DictReader(file)}
    assert entries["topup:t1"]["ref"] == "'=HYPERLINK(0)"
    with (tmp_path / "books" / "transfers.csv").open(encoding="utf-8-sig") as file:
        transfers = list(csv.DictReader(file))
    assert len(transfers) == rig.sql("SELECT COUNT(*) FROM transfer")[0][0]
    assert {row["entry_key"] for row in transfers} == set(entries)


def test_the_export_goes_to_stdout_or_json(rig: Rig) -> None:
    printed = RUN.invoke(ledger, ["export", "--database", rig.url]).stdout
    assert next(csv.reader(io.StringIO(printed.split("# transfers\n")[1]))) == [
        "entry_key",
        "debit",
        "credit",
        "amount_fen",
    ]

    tables = json.loads(RUN.invoke(ledger, ["export", "--database", rig.url, "--json"]).stdout)
    assert {row["key"] for row in tables["entries"]} == {row["entry_key"] for row in tables["transfers"]}


def broken_by_hand(rig: Rig, statements: list[str]) -> None:
    words = IN_WORDS_OF["sqlite" if rig.url.startswith("sqlite") else "postgresql"]
    for name, word in words.items():
        statements = [statement.replace(name, word) for statement in statements]
    unguarded(rig.url, *statements)
