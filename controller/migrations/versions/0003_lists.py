"""An index for each order and condition of the lists, the site of a refund, and answers kept for repeats.

Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TEXT = sa.String()
PAID = sa.text("txn IS NOT NULL")
UNCLEARED = sa.text("cleared_at IS NULL")

OLD = (
    ("session", "ix_session_outlet_id"),
    ("session", "ix_session_site_id"),
    ("session", "ix_session_party_id"),
    ("session", "ix_session_card_id"),
    ("session", "ix_session_opened_at"),
    ("session", "session_live"),
    ("session", "session_of_site"),
    ("charge_order", "ix_charge_order_outlet_id"),
    ("charge_order", "ix_charge_order_site_id"),
    ("charge_order", "ix_charge_order_placed_at"),
    ("refund", "ix_refund_state"),
    ("alarm", "ix_alarm_at"),
    ("alarm", "ix_alarm_outlet_id"),
)
NEW = (
    ("pile_by_name", "pile", ["name", "id"]),
    ("pile_of_site", "pile", ["site_id", "name", "id"]),
    ("outlet_by_number", "outlet", ["number", "id"]),
    ("outlet_of_site", "outlet", ["site_id", "number", "id"]),
    ("card_by_printed", "card", ["printed", "id"]),
    ("order_by_time", "charge_order", ["placed_at", "id"]),
    ("order_of_site", "charge_order", ["site_id", "placed_at", "id"]),
    ("order_of_outlet", "charge_order", ["outlet_id", "placed_at", "id"]),
    ("order_of_party", "charge_order", ["party_id", "placed_at", "id"]),
    ("order_in_state", "charge_order", ["state", "placed_at", "id"]),
    ("order_of_site_in_state", "charge_order", ["site_id", "state", "placed_at", "id"]),
    ("order_party_at_site", "charge_order", ["site_id", "party_id"]),
    ("session_by_time", "session", ["opened_at", "id"]),
    ("session_of_site", "session", ["site_id", "opened_at", "id"]),
    ("session_of_outlet", "session", ["outlet_id", "opened_at", "id"]),
    ("session_of_party", "session", ["party_id", "opened_at", "id"]),
    ("session_of_card", "session", ["card_id", "opened_at", "id"]),
    ("session_in_phase", "session", ["phase", "opened_at", "id"]),
    ("session_of_site_in_phase", "session", ["site_id", "phase", "opened_at", "id"]),
    ("session_for_reason", "session", ["reason", "opened_at", "id"]),
    ("session_of_site_for_reason", "session", ["site_id", "reason", "opened_at", "id"]),
    ("session_party_at_site", "session", ["site_id", "party_id"]),
    ("refund_by_time", "refund", ["due_at", "id"]),
    ("refund_of_site", "refund", ["site_id", "due_at", "id"]),
    ("refund_in_state", "refund", ["state", "due_at", "id"]),
    ("refund_of_site_in_state", "refund", ["site_id", "state", "due_at", "id"]),
    ("audit_by_time", "audit", ["at", "id"]),
    ("audit_of_subject", "audit", ["subject", "at", "id"]),
    ("alarm_by_time", "alarm", ["at", "id"]),
    ("alarm_of_site", "alarm", ["site_id", "at", "id"]),
    ("alarm_of_outlet", "alarm", ["outlet_id", "at", "id"]),
)
PARTIAL = (
    ("order_paid", "charge_order", ["placed_at", "id"], PAID),
    ("order_of_site_paid", "charge_order", ["site_id", "placed_at", "id"], PAID),
    ("alarm_open", "alarm", ["at", "id"], UNCLEARED),
    ("alarm_of_site_open", "alarm", ["site_id", "at", "id"], UNCLEARED),
)


def upgrade() -> None:
    op.add_column("refund", sa.Column("site_id", TEXT, nullable=False, server_default=""))
    op.execute(
        "UPDATE refund SET site_id = coalesce((SELECT o.site_id FROM charge_order o WHERE o.id = refund.order_id), '')"
    )
    op.create_table(
        "kept_answer",
        sa.Column("key", TEXT, primary_key=True),
        sa.Column("at", sa.Float(), nullable=False, index=True),
        sa.Column("wish", TEXT, nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
    )
    for table, name in OLD:
        op.drop_index(name, table_name=table)
    for name, table, columns in NEW:
        op.create_index(name, table, columns)
    for name, table, columns, where in PARTIAL:
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
