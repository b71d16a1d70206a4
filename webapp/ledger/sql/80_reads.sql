-- Reading what is true now, or was then. Nothing here writes or locks.

-- The balance now: what has expired is not in it, booked or not; what is frozen or starts later is not available.
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
    IF a.waiting OR a.due_at <= v_now THEN
        SELECT coalesce(sum(g.remaining - g.held) FILTER (WHERE g.expires_at <= v_now), 0),
               coalesce(sum(g.remaining - g.held) FILTER (
                   WHERE (g.frozen OR g.effective_at > v_now) AND (g.expires_at IS NULL OR g.expires_at > v_now)), 0)
        INTO v_lost, v_waiting
        FROM ledger.grants g WHERE g.account_id = p_account_id AND g.open;
    END IF;
    balance := a.balance - v_lost;
    held := a.held;
    available := greatest(balance - a.held - v_waiting, 0);
    debt := a.debt;
    seq := a.seq;
    version := a.version || '.' || v_lost || '.' || v_waiting;
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
            (SELECT max(seq) FROM ledger.entries
             WHERE account_id = p_account_id AND occurred_at < booked_at AND occurred_at < p_until
               AND occurred_at >= coalesce(p_since, '-infinity')));
    END IF;
END
$$;

-- The balance at the end of the moment p_at, from the entries alone: those that had occurred by then, whenever they
-- were booked, and the expiries that nobody has booked yet.
CREATE OR REPLACE FUNCTION ledger.balance_at(p_account_id bigint, p_at timestamptz, OUT balance bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_seq bigint := ledger.seq_before(p_account_id, p_at + interval '1 microsecond');
    v_by timestamptz := least(p_at, ledger.now());
BEGIN
    SELECT balance_after INTO balance FROM ledger.entries WHERE account_id = p_account_id AND seq = v_seq;
    balance := coalesce(balance, 0)
        + (SELECT coalesce(sum(amount), 0) FROM ledger.entries
           WHERE account_id = p_account_id AND seq > v_seq AND occurred_at < booked_at AND occurred_at <= p_at)
        - (SELECT coalesce(sum(remaining - held), 0) FROM ledger.grants
           WHERE account_id = p_account_id AND open AND expires_at <= v_by);
END
$$;
