-- The sweep: writing down what has expired, for many accounts at once.

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
