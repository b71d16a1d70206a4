-- The ledger's tables, as its first migration makes them; later changes are migrations of their own.
-- account_id leads every key: accounts never touch each other, so the tables can be spread over machines one day.
-- No foreign keys and few checks: only the functions write, each under the lock of its account's row, and `verify`
-- recomputes everything. PostgreSQL parses a table's checks anew in each statement; a dozen more cost a spend a sixth.

CREATE SCHEMA ledger;
REVOKE ALL ON SCHEMA ledger FROM PUBLIC;
GRANT USAGE ON SCHEMA ledger TO tallystick_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA ledger REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA ledger REVOKE USAGE ON TYPES FROM PUBLIC;

-- Which version of the functions and views beside this file is installed.
CREATE TABLE ledger.installed_sql (digest text NOT NULL);

-- The ledger's clock is the system's, `ahead` of it in sandbox mode only.
CREATE TABLE ledger.clock (
    ahead interval NOT NULL DEFAULT '0',
    movable boolean,                    -- null until the first upgrade says what this database is for
    one_row boolean NOT NULL DEFAULT true CONSTRAINT clock_pkey PRIMARY KEY,
    CONSTRAINT clock_one_row_check CHECK (one_row),
    CONSTRAINT clock_ahead_check CHECK (ahead >= '0')
);
INSERT INTO ledger.clock DEFAULT VALUES;

-- The product's own name for an account, and ours. Written once, never changed.
CREATE TABLE ledger.account_ids (
    external_id text COLLATE "C" NOT NULL CONSTRAINT account_ids_pkey PRIMARY KEY,
    account_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT account_ids_account_id_key UNIQUE,
    CONSTRAINT account_ids_external_id_check CHECK (external_id ~ '^[A-Za-z0-9._:@+-]{1,128}$')
);

-- The one row that every write to an account locks. Its figures are a cache of entries and grants.
CREATE TABLE ledger.accounts (
    account_id bigint NOT NULL CONSTRAINT accounts_pkey PRIMARY KEY,
    external_id text COLLATE "C" NOT NULL,
    kind text NOT NULL DEFAULT 'person',
    name text,
    time_zone text NOT NULL DEFAULT 'UTC',
    spend_order text NOT NULL DEFAULT 'free_first',
    overdraft_limit bigint NOT NULL DEFAULT 0,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    balance bigint NOT NULL DEFAULT 0,  -- credits: what its grants have left, less its debt
    held bigint NOT NULL DEFAULT 0,     -- credits: part of the balance that open holds have reserved
    debt bigint NOT NULL DEFAULT 0,     -- credits
    seq bigint NOT NULL DEFAULT 0,      -- of the newest entry
    version bigint NOT NULL DEFAULT 0,  -- grows with every change that a reader could see
    head bytea NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000',
    booked_at timestamptz NOT NULL,     -- of the newest entry; the account's time never goes back
    due_at timestamptz,                 -- not later than the next of its grants expires or starts; null = never
    waiting boolean NOT NULL DEFAULT false, -- some grant is frozen or starts later, so it is not available
    CONSTRAINT accounts_figures_check CHECK (held >= 0 AND debt >= 0)
) WITH (fillfactor = 70);
-- The one index that account_id does not lead: it is how the sweep finds the accounts that are due.
CREATE INDEX accounts_due_at_idx ON ledger.accounts (due_at) WHERE due_at IS NOT NULL;

-- One lot of credits. grant_id is the seq of the entry that made it.
CREATE TABLE ledger.grants (
    account_id bigint NOT NULL,
    grant_id bigint NOT NULL,
    source text NOT NULL,               -- purchase, sign-up, admin, api, …
    source_key text COLLATE "C",        -- the business's own name for this grant: it exists once
    amount bigint NOT NULL,
    remaining bigint NOT NULL,          -- not yet spent, expired or revoked; what is held is still in it
    held bigint NOT NULL DEFAULT 0,
    repaid bigint NOT NULL DEFAULT 0,   -- of the amount, what paid debt
    expired bigint NOT NULL DEFAULT 0,
    revoked bigint NOT NULL DEFAULT 0,  -- the target that revokes have reached
    revoked_taken bigint NOT NULL DEFAULT 0,    -- of it, what was taken from this grant
    revoked_as_debt bigint NOT NULL DEFAULT 0,  -- of it, what had been spent and became debt
    priority integer NOT NULL DEFAULT 0,
    effective_at timestamptz NOT NULL,
    expires_at timestamptz,             -- exclusive; null = never
    burn_rank smallint NOT NULL,        -- free before paid or paid before free, as the owner chose
    frozen boolean NOT NULL DEFAULT false,
    features text[] COLLATE "C",        -- what it may pay for; null = everything
    cost_minor bigint NOT NULL DEFAULT 0,       -- money paid for it, in the currency's minor unit
    cost_currency text,
    description text NOT NULL DEFAULT '',
    fingerprint bytea NOT NULL,         -- of its content, to tell a repetition from a conflict
    open boolean NOT NULL DEFAULT true, -- whether anything remains
    CONSTRAINT grants_pkey PRIMARY KEY (account_id, grant_id),
    CONSTRAINT grants_figures_check
        CHECK (0 <= held AND held <= remaining AND remaining <= amount AND open = (remaining > 0))
) WITH (fillfactor = 80);
-- Burn order. `open` and not `remaining > 0`, so that an ordinary spend leaves every index alone (HOT).
CREATE INDEX grants_burn_order_idx
    ON ledger.grants (account_id, priority, expires_at, burn_rank, effective_at, grant_id) WHERE open;
CREATE INDEX grants_expiring_idx ON ledger.grants (account_id, expires_at, grant_id)
    WHERE open AND expires_at IS NOT NULL;
CREATE UNIQUE INDEX grants_source_key_idx ON ledger.grants (account_id, source_key) WHERE source_key IS NOT NULL;

-- One line of an account's history. Never changed, never deleted.
CREATE TABLE ledger.entries (
    account_id bigint NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    amount bigint NOT NULL,             -- credits, signed
    balance_after bigint NOT NULL,
    debt_after bigint NOT NULL,
    drawn_grants bigint[] NOT NULL,     -- its draws: which grants it touched …
    drawn_amounts bigint[] NOT NULL,    -- … and by how many credits each, signed, in the order of drawing
    about_seq bigint,                   -- the entry that this one undoes: a refund's spend, a revoke's grant
    feature text,
    quantity bigint,
    description text NOT NULL DEFAULT '',
    reference text,                     -- the caller's own name for what this paid for
    metadata jsonb NOT NULL DEFAULT '{}',
    pricing jsonb,                      -- the arithmetic: rate-card version and lines
    idempotency_key text COLLATE "C",
    fingerprint bytea,                  -- of the request, to tell a repetition from a conflict
    actor text NOT NULL,
    occurred_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT entries_pkey PRIMARY KEY (account_id, seq),
    CONSTRAINT entries_amount_check CHECK (amount <> 0)
) WITH (fillfactor = 100);
CREATE UNIQUE INDEX entries_idempotency_key_idx ON ledger.entries (account_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX entries_about_seq_idx ON ledger.entries (account_id, about_seq) WHERE about_seq IS NOT NULL;
-- Entries that count earlier than they were written: what a search by time would miss in the order of seq.
CREATE INDEX entries_late_idx ON ledger.entries (account_id, occurred_at, seq) WHERE occurred_at < booked_at;
