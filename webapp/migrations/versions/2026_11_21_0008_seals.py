"""Seals over the heads of the hash chains."""

from alembic import op

revision = "20261121_0008"
down_revision = "20261121_0007"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE ledger.seals (
    number bigint NOT NULL CONSTRAINT seals_pkey PRIMARY KEY,
    sealed_at timestamptz NOT NULL,
    accounts bigint NOT NULL,
    digest bytea NOT NULL,
    previous bytea NOT NULL,
    hmac bytea NOT NULL,
    key_id text NOT NULL
);
COMMENT ON COLUMN ledger.seals.accounts IS 'how many heads it covers';
COMMENT ON COLUMN ledger.seals.digest IS 'sha256 of its heads by account_id: a line "account_id:seq:head in hex" each';
COMMENT ON COLUMN ledger.seals.previous IS 'the hmac of the seal before, or nothing';
COMMENT ON COLUMN ledger.seals.hmac IS 'over number, sealed_at, accounts, digest and previous; its key is not in here';
COMMENT ON COLUMN ledger.seals.key_id IS 'which key: the first 16 hex digits of its sha256';

-- No index by number: a seal's heads are read in one pass over all seals, and an account's by their key.
CREATE TABLE ledger.sealed_heads (
    account_id bigint NOT NULL,
    seq bigint NOT NULL,
    number bigint NOT NULL,
    head bytea NOT NULL,
    CONSTRAINT sealed_heads_pkey PRIMARY KEY (account_id, seq)
);
COMMENT ON COLUMN ledger.sealed_heads.number IS 'of the seal that covers it';
COMMENT ON COLUMN ledger.sealed_heads.head IS 'the hash of that entry of the account, which was its newest then';

-- Locked by whoever seals.
CREATE TABLE ledger.sealer (
    up_to timestamptz,
    one_row boolean NOT NULL DEFAULT true CONSTRAINT sealer_pkey PRIMARY KEY,
    CONSTRAINT sealer_one_row_check CHECK (one_row)
);
COMMENT ON COLUMN ledger.sealer.up_to IS 'accounts whose newest entry was booked before this have been sealed';
INSERT INTO ledger.sealer DEFAULT VALUES;
"""


def upgrade() -> None:
    """What every account's history was at a time can be proved later, with a key that is not in the database."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(TABLES)
