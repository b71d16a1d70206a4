"""Queued usage: events that are stored now and charged by jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "20261121_0021"
down_revision = "20261121_0020"
branch_labels = None
depends_on = None

LANES = 64


def upgrade() -> None:
    """Events in the order of arrival, and the lanes that workers take, one worker a lane at a time."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "usage_events",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("batch", sa.Uuid, nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("lane", sa.SmallInteger),
        sa.Column("account_id", sa.BigInteger),
        sa.Column("amount", sa.BigInteger),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("fingerprint", sa.LargeBinary),
        sa.Column("actor", sa.Text),
        sa.Column("feature", sa.Text),
        sa.Column("quantity", sa.BigInteger),
        sa.Column("partial", sa.Boolean),
        sa.Column("description", sa.Text),
        sa.Column("reference", sa.Text),
        sa.Column("metadata", JSONB),
        sa.Column("pricing", JSONB),
        sa.Column("occurred_at", sa.DateTime(timezone=True)),
        sa.Column("seq", sa.BigInteger),
        sa.Column("replayed", sa.Boolean),
        sa.Column("refusal", JSONB),
        sa.Column("tried_version", sa.BigInteger),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="usage_events_pkey"),
        sa.UniqueConstraint("batch", "position", name="usage_events_batch_key"),
        sa.CheckConstraint("state IN ('pending', 'charged', 'parked', 'rejected')", name="usage_events_state_check"),
        sa.CheckConstraint(
            "state = 'rejected' OR (account_id IS NOT NULL AND lane IS NOT NULL)", name="usage_events_account_check"
        ),
        sa.CheckConstraint("(state = 'charged') = (seq IS NOT NULL)", name="usage_events_seq_check"),
    )
    op.create_index(
        "usage_events_pending_idx", "usage_events", ["lane", "id"], postgresql_where=sa.text("state = 'pending'")
    )
    op.create_index("usage_events_parked_idx", "usage_events", ["id"], postgresql_where=sa.text("state = 'parked'"))
    op.create_index("usage_events_account_idx", "usage_events", ["account_id", "state", "id"])
    op.create_table(
        "usage_lanes",
        sa.Column("lane", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("lane", name="usage_lanes_pkey"),
    )
    op.execute(f"INSERT INTO usage_lanes (lane) SELECT generate_series(0, {LANES - 1})")
