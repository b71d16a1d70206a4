-- Expiry is a fact: a grant pays for nothing from expires_at on. What is here only writes that down.

-- Books all that is due on the locked account `a` at p_moment, and finds out when something is due again: holds that
-- have lapsed, each with what had expired before it and what expires by its coming back; then what has expired since.
CREATE OR REPLACE FUNCTION ledger.book_due(INOUT a ledger.accounts, p_moment timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    h ledger.holds;
BEGIN
    IF a.holds > 0 THEN  -- one of nothing lapses, too
        FOR h IN
            SELECT * FROM ledger.holds
            WHERE account_id = a.account_id AND state = 'open' AND expires_at <= p_moment ORDER BY expires_at, number
        LOOP
            a := ledger.book_expired(a, p_moment, h.expires_at - interval '1 microsecond');
            h.state := 'lapsed';
            h.closed_at := h.expires_at;
            h.closed_by := 'ledger';
            a := ledger.close_hold(ledger.release(a, h), h, p_moment);
        END LOOP;
    END IF;
    a := ledger.find_due(ledger.book_expired(a, p_moment, p_moment), p_moment);
END
$$;

-- Books what has expired by p_until and no hold has reserved, of p_grants alone if they are given, one entry a grant.
-- It counts from the grant's expires_at, or from p_came_at, when the credits came to the grant later than that.
CREATE OR REPLACE FUNCTION ledger.book_expired(
    INOUT a ledger.accounts, p_moment timestamptz, p_until timestamptz, p_came_at timestamptz DEFAULT NULL,
    p_grants bigint[] DEFAULT NULL
)
LANGUAGE plpgsql AS $$
DECLARE
    g record;
    e ledger.entries;
BEGIN
    FOR g IN
        SELECT grant_id, expires_at, remaining - held AS lost, description FROM ledger.grants
        WHERE account_id = a.account_id AND open AND expires_at <= p_until AND remaining > held
          AND (p_grants IS NULL OR grant_id = ANY (p_grants))
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
        e.occurred_at := greatest(g.expires_at, p_came_at);
        e.booked_at := p_moment;
        e := ledger.append(a, e);
        a := ledger.carry(a, e);
    END LOOP;
END
$$;

-- When the account needs a look again: its next expiry, the next hold that lapses, the next grant that starts.
CREATE OR REPLACE FUNCTION ledger.find_due(INOUT a ledger.accounts, p_moment timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT min(least(CASE WHEN remaining > held THEN expires_at END,
                     CASE WHEN effective_at > p_moment THEN effective_at END)),
           coalesce(bool_or(frozen OR effective_at > p_moment), false)
    INTO a.due_at, a.waiting
    FROM ledger.grants WHERE account_id = a.account_id AND open;
    IF a.holds > 0 THEN
        a.due_at := least(a.due_at, (
            SELECT min(expires_at) FROM ledger.holds WHERE account_id = a.account_id AND state = 'open'));
    END IF;
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
