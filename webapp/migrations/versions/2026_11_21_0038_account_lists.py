"""Accounts are found by the end of an address and by a name; those in debt or with frozen credits have indexes.

None of these holds a column that a spend changes as a rule, so spends stay HOT updates.
"""

from alembic import op

revision = "20261121_0038"
down_revision = "20261121_0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Writers wait while they are built. Made under these names before, CONCURRENTLY, they are taken as they are."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE INDEX IF NOT EXISTS users_email_key_suffix_idx ON users (reverse(email_key) text_pattern_ops)")
    op.execute("CREATE INDEX IF NOT EXISTS users_name_prefix_idx ON users (lower(name) text_pattern_ops)")
    op.execute("CREATE INDEX IF NOT EXISTS accounts_debt_idx ON ledger.accounts (account_id) WHERE debt > 0")
    op.execute("CREATE INDEX IF NOT EXISTS grants_frozen_idx ON ledger.grants (account_id) WHERE frozen AND open")
