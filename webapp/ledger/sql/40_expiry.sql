-- Expiry is a fact: a grant pays for nothing from expires_at on. What is here only writes that down.

-- Books what has expired on the locked account `a`, one entry a grant, and finds out when something is due again.
-- An entry counts from the grant's expires_at; from p_occurred_at, when credits came to a grant already expired.
CREATE OR REPLACE FUNCTION ledger.book_due(
    INOUT a ledger.accounts, p_moment timestamptz, p_occurred_at timestamptz DEFAULT NULL
)
LANGUAGE plpgsql AS $$
DECLARE
    g record;
    e ledger.entries;
BEGIN
    FOR g IN
        SELECT grant_id, expires_at, remaining - held AS lost, description FROM ledger.grants
        WHERE account_id = a.account_id AND open AND expires_at <= p_moment AND remaining > held
        ORDER BY expires_at, grant_id
    LOOP
        UPDATE ledger.grants SET remaining = held, open = held > 0, expired = expired + g.lost
        WHERE account_id = a.account_id AND grant_id = g.grant_id;
        e := NULL;
        e.kind := 'expire';
        e.amount := -g.lost;
        e.drawn_grants := ARRAY[g.grant_id];
        e.drawn_amounts := ARRAY[-g.lost];
        e.about_seq := g.grant_id;
        e.description := g.description;
        e.actor := 'ledger';
        e.occurred_at := coalesce(p_occurred_at, g.expires_at);
        e.booked_at := p_moment;
        e := ledger.append(a, e);
        a := ledger.carry(a, e);
    END LOOP;
    a := ledger.find_due(a, p_moment);
END
$$;

-- When the account needs a look again: its next expiry or the next grant that starts.
CREATE OR REPLACE FUNCTION ledger.find_due(INOUT a ledger.accounts, p_moment timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT min(least(CASE WHEN remaining > held THEN expires_at END,
                     CASE WHEN effective_at > p_moment THEN effective_at END)),
           coalesce(bool_or(frozen OR effective_at > p_moment), false)
    INTO a.due_at, a.waiting
    FROM ledger.grants WHERE account_id = a.account_id AND open;
END
$$;

-- What has expired on this account is booked; returns how many entries that took.
CREATE OR REPLACE FUNCTION ledger.expire_account(p_account_id bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    v_seq bigint;
    v_now timestamptz;
BEGIN
    a := ledger.lock_account(p_account_id);
    v_now := greatest(ledger.now(), a.booked_at);
    v_seq := a.seq;
    IF a.due_at <= v_now THEN
        a := ledger.book_due(a, v_now);
        PERFORM ledger.save(a);
    END IF;
    RETURN a.seq - v_seq;
END
$$;

-- One chunk of the sweep over all accounts: up to p_limit of those that are due. They are locked together before the
-- first is looked at, so sweeps at the same time take different ones. What somebody else has locked is left out: its
-- next write books the same facts. Nobody is waited for, so the order of locking is free: the longest due come first.
CREATE OR REPLACE FUNCTION ledger.expire_due(p_limit integer DEFAULT 500, OUT account_ids bigint[], OUT entries bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_now timestamptz := ledger.now();
    a ledger.accounts;
    v_id bigint;
    v_seq bigint;
BEGIN
    SELECT coalesce(array_agg(d.account_id), '{}') INTO account_ids
    FROM (SELECT account_id FROM ledger.accounts WHERE due_at <= v_now ORDER BY due_at LIMIT p_limit
          FOR NO KEY UPDATE SKIP LOCKED) d;
    entries := 0;
    FOREACH v_id IN ARRAY account_ids LOOP
        SELECT * INTO STRICT a FROM ledger.accounts WHERE account_id = v_id;
        v_seq := a.seq;
        a := ledger.book_due(a, greatest(ledger.now(), a.booked_at));
        PERFORM ledger.save(a);
        entries := entries + a.seq - v_seq;
    END LOOP;
END
$$;
