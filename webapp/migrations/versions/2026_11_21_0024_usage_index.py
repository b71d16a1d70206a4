"""Spends by time and feature, so that the page of usage adds up an index and not the entries."""

from alembic import op

revision = "20261121_0024"
down_revision = "20261121_0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Writers wait while it is built. Made under this name before, CONCURRENTLY, it is taken as it is."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "CREATE INDEX IF NOT EXISTS entries_usage_idx ON ledger.entries (account_id, occurred_at)"
        " INCLUDE (feature, amount) WHERE kind = 'spend'"
    )
