"""A copy of each account's balance, for the order of a list: an index on the ledger's own would slow every spend."""

from alembic import op

revision = "20261121_0041"
down_revision = "20261121_0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The job rank_accounts fills it."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "CREATE TABLE account_ranks ("
        "account_id bigint CONSTRAINT account_ranks_pkey PRIMARY KEY, balance bigint NOT NULL)"
    )
    op.execute("CREATE INDEX account_ranks_balance_idx ON account_ranks (balance, account_id)")
