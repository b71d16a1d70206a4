"""Credits for many accounts by a file: what was handed in, what is wrong with it, and what came of each line."""

from alembic import op

revision = "20261121_0037"
down_revision = "20261121_0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """And an index for the list of what the outbox has not done yet, however much it has."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        """
        CREATE TABLE bulk_runs (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            kind text NOT NULL CHECK (kind IN ('grant', 'take')),
            partial boolean NOT NULL,
            file_name text NOT NULL,
            ignored jsonb NOT NULL,
            created_at timestamptz NOT NULL,
            created_by bigint NOT NULL,
            created_by_who text NOT NULL,
            lines integer NOT NULL DEFAULT 0,
            good integer NOT NULL DEFAULT 0,
            accounts integer NOT NULL DEFAULT 0,
            credits bigint NOT NULL DEFAULT 0,
            state text NOT NULL CHECK (state IN ('checked', 'running', 'done', 'stopped')),
            confirmed_at timestamptz,
            actor text,
            reason text,
            ended_at timestamptz,
            last_line integer NOT NULL DEFAULT 0,
            done_lines integer NOT NULL DEFAULT 0,
            refused_lines integer NOT NULL DEFAULT 0,
            moved bigint NOT NULL DEFAULT 0,
            CHECK ((state = 'checked') = (confirmed_at IS NULL)),
            CHECK ((state IN ('done', 'stopped')) = (ended_at IS NOT NULL))
        )
        """
    )
    op.execute(
        """
        CREATE TABLE bulk_lines (
            run_id bigint NOT NULL REFERENCES bulk_runs ON DELETE CASCADE,
            line integer NOT NULL,
            given text NOT NULL,
            account_id bigint,
            credits bigint,
            days integer,
            text text NOT NULL,
            available bigint,
            problems jsonb NOT NULL,
            good boolean GENERATED ALWAYS AS (problems = '[]'::jsonb) STORED,
            outcome text CHECK (outcome IN ('done', 'refused')),
            seq bigint,
            moved bigint,
            refusal jsonb,
            PRIMARY KEY (run_id, line)
        )
        """
    )
    op.execute("CREATE INDEX bulk_lines_bad_idx ON bulk_lines (run_id, line) WHERE NOT good")
    op.execute("CREATE INDEX bulk_lines_refused_idx ON bulk_lines (run_id, line) WHERE outcome = 'refused'")
    op.execute("CREATE INDEX outbox_undone_idx ON outbox (id) WHERE done_at IS NULL")
