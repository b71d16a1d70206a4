"""Reports' figures by day, where paid grants stand, and the reports of proofs."""

from alembic import op

revision = "20261121_0035"
down_revision = "20261121_0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Entries are found by when they were booked through a BRIN index: some bytes a megabyte, and nearly free to keep.

    Writers wait while it is built. Made under this name before, CONCURRENTLY, it is taken as it is.
    """
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "CREATE INDEX IF NOT EXISTS entries_booked_at_idx ON ledger.entries"
        " USING brin (booked_at) WITH (pages_per_range = 32)"
    )
    op.execute(
        """
        CREATE TABLE report_progress (
            one_row boolean NOT NULL DEFAULT true CONSTRAINT report_progress_pkey PRIMARY KEY,
            rolled_until timestamptz,
            CONSTRAINT report_progress_one_row_check CHECK (one_row)
        )
        """
    )
    op.execute("INSERT INTO report_progress DEFAULT VALUES")
    op.execute(
        """
        CREATE TABLE report_days (
            day date NOT NULL,
            movement text NOT NULL,
            item text NOT NULL,
            feature text NOT NULL,
            currency text NOT NULL,
            credits numeric(38) NOT NULL,
            sold_minor numeric(38) NOT NULL,
            recognised_minor numeric(38) NOT NULL,
            breakage_minor numeric(38) NOT NULL,
            refunded_minor numeric(38) NOT NULL,
            deferred_minor numeric(38) NOT NULL,
            CONSTRAINT report_days_pkey PRIMARY KEY (day, movement, item, feature, currency),
            CONSTRAINT report_days_money_check
                CHECK (sold_minor = recognised_minor + breakage_minor + refunded_minor + deferred_minor)
        )
        """
    )
    op.execute(
        "CREATE TABLE report_active (day date NOT NULL CONSTRAINT report_active_pkey PRIMARY KEY,"
        " accounts bigint NOT NULL)"
    )
    op.execute(
        """
        CREATE TABLE report_grants (
            account_id bigint NOT NULL,
            grant_id bigint NOT NULL,
            currency text NOT NULL,
            out_credits numeric(38) NOT NULL,
            reclaimed numeric(38) NOT NULL,
            granted_on date,
            emptied_on date,
            CONSTRAINT report_grants_pkey PRIMARY KEY (account_id, grant_id)
        )
        """
    )
    op.execute("CREATE INDEX report_grants_granted_on_idx ON report_grants (granted_on) INCLUDE (currency, emptied_on)")
    op.execute(
        """
        CREATE TABLE proofs (
            id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT proofs_pkey PRIMARY KEY,
            finished_at timestamptz NOT NULL,
            findings bigint NOT NULL,
            report jsonb NOT NULL
        )
        """
    )
