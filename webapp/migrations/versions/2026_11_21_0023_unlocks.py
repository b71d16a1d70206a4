"""Unlocks: what is opened once with credits, and who has it open."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0023"
down_revision = "20261121_0022"
branch_labels = None
depends_on = None

KEY = "^[a-z0-9]+(-[a-z0-9]+)*$"
MOST_CREDITS = 10**15


def upgrade() -> None:
    """What each opened, and until when; what it cost, and whether that was given back, is in the ledger."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "unlocks",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.Column("features", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("credits", sa.BigInteger, nullable=False),
        sa.Column("duration_days", sa.Integer),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.PrimaryKeyConstraint("key", name="unlocks_pkey"),
        sa.CheckConstraint(f"key ~ '{KEY}' AND length(key) <= 64", name="unlocks_key_check"),
        sa.CheckConstraint(f"credits BETWEEN 1 AND {MOST_CREDITS}", name="unlocks_credits_check"),
        sa.CheckConstraint("duration_days BETWEEN 1 AND 36500", name="unlocks_duration_check"),
        sa.CheckConstraint("cardinality(features) BETWEEN 1 AND 100", name="unlocks_features_check"),
    )
    op.create_table(
        "account_unlocks",
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("unlock", sa.Text, nullable=False),
        sa.Column("features", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("account_id", "seq", name="account_unlocks_pkey"),
        sa.ForeignKeyConstraint(["unlock"], ["unlocks.key"], name="account_unlocks_unlock_fkey"),
        sa.CheckConstraint("ends_at > opened_at", name="account_unlocks_ends_check"),
    )
