"""What long histories spent, added up by the half hour, up to a mark of each account."""

from alembic import op

revision = "20261121_0040"
down_revision = "20261121_0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Both are empty until the job `sum_usage` runs; until then everything is read from the entries."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE TABLE ledger.usage_marks (account_id bigint PRIMARY KEY, seq bigint NOT NULL)")
    op.execute(
        """
        CREATE TABLE ledger.usage_sums (
            account_id bigint NOT NULL,
            since timestamptz NOT NULL,
            feature text,
            spent bigint NOT NULL,
            refunded bigint NOT NULL,
            spends bigint NOT NULL,
            CONSTRAINT usage_sums_key UNIQUE NULLS NOT DISTINCT (account_id, since, feature)
        )
        """
    )
