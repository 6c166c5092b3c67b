"""anchong.toml and the environment, read here alone; everybody else is handed frozen values.

A bad file costs one line that names the key and the fix.
"""

import hashlib
import hmac
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.engine import make_url

from anchong.esphome import Esphome
from controller.core.state import Rules
from controller.database import shown
from firmware_bridge.transports.mqtt import MqttSettings

SECRET_MIN = 32
DATABASES = ("sqlite:///", "postgresql://")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
DISTINCT_MIN = 10  # "aaaaaaaa…" and "changeme…" are no secrets


class BadSettings(Exception):
    """One line for the person who wrote the file."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Broker(_Section):
    host: str = Field(min_length=1)
    port: int = Field(default=1883, ge=1, le=65535)
    user: str = ""
    password: str = ""
    client_id: str = "anchong"
    version: Literal["3.1.1", "5"] = "3.1.1"
    tls: bool = False
    ca_file: str = ""

    @field_validator("ca_file")
    @classmethod
    def _is_there(cls, value: str) -> str:
        return _file_of(value)


def _file_of(value: str) -> str:
    if value and not Path(value).is_file():
        raise PydanticCustomError("ca_file", "there is no such file; name the authority's certificate")
    return value


class Bus(_Section):
    """One RS-485 line, and the adapter by which it is reached; all that hangs on it speaks at the same settings."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")  # for ever: the addresses of its piles begin with it
    port: str = Field(min_length=1)  # /dev/serial/by-id/…, rfc2217://host:port or socket://host:port
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    turnaround_ms: int = Field(default=200, ge=20, le=5000)  # until a unit has begun to answer, the adapter included


class Reader(_Section):
    """A card reader at this gateway, and the outlet or the pile that it serves."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")  # also of its page, /reader/<name>
    kind: Literal["pn532", "m1", "hid"]
    port: str = Field(min_length=1)  # /dev/serial/by-id/… or as of a bus; of hid /dev/input/by-id/…-event-kbd
    baud: Literal[9600, 19200, 38400, 57600, 115200] | None = None  # None: what its kind is delivered with
    reverse: bool = False  # the bytes of its numbers, so that all readers here agree on a card
    digits: Literal["decimal", "hex"] = "decimal"  # of hid: how it types a card's number
    gone_s: float = Field(default=0.5, ge=0.2, le=30)  # a card not seen for so long was taken away
    outlet: str = ""
    pile: str = ""

    @model_validator(mode="after")
    def _serves_one_thing(self) -> "Reader":
        if bool(self.outlet) is bool(self.pile):
            raise PydanticCustomError("reader", "name either the outlet or the pile that it serves, by its id")
        return self


class Web(_Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = Field(default="http://127.0.0.1:8080", pattern=r"^https?://[^/?#]+$")
    metrics_token: str = Field(default="", pattern=r"^([!-~]{16,})?$")  # empty: /metrics is for this machine alone


class Log(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["plain", "json"] = "plain"


class Sandbox(_Section):
    """Only `demo` and `sim` may have one."""

    url: str
    key_id: str
    key: str
    merchant: str = "demo"
    app: str = "demo"


class Mail(_Section):
    """A server that takes our letters to who left an address; without it nobody is written to."""

    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    sender: str = Field(max_length=200, pattern=r"^[!-~]+@[A-Za-z0-9.-]+$")
    user: str = ""
    password: str = ""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: str = ""

    @field_validator("ca_file")
    @classmethod
    def _is_there(cls, value: str) -> str:
        return _file_of(value)

    @model_validator(mode="after")
    def _in_clear_at_home_alone(self) -> "Mail":
        if self.tls == "none" and self.host not in LOOPBACK:
            raise PydanticCustomError("mail_tls", "tls: none is for a mail server on this machine; use starttls or tls")
        return self


class Settings(_Section):
    database: str = "sqlite:///anchong.sqlite3"
    journal: str = "anchong.trips"
    secret: str = ""
    broker: Broker | None = None
    bus: list[Bus] = []
    reader: list[Reader] = []
    esphome: list[Esphome] = []
    web: Web = Web()
    log: Log = Log()
    rules: dict[str, float] = {}
    mail: Mail | None = None
    sandbox: Sandbox | None = None

    @field_validator("bus", "reader")
    @classmethod
    def _are_told_apart(cls, value: list[Bus] | list[Reader]) -> list[Bus] | list[Reader]:
        for what in ("name", "port"):
            if len({getattr(one, what) for one in value}) < len(value):
                raise PydanticCustomError("told_apart", "no two may have one " + what)
        return value

    @field_validator("esphome")
    @classmethod
    def _have_their_own_topics(cls, value: list[Esphome]) -> list[Esphome]:
        if len({one.prefix for one in value}) < len(value):
            raise PydanticCustomError("esphome", "no two may have one prefix")
        return value

    @field_validator("database")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if not value.startswith(DATABASES):
            raise PydanticCustomError(
                "database", "must be a URL such as sqlite:///anchong.sqlite3 or postgresql://anchong@127.0.0.1/anchong"
            )
        return value


def read(path: Path) -> Settings:
    """The file, with secrets from the environment where they stand there: ANCHONG_SECRET, ANCHONG_BROKER_PASSWORD,
    ANCHONG_MAIL_PASSWORD, and ANCHONG_DATABASE, whose URL may hold a password."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"{path}: can't be read ({error.strerror}); name the file with -c") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: is not TOML: {error}") from error
    return parsed(_with_environment(raw), str(path))


def parsed(raw: dict[str, Any], name: str) -> Settings:
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        raise BadSettings(f"{name}: {_first(error)}") from error
    rules(settings)
    return settings


def _first(error: ValidationError) -> str:
    worst = error.errors()[0]
    key = ".".join(str(part) for part in worst["loc"])
    fix = {"missing": "is missing; add it", "extra_forbidden": "is not a setting; remove it or mend its name"}
    return f"{key}: {fix.get(worst['type'], worst['msg'])}"


def _with_environment(raw: dict[str, Any]) -> dict[str, Any]:
    secret, password = os.environ.get("ANCHONG_SECRET"), os.environ.get("ANCHONG_BROKER_PASSWORD")
    mail_password = os.environ.get("ANCHONG_MAIL_PASSWORD")
    metrics_token = os.environ.get("ANCHONG_METRICS_TOKEN")
    database = os.environ.get("ANCHONG_DATABASE")
    if secret:
        raw["secret"] = secret
    if database:
        raw["database"] = database
    if password and isinstance(raw.get("broker"), dict):
        raw["broker"]["password"] = password
    if mail_password and isinstance(raw.get("mail"), dict):
        raw["mail"]["password"] = mail_password
    if metrics_token and isinstance(raw.setdefault("web", {}), dict):
        raw["web"]["metrics_token"] = metrics_token
    return raw


def rules(settings: Settings) -> Rules:
    """The defaults, with the file's own values; every value is a positive number."""
    known = {name: type(getattr(Rules(), name)) for name in Rules.__struct_fields__}
    changed: dict[str, float | int] = {}
    for name, value in settings.rules.items():
        if name not in known:
            raise BadSettings(f"rules.{name}: is not a rule; one of {', '.join(sorted(known))}")
        if not 0 < value < 1e9:
            raise BadSettings(f"rules.{name}: must be a number above 0")
        changed[name] = known[name](value)
    if changed.get("lease_s", 1) > 900:
        raise BadSettings("rules.lease_s: at most 900; a longer lease is a fire that nobody can cut")
    return Rules(**changed)  # type: ignore[arg-type]


def check_in_earnest(settings: Settings) -> None:
    """What `run` refuses: weak secrets, simulated money, an open broker."""
    weak = len(settings.secret) < SECRET_MIN or len(set(settings.secret)) < DISTINCT_MIN
    if weak or "change" in settings.secret.lower():
        raise BadSettings(
            "secret: is weak or missing; set ANCHONG_SECRET to what `python3 -c "
            "'import secrets; print(secrets.token_hex(32))'` prints, and keep it for ever: stickers depend on it"
        )
    if settings.sandbox is not None:
        raise BadSettings("sandbox: simulated money works only in `anchong demo`; remove the section")
    if settings.broker is None and not settings.bus:
        raise BadSettings("broker: there is neither a [broker] nor a [[bus]]; a gateway needs one to reach its outlets")
    if settings.esphome and settings.broker is None:
        raise BadSettings("esphome: is reached by a broker; add a [broker]")
    if settings.broker is not None and (not settings.broker.user or len(settings.broker.password) < 8):
        raise BadSettings("broker.password: the broker must ask for a user and a password of 8 characters or more")
    if settings.web.public_url.startswith("http://") and not _loopback(settings.web.public_url):
        raise BadSettings("web.public_url: must be https; put a reverse proxy with TLS in front")


def _loopback(url: str) -> bool:
    return url.split("//", 1)[1].split(":", 1)[0] in ("127.0.0.1", "localhost", "[::1]")


def link_of(settings: Settings) -> MqttSettings | None:
    """The way to the broker, where there is one."""
    return None if settings.broker is None else MqttSettings(**settings.broker.model_dump())


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """What must stand in no line and no bundle, whatever it stands beside."""
    found = [settings.secret, settings.web.metrics_token]
    found.append(settings.broker.password if settings.broker is not None else "")
    found.append(make_url(settings.database).password or "")
    found.append(settings.sandbox.key if settings.sandbox is not None else "")
    found.append(settings.mail.password if settings.mail is not None else "")
    return tuple(secret for secret in found if secret)


def without_secrets(settings: Settings) -> dict[str, Any]:
    """To be shown: where a secret stands is said, not what it is."""
    seen = settings.model_dump()
    seen["secret"] = "***" if settings.secret else ""
    if settings.broker is not None:
        seen["broker"]["password"] = "***" if settings.broker.password else ""
    seen["web"]["metrics_token"] = "***" if settings.web.metrics_token else ""
    if settings.mail is not None:
        seen["mail"]["password"] = "***" if settings.mail.password else ""
    seen["database"] = shown(settings.database)
    if settings.sandbox is not None:
        seen["sandbox"]["key"] = "***"
    return seen


def derived(secret: str, purpose: str) -> bytes:
    """One key a purpose from the one secret."""
    return hmac.digest(secret.encode(), f"anchong/{purpose}/1".encode(), hashlib.sha256)
