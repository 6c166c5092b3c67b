"""What a feed may carry, programs that come in by token, and where others are told what happens.

Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.String()
REAL = sa.Float()
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for table in ("site", "pile"):
        op.add_column(table, sa.Column("power_w", REAL))
    _followers()


def _followers() -> None:
    op.create_table(
        "api_token",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("token_hash", TEXT, nullable=False, unique=True),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("sites", sa.JSON, nullable=False),
        sa.Column("made_by", TEXT, nullable=False),
        sa.Column("at", REAL, nullable=False),
        sa.Column("expires_at", REAL),
        sa.Column("revoked_at", REAL),
    )
    op.create_table(
        "feed",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("at", REAL, nullable=False, index=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("site_id", TEXT, nullable=False, index=True),
        sa.Column("outlet_id", TEXT),
        sa.Column("session_id", TEXT),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_table(
        "hook",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("kinds", sa.JSON, nullable=False),
        sa.Column("sites", sa.JSON, nullable=False),
        sa.Column("made_by", TEXT, nullable=False),
        sa.Column("at", REAL, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
    )
