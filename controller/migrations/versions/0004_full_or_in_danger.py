"""Emergency cuts that hold, what a pile's inputs mean, bikes, models of chargers, and settings of the detector.

Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TEXT = sa.String()


def upgrade() -> None:
    op.add_column("site", sa.Column("cut_at", sa.Float()))
    op.add_column("site", sa.Column("cut_by", TEXT))
    op.add_column("site", sa.Column("cut_why", TEXT))
    op.add_column("site", sa.Column("finish", sa.JSON))
    op.add_column("pile", sa.Column("inputs", sa.JSON))
    op.create_table(
        "bike",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("site_id", TEXT, nullable=False),
        sa.Column("party_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("charger_id", TEXT),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("memory", sa.LargeBinary, nullable=False),
    )
    op.create_index("bike_of_party", "bike", ["party_id", "at", "id"])
    op.create_index("bike_by_time", "bike", ["at", "id"])
    op.create_table(
        "charger",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("site_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("rules", sa.JSON, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
    )
    op.create_index("charger_by_time", "charger", ["at", "id"])
    op.create_index("charger_of_site", "charger", ["site_id", "at", "id"])
