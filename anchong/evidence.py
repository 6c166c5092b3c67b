"""`anchong evidence`: all the evidence of one charge as a zip, straight from the database."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy.exc import SQLAlchemyError

from anchong import settings
from anchong.ledger import Config, Database, url_of
from api.evidence import facts_of, name_of, pack
from controller.core.state import Rules
from controller.database import Unusable
from controller.queries import Queries
from controller.records import SessionDetail


class Lang(StrEnum):
    ZH = "zh"
    EN = "en"


def evidence(
    session: Annotated[str, typer.Argument(help="The session's id, or its bill's number such as 5E55-A0B1.")],
    database: Database = "",
    config: Config = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The file; else anchong-<bill>.zip here.")] = None,
    lang: Annotated[Lang, typer.Option(help="Of the picture, and which language comes first.")] = Lang.ZH,
    for_payer: Annotated[bool, typer.Option(help="Without saying which of the staff acted.")] = False,
) -> None:
    """Curve, reason, commands, trips and money of one charge. Example: anchong evidence 5E55-A0B1 -c anchong.toml"""
    url = url_of(database, config)
    rules = Rules() if config is None else settings.rules(settings.read(config))
    try:
        written = _written(Queries(url), session, rules, out, str(lang), staff=not for_payer)
    except (SQLAlchemyError, Unusable) as error:
        _refused(f"the database can't be read: {str(error).splitlines()[0]}")
    except OSError as error:
        _refused(f"{out or '.'}: can't be written ({error.strerror})")
    if written is None:
        _refused(f"there is no one charge {session}; its bill and its page have the number")
    typer.echo(written)


def _written(queries: Queries, name: str, rules: Rules, out: Path | None, lang: str, *, staff: bool) -> Path | None:
    try:
        found = _found(queries, name)
        if found is None:
            return None
        path = out or Path(name_of(found))
        with path.open("wb") as file:
            file.writelines(pack(facts_of(queries, found, rules, time.time()), lang, staff=staff))
        return path
    finally:
        queries.close()


def _found(queries: Queries, name: str) -> SessionDetail | None:
    """By its id, or by how that begins, if no other begins so."""
    whole = queries.session(name)
    if whole is not None:
        return whole
    rows = queries.sessions(bill=name.replace("-", "").lower(), limit=2).rows
    return queries.session(rows[0].id) if len(rows) == 1 else None


def _refused(why: str) -> NoReturn:
    typer.echo(f"anchong evidence: {why}", err=True)
    raise typer.Exit(2)
