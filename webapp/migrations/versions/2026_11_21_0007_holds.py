"""Holds, and what a grant is frozen for."""

from alembic import op

revision = "20261121_0007"
down_revision = "20261121_0006"
branch_labels = None
depends_on = None

# Both tables change by UPDATE once, when the hold closes or the freeze is lifted; nothing else of a row changes.
TABLES = """
ALTER TABLE ledger.accounts ADD COLUMN holds bigint NOT NULL DEFAULT 0;
ALTER TABLE ledger.entries ADD COLUMN hold_number bigint;

CREATE TABLE ledger.holds (
    account_id bigint NOT NULL,
    number bigint NOT NULL,
    amount bigint NOT NULL,
    drawn_grants bigint[] NOT NULL,
    drawn_amounts bigint[] NOT NULL,
    state text NOT NULL DEFAULT 'open',
    captured bigint NOT NULL DEFAULT 0,
    feature text,
    quantity bigint,
    description text NOT NULL DEFAULT '',
    reference text,
    metadata jsonb NOT NULL DEFAULT '{}',
    pricing jsonb,
    idempotency_key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    actor text NOT NULL,
    placed_at timestamptz NOT NULL,
    placed_after bigint NOT NULL,
    placed_version bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    closed_at timestamptz,
    closed_after bigint,
    closed_version bigint,
    closed_by text,
    closing_key text COLLATE "C",
    closing_fingerprint bytea,
    CONSTRAINT holds_pkey PRIMARY KEY (account_id, number),
    CONSTRAINT holds_state_check CHECK (
        state IN ('open', 'captured', 'voided', 'lapsed') AND (state = 'open') = (closed_at IS NULL)
        AND captured BETWEEN 0 AND amount AND (captured > 0) = (state = 'captured'))
) WITH (fillfactor = 80);
CREATE INDEX holds_open_idx ON ledger.holds (account_id, expires_at, number) WHERE state = 'open';
CREATE UNIQUE INDEX holds_idempotency_key_idx ON ledger.holds (account_id, idempotency_key);
CREATE UNIQUE INDEX holds_closing_key_idx ON ledger.holds (account_id, closing_key) WHERE closing_key IS NOT NULL;
COMMENT ON COLUMN ledger.holds.number IS 'the account''s first, second, third … hold';
COMMENT ON COLUMN ledger.holds.drawn_amounts IS 'credits of drawn_grants that it pins, in burn order, all positive';
COMMENT ON COLUMN ledger.holds.captured IS 'credits of its amount that a spend took in the end';
COMMENT ON COLUMN ledger.holds.placed_after IS 'the account''s newest entry then: where it stands in the history';
COMMENT ON COLUMN ledger.holds.placed_version IS 'the account''s version from then on: orders what has no entry';
COMMENT ON COLUMN ledger.holds.closed_at IS 'of a lapsed one its expires_at, whenever that was booked';
COMMENT ON COLUMN ledger.holds.closed_after IS 'of a captured one the seq of its entry';

CREATE TABLE ledger.freezes (
    account_id bigint NOT NULL,
    number bigint NOT NULL,
    grant_id bigint NOT NULL,
    reference text COLLATE "C" NOT NULL,
    reason text NOT NULL DEFAULT '',
    actor text NOT NULL,
    frozen_at timestamptz NOT NULL,
    frozen_after bigint NOT NULL,
    frozen_version bigint NOT NULL,
    unfrozen_at timestamptz,
    unfrozen_after bigint,
    unfrozen_version bigint,
    unfrozen_by text,
    CONSTRAINT freezes_pkey PRIMARY KEY (account_id, number)
);
CREATE UNIQUE INDEX freezes_open_idx ON ledger.freezes (account_id, grant_id, reference) WHERE unfrozen_at IS NULL;
COMMENT ON COLUMN ledger.freezes.reference IS 'what it is frozen for, such as a dispute; each is lifted by itself';
"""


def upgrade() -> None:
    """Credits can be reserved before the work is done, and a disputed grant can be frozen."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(TABLES)
