"""docs/api.md: its commands are run, its table of refusals is the program's own, its roles are those of the routes."""

import re
import subprocess
from pathlib import Path

from api.auth import ROLES, hashed_password
from api.codes import CODES
from controller.core.events import Change
from tests import house
from tests.api.office import Office
from tests.api.served import served

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def section(title: str) -> str:
    return PAGE.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_commands_of_the_page_work(real: Office) -> None:
    house.needs("curl")
    (script,) = re.findall(r"^```sh\n(.*?)^```", section("The first minutes"), re.MULTILINE | re.DOTALL)
    password_hash = hashed_password("nine quiet sockets")
    person = {"login": "lin", "name": "Lin", "password_hash": password_hash, "role": "owner", "sites": []}
    real.rig.staff(Change.STAFF, "s-lin", **person, disabled=False)
    real.rig.charging()
    told = script.replace("curl -s ", "curl -sS -w '\\n%{http_code}\\n' ").replace(
        "TOKEN=$(curl -sS -w '\\n%{http_code}\\n' ", "TOKEN=$(curl -sS "
    )
    with served(real.app) as web:
        done = subprocess.run(
            ["sh", "-euc", told],
            env={"URL": f"http://127.0.0.1:{web.port}", "PATH": house.SEARCH_PATH},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    answers = done.stdout.split("\n")
    statuses = [line for line in answers if re.fullmatch(r"\d{3}", line)]
    assert statuses == ["200", "200", "200", "200", "200", "412"], done.stdout
    assert '"login":"lin"' in answers[0]
    assert '"balance_fen":5000' in done.stdout
    assert not real.rig.plug.on, "it was stopped"


def test_every_word_of_a_refusal_is_in_its_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.*?) \| (.*?) \|$", section("Refusals"), re.MULTILINE)
    wanted = [(word, str(code.status), code.title, code.todo) for word, code in sorted(CODES.items())]
    assert rows == wanted, "write the table anew from api/codes.py"


def test_every_role_is_in_its_table() -> None:
    named = re.findall(r"^\| (\w+) \|", section("Who one is, and what one may"), re.MULTILINE)
    assert [role for role in named if role != "role"] == list(ROLES)
