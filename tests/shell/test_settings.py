"""A bad anchong.toml costs one line that names the key and the fix, exit 2 and no traceback; weak secrets never run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from anchong.__main__ import app
from anchong.settings import (
    BadSettings,
    Settings,
    check_in_earnest,
    derived,
    parsed,
    read,
    rules,
    secrets_of,
    without_secrets,
)

SECRET = "f00dcafe12345678" * 3
SOUND: dict[str, Any] = {
    "secret": SECRET,
    "broker": {"host": "127.0.0.1", "port": 1, "user": "gateway", "password": "a good word"},
    "web": {"public_url": "https://charge.example"},
}
MAIL = '[mail]\nhost = "mail.example"\nsender = "charge@garden.example"\n'
BROKER = 'host = "127.0.0.1"\nport = 1\nuser = "gateway"\npassword = "a good word"'


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ANCHONG_SECRET",
        "ANCHONG_BROKER_PASSWORD",
        "ANCHONG_METRICS_TOKEN",
        "ANCHONG_DATABASE",
        "ANCHONG_MAIL_PASSWORD",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """What `anchong run` says of this file: always one line on stderr, with exit code 2, and nothing is made."""
    monkeypatch.chdir(tmp_path)

    def run(toml: str) -> str:
        (tmp_path / "anchong.toml").write_text(toml, encoding="utf-8")
        result = CliRunner().invoke(app, ["run", "-c", "anchong.toml"])
        assert result.exit_code == 2, result.output
        assert isinstance(result.exception, SystemExit)
        assert len(result.stderr.splitlines()) == 1, result.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["anchong.toml"]
        return result.stderr.strip()

    return run


def toml(secret: str = SECRET, broker: str = "", web: str = "", more: str = "") -> str:
    return f'secret = "{secret}"\n[broker]\n{broker or BROKER}\n[web]\n{web}\n{more}\n'


@pytest.mark.parametrize(
    "secret",
    ["", "secret", "changeme" * 8, "change-me-0123456789-abcdefghijkl", "a" * 64, "ab" * 32, SECRET[:31]],
)
def test_t71_run_refuses_a_weak_or_default_secret(ran: Callable[[str], str], secret: str) -> None:
    line = ran(toml(secret=secret))

    assert line.startswith("secret: is weak or missing; set ANCHONG_SECRET")
    assert secret not in line or len(secret) < 8


def test_t71_run_refuses_a_broker_without_a_password(ran: Callable[[str], str]) -> None:
    for broker in ('host = "h"', 'host = "h"\nuser = "gateway"', 'host = "h"\nuser = "gateway"\npassword = "short"'):
        assert ran(toml(broker=broker)).startswith("broker.password: ")


def test_t72_run_refuses_simulated_money(ran: Callable[[str], str]) -> None:
    sandbox = '[sandbox]\nurl = "http://127.0.0.1:1"\nkey_id = "demo"\nkey = "k"'
    assert ran(toml(more=sandbox)).startswith("sandbox: simulated money works only in")


@pytest.mark.parametrize("url", ["http://charge.example", "http://192.168.1.10:8080", "http://127.0.0.1.evil.example"])
def test_t72_run_refuses_pages_without_tls_off_this_machine(ran: Callable[[str], str], url: str) -> None:
    assert ran(toml(web=f'public_url = "{url}"')).startswith("web.public_url: must be https")


@pytest.mark.parametrize("url", ["https://charge.example", "http://127.0.0.1:8080", "http://localhost"])
def test_tls_or_this_machine_is_accepted(url: str) -> None:
    check_in_earnest(parsed({**SOUND, "web": {"public_url": url}}, "anchong.toml"))


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("colour = 1\n" + toml(), "anchong.toml: colour: is not a setting"),
        (toml(web="prot = 80"), "anchong.toml: web.prot: is not a setting"),
        (toml(web='port = "many"'), "anchong.toml: web.port: "),
        (toml(web="port = 70000"), "anchong.toml: web.port: "),
        (toml(web='public_url = "charge.example"'), "anchong.toml: web.public_url: "),
        (toml(broker="port = 1883"), "anchong.toml: broker.host: is missing; add it"),
        ("", "secret: is weak or missing"),
        (f'secret = "{SECRET}"', "broker: there is neither a [broker] nor a [[bus]]"),
        (toml(more='[[bus]]\nname = "shed"'), "anchong.toml: bus.0.port: is missing; add it"),
        (toml(more='[[bus]]\nname = "Shed 1"\nport = "/dev/x"'), "anchong.toml: bus.0.name: "),
        (toml(more='[[bus]]\nname = "shed"\nport = "/dev/x"\nbaud = 9601'), "anchong.toml: bus.0.baud: "),
        (toml(more='[[bus]]\nname = "a"\nport = "/dev/x"\n' * 2), "anchong.toml: bus: no two may have one "),
        ("broker = 7", "anchong.toml: broker: "),
        (toml(broker='host = "h"\nversion = "4"'), "anchong.toml: broker.version: "),
        (toml(more="[rules]\nlease = 10"), "rules.lease: is not a rule; one of "),
        (toml(more="[rules]\nlease_s = 0"), "rules.lease_s: must be a number above 0"),
        (toml(more="[rules]\nlease_s = nan"), "rules.lease_s: must be a number above 0"),
        (toml(more="[rules]\nlease_s = 3600"), "rules.lease_s: at most 900"),
        (toml(more='[rules]\nlease_s = "long"'), "anchong.toml: rules.lease_s: "),
        ('database = "nonsense"\n' + toml(), "anchong.toml: database: "),
        ('database = "mysql://x/y"\n' + toml(), "anchong.toml: database: "),
        ('database = "sqlite:///none/a.sqlite3"\n' + toml(), "database: can't be opened"),
        (toml(broker='host = ""'), "anchong.toml: broker.host: "),
        (toml(broker=BROKER + '\ntls = true\nca_file = "none.pem"'), "anchong.toml: broker.ca_file: "),
        (toml(more=MAIL + 'tls = "none"'), "anchong.toml: mail: tls: none is for a mail server on this machine"),
        (toml(more=MAIL + 'ca_file = "none.pem"'), "anchong.toml: mail.ca_file: "),
        (toml(more=MAIL + 'tls = "maybe"'), "anchong.toml: mail.tls: "),
        (toml(more='[mail]\nhost = "127.0.0.1"\nsender = "nobody"'), "anchong.toml: mail.sender: "),
        ("[broker", "anchong.toml: is not TOML: "),
    ],
)
def test_a_bad_file_costs_one_line_that_names_the_key(ran: Callable[[str], str], text: str, begins: str) -> None:
    assert ran(text).startswith(begins)


@pytest.mark.parametrize("command", ["run", "doctor"])
def test_a_file_that_is_not_there_or_not_text_costs_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff\xe0")
    for name, says in (("none.toml", "name the file with -c"), ("picture", "is not TOML"), (".", "can't be read")):
        result = CliRunner().invoke(app, [command, "-c", str(tmp_path / name)])
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert says in result.stderr


@given(
    st.dictionaries(
        st.sampled_from([*Settings.model_fields, "colour"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
            max_leaves=5,
        ),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_the_file_is_accepted_or_refused_in_one_line(raw: dict[str, Any]) -> None:
    assert "\n" not in _refusal({**SOUND, **raw})


def _refusal(raw: dict[str, Any]) -> str:
    try:
        check_in_earnest(parsed(raw, "anchong.toml"))
    except BadSettings as bad:
        return str(bad)
    return ""


def test_secrets_come_from_the_environment_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "anchong.toml").write_text(toml(secret="weak"), encoding="utf-8")
    monkeypatch.setenv("ANCHONG_SECRET", SECRET)
    monkeypatch.setenv("ANCHONG_BROKER_PASSWORD", "from outside")
    monkeypatch.setenv("ANCHONG_DATABASE", "postgresql://anchong:word@127.0.0.1/anchong")

    found = read(tmp_path / "anchong.toml")

    assert (found.secret, found.broker and found.broker.password) == (SECRET, "from outside")
    assert found.database == "postgresql://anchong:word@127.0.0.1/anchong"


def test_rules_keep_their_kind_and_the_rest_their_defaults() -> None:
    changed = rules(parsed({**SOUND, "rules": {"pay_fen_min": 150, "silent_s": 90}}, "anchong.toml"))

    assert (changed.pay_fen_min, changed.silent_s, changed.lease_s) == (150, 90.0, 120.0)
    assert isinstance(changed.pay_fen_min, int)


def test_each_purpose_has_its_own_key() -> None:
    keys = {derived(SECRET, purpose) for purpose in ("sticker", "sign", "sandbox")}
    assert len(keys) == 3
    assert derived(SECRET, "sticker") == derived(SECRET, "sticker")
    assert derived(SECRET + "x", "sticker") not in keys


def test_how_lines_look_and_who_reads_the_figures_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "anchong.toml"
    path.write_text(toml(more='[log]\nlevel = "debug"\nformat = "json"'), encoding="utf-8")
    monkeypatch.setenv("ANCHONG_METRICS_TOKEN", "a token of some length".replace(" ", "-"))

    settings = read(path)

    assert (settings.log.level, settings.log.format) == ("debug", "json")
    assert settings.web.metrics_token == "a-token-of-some-length"
    assert parsed(SOUND, "x").log.format == "plain"


@pytest.mark.parametrize("token", ["short", "with a blank in it, and long", "ünïcödé-and-long-enough"])
def test_a_metrics_token_that_can_be_guessed_or_not_be_sent_is_refused(token: str) -> None:
    with pytest.raises(BadSettings, match=r"web\.metrics_token"):
        parsed({**SOUND, "web": {"metrics_token": token}}, "x")


@pytest.mark.parametrize("more", ['level = "loud"', 'format = "xml"', "colour = true"])
def test_a_log_setting_that_there_is_not_is_refused(ran: Callable[[str], str], more: str) -> None:
    assert ran(toml(more=f"[log]\n{more}")).startswith("anchong.toml: log.")


def test_what_is_shown_of_the_settings_has_no_secret_in_it() -> None:
    raw = {
        **SOUND,
        "web": {"metrics_token": "figures-for-prometheus"},
        "database": "postgresql://a:hunter22@127.0.0.1/x",
    }
    settings = parsed(raw, "x")

    shown = str(without_secrets(settings))

    for secret in (SECRET, "a good word", "figures-for-prometheus", "hunter22"):
        assert secret in secrets_of(settings)
        assert secret not in shown


def test_the_mail_servers_password_comes_from_outside_and_is_shown_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "anchong.toml"
    path.write_text(toml(more=MAIL + 'user = "anchong"'))
    monkeypatch.setenv("ANCHONG_MAIL_PASSWORD", "a word for the post")
    found = read(path)

    assert found.mail is not None
    assert (found.mail.password, found.mail.port, found.mail.tls) == ("a word for the post", 587, "starttls")
    assert "a word for the post" in secrets_of(found)
    assert without_secrets(found)["mail"]["password"] == "***"
    assert "a word for the post" not in str(without_secrets(found))


def test_in_clear_mail_may_go_to_this_machine() -> None:
    mail = {"host": "127.0.0.1", "sender": "charge@garden.example", "tls": "none"}

    assert parsed({**SOUND, "mail": mail}, "anchong.toml").mail is not None
