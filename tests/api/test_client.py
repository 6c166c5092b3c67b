"""The OpenAPI page makes a client that works: generated here by a generator from the registry, and used over TCP."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from api.auth import hashed_password
from controller.core.events import Change
from tests.api.office import Office
from tests.api.served import served

PASSWORD = "nine quiet sockets"
CONFIG = "post_hooks: []\ncontent_type_overrides:\n  application/gzip: application/octet-stream\n"
CONFIG += "  application/zip: application/octet-stream\n"
PROGRAM = """
import json, sys
from anchong_client import AuthenticatedClient, Client
from anchong_client.api.account import log_in
from anchong_client.api.sessions import get_session, list_sessions, stop_session
from anchong_client.models import LogIn, LoggedIn, Problem, RowsSession, Stopped

url, password = sys.argv[1:]
me = log_in.sync(client=Client(base_url=url), body=LogIn(login="manager", password=password))
assert isinstance(me, LoggedIn), me
client = AuthenticatedClient(base_url=url, token=me.token)
page = list_sessions.sync(client=client, phase="charging", limit=10)
assert isinstance(page, RowsSession), page
(session,) = page.rows
stopped = stop_session.sync(session.id, client=client, idempotency_key="stop-by-client")
assert isinstance(stopped, Stopped), stopped
after = get_session.sync(session.id, client=client)
missing = get_session.sync("nowhere", client=client)
assert isinstance(missing, Problem), missing
print(json.dumps({"stopped": stopped.session, "phase": after.phase, "by": after.stopped_by, "missing": missing.code}))
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.api.document import document  # noqa: PLC0415 - makes a whole program

    folder = tmp_path_factory.mktemp("client")
    (folder / "page.json").write_text(json.dumps(document()), encoding="utf-8")
    (folder / "config.yml").write_text(CONFIG, encoding="utf-8")
    paths = [
        "--path",
        folder / "page.json",
        "--output-path",
        folder / "anchong_client",
        "--config",
        folder / "config.yml",
    ]
    run(folder, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning", *paths)
    return folder


def run(folder: Path, *command: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_generated_client_logs_in_lists_and_stops(generated: Path, real: Office) -> None:
    row = real.queries.staff_by_login("manager")
    assert row is not None
    real.rig.staff(
        Change.STAFF,
        row.id,
        key="a-password",
        login=row.login,
        name=row.name,
        password_hash=hashed_password(PASSWORD),
        role=row.role,
        sites=row.sites,
        disabled=False,
    )
    charge = real.rig.charging()
    with served(real.app) as web:
        (generated / "program.py").write_text(PROGRAM, encoding="utf-8")
        said = json.loads(run(generated, "program.py", f"http://127.0.0.1:{web.port}", PASSWORD))
    assert said == {"stopped": charge.id, "phase": "closing", "by": f"staff:{row.id}", "missing": "unknown"}
    assert not real.rig.plug.on
