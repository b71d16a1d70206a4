-- Reading what is true now, or was then. Nothing here writes or locks.

-- Of each grant of account `a` that has anything left: what no hold reserves at p_moment, and what of that is lost,
-- however much is booked yet. What has expired is lost, and what a lapsed hold returns to a grant to be revoked.
CREATE OR REPLACE FUNCTION ledger.free_at(a ledger.accounts, p_moment timestamptz) RETURNS TABLE (
    grant_id bigint, free bigint, lost bigint, frozen boolean, effective_at timestamptz, features text[]
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT c.grant_id, c.came - l.lost, l.lost, c.frozen, c.effective_at, c.features
        FROM (
            SELECT g.*, g.remaining - g.held + coalesce(r.amount, 0) AS came, coalesce(r.amount, 0) AS returned
            FROM ledger.grants g
            LEFT JOIN (
                SELECT d.grant_id, sum(d.amount)::bigint AS amount
                FROM ledger.holds h, unnest(h.drawn_grants, h.drawn_amounts) AS d (grant_id, amount)
                WHERE a.held > 0 AND h.account_id = a.account_id AND h.state = 'open' AND h.expires_at <= p_moment
                GROUP BY d.grant_id
            ) r ON r.grant_id = g.grant_id
            WHERE g.account_id = a.account_id AND g.open
        ) c
        CROSS JOIN LATERAL (
            SELECT CASE WHEN c.expires_at <= p_moment THEN c.came
                        ELSE least(c.returned, greatest(c.revoked - c.revoked_taken - c.revoked_as_debt, 0)) END AS lost
        ) l;
END
$$;

-- What the open holds of account `a` still reserve at p_moment.
CREATE OR REPLACE FUNCTION ledger.held_at(a ledger.accounts, p_moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF a.held = 0 THEN
        RETURN 0;
    END IF;
    RETURN (SELECT coalesce(sum(amount), 0)::bigint FROM ledger.holds
            WHERE account_id = a.account_id AND state = 'open' AND expires_at > p_moment);
END
$$;

-- The balance now: what has expired is not in it, booked or not, and what a hold reserves is, until the hold ends;
-- what is held or frozen, or starts later, is not available.
CREATE OR REPLACE FUNCTION ledger.balance(
    p_account_id bigint, OUT balance bigint, OUT held bigint, OUT available bigint, OUT debt bigint, OUT seq bigint,
    OUT version text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    v_now timestamptz;
    v_lost bigint := 0;
    v_waiting bigint := 0;
BEGIN
    SELECT * INTO a FROM ledger.accounts WHERE account_id = p_account_id;
    IF NOT FOUND THEN
        PERFORM ledger.refuse('TS002', 'no such account', jsonb_build_object('account_id', p_account_id));
    END IF;
    v_now := ledger.now();
    held := a.held;
    IF a.waiting OR a.due_at <= v_now THEN
        SELECT coalesce(sum(g.lost), 0), coalesce(sum(g.free) FILTER (WHERE g.frozen OR g.effective_at > v_now), 0)
        INTO v_lost, v_waiting
        FROM ledger.free_at(a, v_now) g;
        held := ledger.held_at(a, v_now);
    END IF;
    balance := a.balance - v_lost;
    available := greatest(balance - held - v_waiting, 0);
    debt := a.debt;
    seq := a.seq;
    version := a.version || '.' || v_lost || '.' || v_waiting || '.' || held;
END
$$;

-- The balance now, and for how many milliseconds it stays so if nobody writes: until the next grant or hold of the
-- account ends or starts. Null is for ever; 0 or less when what ended is not booked yet, so that the next is not known.
CREATE OR REPLACE FUNCTION ledger.balance_until(
    p_account_id bigint, OUT balance bigint, OUT held bigint, OUT available bigint, OUT debt bigint, OUT seq bigint,
    OUT version text, OUT lasts_ms bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT b.balance, b.held, b.available, b.debt, b.seq, b.version
    INTO balance, held, available, debt, seq, version
    FROM ledger.balance(p_account_id) b;
    SELECT ceil(extract(epoch FROM a.due_at - ledger.now()) * 1000) INTO lasts_ms
    FROM ledger.accounts a WHERE a.account_id = p_account_id;
END
$$;

-- What a spend on a feature (null: on nothing in particular) could take now, overdraft included.
CREATE OR REPLACE FUNCTION ledger.spendable(p_account_id bigint, p_feature text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
BEGIN
    SELECT * INTO a FROM ledger.accounts WHERE account_id = p_account_id;
    IF NOT FOUND THEN
        PERFORM ledger.refuse('TS002', 'no such account', jsonb_build_object('account_id', p_account_id));
    END IF;
    RETURN ledger.spendable_now(a, p_feature, ledger.now());
END
$$;

-- The highest seq booked before p_at, by halving: booked_at never goes back, so no index and no scan is needed.
CREATE OR REPLACE FUNCTION ledger.seq_before(p_account_id bigint, p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_low bigint := 0;   -- booked before p_at, or no entry
    v_high bigint;       -- not booked before p_at, or one past the newest
    v_middle bigint;
BEGIN
    SELECT seq + 1 INTO v_high FROM ledger.accounts WHERE account_id = p_account_id;
    WHILE v_high - v_low > 1 LOOP
        v_middle := (v_low + v_high) / 2;
        IF (SELECT booked_at < p_at FROM ledger.entries WHERE account_id = p_account_id AND seq = v_middle) THEN
            v_low := v_middle;
        ELSE
            v_high := v_middle;
        END IF;
    END LOOP;
    RETURN v_low;
END
$$;

-- Between which seqs the entries lie that occurred in [p_since, p_until): `lowest` inclusive, `highest` inclusive.
-- Most entries are booked when they occur; those booked later are found by an index of their own.
CREATE OR REPLACE FUNCTION ledger.seq_bounds(
    p_account_id bigint, p_since timestamptz, p_until timestamptz, OUT lowest bigint, OUT highest bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    lowest := 1;
    SELECT seq INTO highest FROM ledger.accounts WHERE account_id = p_account_id;
    highest := coalesce(highest, 0);
    IF p_since IS NOT NULL THEN
        lowest := ledger.seq_before(p_account_id, p_since) + 1;
    END IF;
    IF p_until IS NOT NULL THEN
        highest := greatest(
            ledger.seq_before(p_account_id, p_until),
            (SELECT max(late.seq) FROM (
                SELECT seq FROM ledger.entries
                WHERE account_id = p_account_id AND occurred_at < booked_at AND occurred_at < p_until
                  AND occurred_at >= coalesce(p_since, '-infinity')
                OFFSET 0  -- else the planner looks for a late one from the newest entry back, through all of them
            ) late));
    END IF;
END
$$;

-- The balance at the end of the moment p_at, from the entries alone: those that had occurred by then, whenever they
-- were booked, and the expiries that nobody has booked yet.
CREATE OR REPLACE FUNCTION ledger.balance_at(p_account_id bigint, p_at timestamptz, OUT balance bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    v_seq bigint := ledger.seq_before(p_account_id, p_at + interval '1 microsecond');
BEGIN
    SELECT balance_after INTO balance FROM ledger.entries WHERE account_id = p_account_id AND seq = v_seq;
    SELECT * INTO a FROM ledger.accounts WHERE account_id = p_account_id;
    balance := coalesce(balance, 0)
        + (SELECT coalesce(sum(amount), 0) FROM ledger.entries
           WHERE account_id = p_account_id AND seq > v_seq AND occurred_at < booked_at AND occurred_at <= p_at)
        - (SELECT coalesce(sum(lost), 0) FROM ledger.free_at(a, least(p_at, ledger.now())));
END
$$;

-- Each grant as it was at the end of the moment p_at: what it had left, what of that holds reserved, whether it was
-- frozen. A grant counts from its entry's occurred_at. Backdated usage counts from its own, and may so have drawn
-- from a grant that came later: that one is listed with less than nothing, so that the sum is the balance then.
CREATE OR REPLACE FUNCTION ledger.grants_at(p_account_id bigint, p_at timestamptz) RETURNS TABLE (
    grant_id bigint, source text, source_key text, amount bigint, remaining bigint, held bigint, frozen boolean,
    priority integer, effective_at timestamptz, expires_at timestamptz, features text[], description text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    a ledger.accounts;
    v_seq bigint := ledger.seq_before(p_account_id, p_at + interval '1 microsecond');
    v_by timestamptz := least(p_at, ledger.now());
BEGIN
    SELECT * INTO a FROM ledger.accounts WHERE account_id = p_account_id;
    RETURN QUERY
        SELECT g.grant_id, g.source, g.source_key, g.amount,
               g.remaining - coalesce(l.amount, 0) - coalesce(f.lost, 0), coalesce(h.amount, 0),
               EXISTS (SELECT 1 FROM ledger.freezes z
                       WHERE z.account_id = p_account_id AND z.grant_id = g.grant_id AND z.frozen_at <= p_at
                         AND (z.unfrozen_at IS NULL OR z.unfrozen_at > p_at)),
               g.priority, g.effective_at, g.expires_at, g.features, g.description
        FROM ledger.grants g
        JOIN ledger.entries e ON e.account_id = g.account_id AND e.seq = g.grant_id
        LEFT JOIN (  -- what entries moved later
            SELECT d.grant_id, sum(d.amount)::bigint AS amount
            FROM ledger.entries e, unnest(e.drawn_grants, e.drawn_amounts) AS d (grant_id, amount)
            WHERE e.account_id = p_account_id AND e.seq > v_seq AND e.occurred_at > p_at
            GROUP BY d.grant_id
        ) l ON l.grant_id = g.grant_id
        LEFT JOIN ledger.free_at(a, v_by) f ON f.grant_id = g.grant_id
        LEFT JOIN (  -- what was reserved then
            SELECT d.grant_id, sum(d.amount)::bigint AS amount
            FROM ledger.holds h, unnest(h.drawn_grants, h.drawn_amounts) AS d (grant_id, amount)
            WHERE h.account_id = p_account_id AND h.placed_at <= p_at AND h.expires_at > v_by
              AND (h.closed_at IS NULL OR h.closed_at > p_at)
            GROUP BY d.grant_id
        ) h ON h.grant_id = g.grant_id
        WHERE g.account_id = p_account_id
          AND (e.occurred_at <= p_at OR g.remaining - coalesce(l.amount, 0) - coalesce(f.lost, 0) <> 0)
        ORDER BY g.grant_id;
END
$$;

-- The account's figures at the end of the moment p_at, by the same facts; seq is the newest entry booked by then.
CREATE OR REPLACE FUNCTION ledger.account_at(
    p_account_id bigint, p_at timestamptz, OUT balance bigint, OUT held bigint, OUT available bigint, OUT debt bigint,
    OUT seq bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    v_left bigint;
    v_waiting bigint;
BEGIN
    SELECT * INTO a FROM ledger.accounts WHERE account_id = p_account_id;
    IF NOT FOUND THEN
        PERFORM ledger.refuse('TS002', 'no such account', jsonb_build_object('account_id', p_account_id));
    END IF;
    seq := ledger.seq_before(p_account_id, p_at + interval '1 microsecond');
    SELECT coalesce(sum(g.remaining), 0), coalesce(sum(g.held), 0),
           coalesce(sum(g.remaining - g.held) FILTER (WHERE g.frozen OR g.effective_at > p_at), 0)
    INTO v_left, held, v_waiting
    FROM ledger.grants_at(p_account_id, p_at) g;
    debt := a.debt - (
        SELECT coalesce(sum(e.debt_after - coalesce(b.debt_after, 0)), 0)
        FROM ledger.entries e
        LEFT JOIN ledger.entries b ON b.account_id = e.account_id AND b.seq = e.seq - 1
        WHERE e.account_id = p_account_id AND e.seq > account_at.seq AND e.occurred_at > p_at);
    balance := v_left - debt;
    available := greatest(balance - held - v_waiting, 0);
END
$$;
