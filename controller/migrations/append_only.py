"""Rows that nobody may change or take away: triggers, in each database's own words.

A table that SQLite makes anew (`op.batch_alter_table`) silently loses them, so `schema.upgrade` makes them each time.
"""

from sqlalchemy import Connection, text

VERBS = {"sqlite": ("UPDATE", "DELETE"), "postgresql": ("UPDATE", "DELETE", "TRUNCATE")}

_SQLITE = """CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb} ON {table}
    BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""

# the error's class is that of a broken constraint, as SQLite has it
_REFUSE = """CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"""
_POSTGRESQL = """CREATE OR REPLACE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
    FOR EACH {each} EXECUTE FUNCTION refuse_change()"""


def protect(db: Connection, *tables: str) -> None:
    """Whatever is protected already stays so."""
    if db.dialect.name == "postgresql":
        db.execute(text(_REFUSE))
    for table in tables:
        for verb in VERBS[db.dialect.name]:
            db.execute(text(_trigger(db.dialect.name, table, verb)))


def _trigger(dialect: str, table: str, verb: str) -> str:
    each = "STATEMENT" if verb == "TRUNCATE" else "ROW"
    return (_SQLITE if dialect == "sqlite" else _POSTGRESQL).format(table=table, verb=verb, each=each)
