-- What the sandbox remembers. Every statement may run again: installing twice changes nothing.
CREATE SCHEMA IF NOT EXISTS stripe_sandbox;

CREATE TABLE IF NOT EXISTS stripe_sandbox.objects (
    seq     bigint GENERATED ALWAYS AS IDENTITY,
    id      text PRIMARY KEY,
    type    text NOT NULL,
    created timestamptz NOT NULL,
    data    jsonb NOT NULL,                      -- what the API shows
    private jsonb NOT NULL DEFAULT '{}'::jsonb,  -- what Stripe knows and does not show
    due_at  timestamptz                          -- when something happens to it by itself
);
CREATE UNIQUE INDEX IF NOT EXISTS objects_type_seq ON stripe_sandbox.objects (type, seq DESC);
CREATE INDEX IF NOT EXISTS objects_due ON stripe_sandbox.objects (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_data ON stripe_sandbox.objects USING gin (data jsonb_path_ops)
    WHERE type <> 'event';

CREATE TABLE IF NOT EXISTS stripe_sandbox.idempotency (
    key        text PRIMARY KEY,
    path       text NOT NULL,
    params     jsonb NOT NULL,
    status     integer NOT NULL,
    body       text NOT NULL,
    request_id text NOT NULL,
    created    timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS stripe_sandbox.deliveries (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id      text NOT NULL REFERENCES stripe_sandbox.objects (id),
    state         text NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'lost')),
    due_at        timestamptz NOT NULL,
    attempts      integer NOT NULL DEFAULT 0,
    claimed_until timestamptz,
    answer        text,                          -- the last attempt's status or error
    delivered_at  timestamptz
);
CREATE INDEX IF NOT EXISTS deliveries_due ON stripe_sandbox.deliveries (due_at, id) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS deliveries_event ON stripe_sandbox.deliveries (event_id);

CREATE TABLE IF NOT EXISTS stripe_sandbox.settings (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    faults   jsonb NOT NULL DEFAULT '{}'::jsonb
);
INSERT INTO stripe_sandbox.settings DEFAULT VALUES ON CONFLICT DO NOTHING;
ALTER TABLE stripe_sandbox.settings ADD COLUMN IF NOT EXISTS advanced_by interval NOT NULL DEFAULT '0 s';
ALTER TABLE stripe_sandbox.deliveries ADD COLUMN IF NOT EXISTS endpoint_id text;  -- NULL: the configured one
