"""Packages and plans count their changes; who is on a plan, and who waits for one, is found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0034"
down_revision = "20261121_0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two people who change the same package at once do not undo each other's work unseen."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in ("packages", "plans"):
        op.add_column(table, sa.Column("version", sa.BigInteger, nullable=False, server_default="1"))
    op.execute("CREATE INDEX entitlements_on_plan_idx ON entitlements (mode, plan, coalesce(ends_at, 'infinity'))")
    op.execute(
        "CREATE INDEX subscriptions_pending_plan_idx ON subscriptions (pending_plan, currency)"
        " WHERE pending_plan IS NOT NULL AND successor_id IS NULL"
    )
