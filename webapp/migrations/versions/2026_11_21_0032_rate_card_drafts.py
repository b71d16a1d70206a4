"""The next rate card while it is written, what it would have cost, and edits of a feature that count each other."""

from alembic import op

revision = "20261121_0032"
down_revision = "20261121_0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One draft at a time. Previews go with their draft: what they tell is of its prices."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE features ADD COLUMN revision integer NOT NULL DEFAULT 1")
    op.execute(
        """
        CREATE TABLE rate_card_drafts (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            single boolean NOT NULL DEFAULT true UNIQUE CHECK (single),
            based_on integer REFERENCES rate_cards,
            prices jsonb NOT NULL CHECK (jsonb_typeof(prices) = 'object'),
            revision integer NOT NULL DEFAULT 1,
            changed_at timestamptz NOT NULL,
            changed_by text NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE TABLE rate_card_previews (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            draft_id bigint NOT NULL UNIQUE REFERENCES rate_card_drafts ON DELETE CASCADE,
            revision integer NOT NULL,
            prices jsonb NOT NULL,
            since timestamptz NOT NULL,
            until timestamptz NOT NULL CHECK (until > since),
            read_to bigint NOT NULL DEFAULT 0,
            last_account bigint NOT NULL,
            features jsonb NOT NULL DEFAULT '{}',
            accounts jsonb NOT NULL DEFAULT '[]',
            asked_at timestamptz NOT NULL,
            finished_at timestamptz,
            failure text
        )
        """
    )
