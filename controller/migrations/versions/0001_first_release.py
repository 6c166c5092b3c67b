"""The schema of the first release, 0.1.0.

Revises: nothing
"""

import sqlalchemy as sa
from alembic import op

from controller.migrations.append_only import protect

revision = "0001"
down_revision = None

TEXT = sa.String()
REAL = sa.Float()
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIVE = sa.text("phase <> 'settled'")


def upgrade() -> None:
    _house()
    _people()
    _charges()
    _money()
    protect(op.get_bind(), "entry", "transfer", "audit", "receipt")


def _house() -> None:
    op.create_table(
        "meta",
        sa.Column("key", TEXT, primary_key=True),
        sa.Column("value", TEXT, nullable=False),
    )
    op.create_table(
        "merchant",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("name", TEXT, nullable=False),
    )
    op.create_table(
        "tariff",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("site_id", TEXT, index=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("zone", TEXT, nullable=False),
        sa.Column("bands", sa.JSON, nullable=False),
        sa.Column("at", REAL, nullable=False),
    )
    op.create_table(
        "site",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("zone", TEXT, nullable=False),
        sa.Column("merchant_id", TEXT, sa.ForeignKey("merchant.id"), nullable=False),
        sa.Column("tariff_id", TEXT, sa.ForeignKey("tariff.id"), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
    )
    op.create_table(
        "pile",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("site_id", TEXT, sa.ForeignKey("site.id"), nullable=False, index=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("family", TEXT, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("firmware", TEXT, nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("adopted_at", REAL, nullable=False),
    )
    op.create_table(
        "outlet",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("pile_id", TEXT, sa.ForeignKey("pile.id"), nullable=False, index=True),
        sa.Column("site_id", TEXT, sa.ForeignKey("site.id"), nullable=False, index=True),
        sa.Column("channel", sa.Integer, nullable=False),
        sa.Column("number", TEXT, nullable=False),
        sa.Column("phase", TEXT, nullable=False),
        sa.Column("lease_class", TEXT, nullable=False),
        sa.Column("latch", TEXT),
        sa.Column("locked_by", TEXT),
        sa.Column("commissioned_at", REAL),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "found",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("family", TEXT, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("firmware", TEXT, nullable=False),
        sa.Column("channels", sa.Integer, nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("lease_class", TEXT, nullable=False),
        sa.Column("lease_s_max", sa.Integer, nullable=False),
        sa.Column("seen_at", REAL, nullable=False),
    )
    op.create_table(
        "sticker",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("outlet_id", TEXT, sa.ForeignKey("outlet.id"), nullable=False, index=True),
        sa.Column("made_at", REAL, nullable=False),
        sa.Column("retired_at", REAL),
    )


def _people() -> None:
    op.create_table(
        "party",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("at", REAL, nullable=False),
    )
    op.create_table(
        "party_identity",
        sa.Column("party_id", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False, index=True),
    )
    op.create_table(
        "card",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("uid", TEXT, nullable=False, unique=True),
        sa.Column("printed", TEXT, nullable=False),
        sa.Column("party_id", TEXT, nullable=False),
        sa.Column("frozen", sa.Boolean, nullable=False),
    )
    op.create_table(
        "staff",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("login", TEXT, nullable=False, unique=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("password_hash", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("sites", sa.JSON, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("at", REAL, nullable=False),
    )


def _charges() -> None:
    op.create_table(
        "charge_order",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("key", TEXT, nullable=False, unique=True),
        sa.Column("session_id", TEXT, nullable=False, index=True),
        sa.Column("outlet_id", TEXT, nullable=False, index=True),
        sa.Column("site_id", TEXT, nullable=False, index=True),
        sa.Column("merchant_id", TEXT, nullable=False),
        sa.Column("party_id", TEXT, nullable=False),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("amount_fen", sa.Integer, nullable=False),
        sa.Column("secret_hash", TEXT, nullable=False, unique=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("placed_at", REAL, nullable=False, index=True),
        sa.Column("expires_at", REAL, nullable=False),
        sa.Column("pay_url", TEXT),
        sa.Column("txn", TEXT),
        sa.Column("why", TEXT),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("amount_fen > 0", name="order_amount"),
    )
    op.create_table(
        "session",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("outlet_id", TEXT, nullable=False, index=True),
        sa.Column("site_id", TEXT, nullable=False, index=True),
        sa.Column("merchant_id", TEXT, nullable=False),
        sa.Column("party_id", TEXT, nullable=False, index=True),
        sa.Column("order_id", TEXT, index=True),
        sa.Column("card_id", TEXT, index=True),
        sa.Column("phase", TEXT, nullable=False),
        sa.Column("reason", TEXT),
        sa.Column("opened_at", REAL, nullable=False, index=True),
        sa.Column("started_at", REAL),
        sa.Column("off_at", REAL),
        sa.Column("settled_at", REAL),
        sa.Column("hold_fen", sa.Integer, nullable=False),
        sa.Column("bill_fen", sa.Integer),
        sa.Column("returned_fen", sa.Integer),
        sa.Column("energy_wh", REAL, nullable=False),
        sa.Column("peak_w", REAL, nullable=False),
        sa.Column("proof", TEXT),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("curve", sa.JSON),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "one_live_session_per_card", "session", ["card_id"], unique=True, sqlite_where=LIVE, postgresql_where=LIVE
    )
    op.create_index(
        "one_live_session_per_outlet", "session", ["outlet_id"], unique=True, sqlite_where=LIVE, postgresql_where=LIVE
    )
    op.create_index("session_live", "session", ["phase"])
    op.create_index("session_of_site", "session", ["site_id", "opened_at"])
    op.create_index("session_settled", "session", ["settled_at"])
    op.create_table(
        "sample",
        sa.Column("session_id", TEXT, primary_key=True),
        sa.Column("at", REAL, primary_key=True),
        sa.Column("power_w", REAL, nullable=False),
        sa.Column("used_wh", REAL, nullable=False),
    )
    op.create_table(
        "receipt",
        sa.Column("session_id", TEXT, primary_key=True),
        sa.Column("at", REAL, nullable=False),
        sa.Column("total_fen", sa.Integer, nullable=False),
        sa.Column("lines", sa.JSON, nullable=False),
    )
    op.create_table(
        "moment",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("session_id", TEXT, nullable=False, index=True),
        sa.Column("at", REAL, nullable=False),
        sa.Column("what", TEXT, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
    )
    op.create_table(
        "refund",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("order_id", TEXT, nullable=False, index=True),
        sa.Column("session_id", TEXT, index=True),
        sa.Column("merchant_id", TEXT, nullable=False),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("amount_fen", sa.Integer, nullable=False),
        sa.Column("state", TEXT, nullable=False, index=True),
        sa.Column("due_at", REAL, nullable=False),
        sa.Column("done_at", REAL),
        sa.Column("why", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("amount_fen > 0", name="refund_amount"),
    )
    op.create_table(
        "outbox",
        sa.Column("slot", TEXT, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("not_before", REAL, nullable=False, index=True),
        sa.Column("expires_at", REAL),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
    op.create_table(
        "alarm",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("at", REAL, nullable=False, index=True),
        sa.Column("site_id", TEXT, nullable=False),
        sa.Column("outlet_id", TEXT, nullable=False, index=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("cleared_at", REAL),
        sa.Column("cleared_by", TEXT),
    )


def _money() -> None:
    op.create_table(
        "account",
        sa.Column("code", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("floor", WHOLE),
        sa.Column("balance", WHOLE, nullable=False),
        sa.CheckConstraint("floor IS NULL OR balance >= floor", name="account_floor"),
    )
    op.create_table(
        "entry",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("key", TEXT, nullable=False, unique=True),
        sa.Column("body_hash", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("ref", TEXT, nullable=False, index=True),
        sa.Column("at", REAL, nullable=False),
        sa.Column("by", TEXT, nullable=False),
    )
    op.create_table(
        "transfer",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("entry_key", TEXT, sa.ForeignKey("entry.key"), nullable=False, index=True),
        sa.Column("debit", TEXT, sa.ForeignKey("account.code"), nullable=False, index=True),
        sa.Column("credit", TEXT, sa.ForeignKey("account.code"), nullable=False, index=True),
        sa.Column("amount_fen", WHOLE, nullable=False),
        sa.CheckConstraint("amount_fen > 0", name="transfer_amount"),
        sa.CheckConstraint("debit <> credit", name="transfer_two_accounts"),
    )
    op.create_table(
        "audit",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("at", REAL, nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.Column("what", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("previous", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False, unique=True),
    )
