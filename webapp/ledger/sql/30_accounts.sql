-- Opening an account and the owner's choices about it.

-- The account of that name exists with the given attributes; null leaves one as it is (or at its default).
CREATE OR REPLACE FUNCTION ledger.open_account(
    p_external_id text, p_kind text DEFAULT NULL, p_name text DEFAULT NULL, p_time_zone text DEFAULT NULL,
    p_overdraft_limit bigint DEFAULT NULL, p_metadata jsonb DEFAULT NULL
) RETURNS TABLE (
    created boolean, account_id bigint, external_id text, kind text, name text, time_zone text, spend_order text,
    overdraft_limit bigint, metadata jsonb, created_at timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_id bigint;
    v_created boolean := false;
    v_now timestamptz;
BEGIN
    IF p_external_id IS NULL OR p_external_id !~ '^[A-Za-z0-9._:@+-]{1,128}$' THEN
        PERFORM ledger.refuse('TS001', 'must be 1 to 128 of A-Z a-z 0-9 . _ - : @ +',
                              jsonb_build_object('field', 'external_id'));
    ELSIF p_kind NOT IN ('person', 'organization') THEN
        PERFORM ledger.refuse('TS001', 'must be person or organization', jsonb_build_object('field', 'kind'));
    ELSIF p_overdraft_limit NOT BETWEEN 0 AND 1000000000000000 THEN
        PERFORM ledger.refuse('TS001', 'must be a whole number from 0 to 10^15',
                              jsonb_build_object('field', 'overdraft_limit'));
    ELSIF p_time_zone IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM pg_timezone_names z WHERE z.name = p_time_zone) THEN
        PERFORM ledger.refuse('TS001', 'must be an IANA time zone', jsonb_build_object('field', 'time_zone'));
    END IF;
    SELECT i.account_id INTO v_id FROM ledger.account_ids i WHERE i.external_id = p_external_id;
    IF v_id IS NULL THEN
        -- Waits for a simultaneous opener; whoever comes second finds the first one's account.
        INSERT INTO ledger.account_ids AS i (external_id) VALUES (p_external_id)
        ON CONFLICT (external_id) DO NOTHING RETURNING i.account_id INTO v_id;
        v_created := v_id IS NOT NULL;
        IF v_created THEN
            v_now := ledger.now();
            INSERT INTO ledger.accounts (account_id, external_id, created_at, booked_at)
            VALUES (v_id, p_external_id, v_now, v_now);
        ELSE
            SELECT i.account_id INTO STRICT v_id FROM ledger.account_ids i WHERE i.external_id = p_external_id;
        END IF;
    END IF;
    UPDATE ledger.accounts a
    SET kind = coalesce(p_kind, a.kind), name = coalesce(p_name, a.name),
        time_zone = coalesce(p_time_zone, a.time_zone),
        overdraft_limit = coalesce(p_overdraft_limit, a.overdraft_limit),
        metadata = coalesce(p_metadata, a.metadata), version = a.version + 1
    WHERE a.account_id = v_id AND num_nonnulls(p_kind, p_name, p_time_zone, p_overdraft_limit, p_metadata) > 0;
    RETURN QUERY
        SELECT v_created, a.account_id, a.external_id, a.kind, a.name, a.time_zone, a.spend_order, a.overdraft_limit,
               a.metadata, a.created_at
        FROM ledger.accounts a WHERE a.account_id = v_id;
END
$$;

-- Of two grants that expire at the same moment, the free or the paid one is drawn first from now on.
CREATE OR REPLACE FUNCTION ledger.set_spend_order(p_account_id bigint, p_spend_order text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_spend_order IS NULL OR p_spend_order NOT IN ('free_first', 'paid_first') THEN
        PERFORM ledger.refuse('TS001', 'must be free_first or paid_first', jsonb_build_object('field', 'spend_order'));
    END IF;
    PERFORM ledger.lock_account(p_account_id);
    UPDATE ledger.accounts SET spend_order = p_spend_order, version = version + 1 WHERE account_id = p_account_id;
    -- Those with nothing left too: a refund may bring credits back.
    UPDATE ledger.grants SET burn_rank = ledger.burn_rank(p_spend_order, cost_minor)
    WHERE account_id = p_account_id AND burn_rank <> ledger.burn_rank(p_spend_order, cost_minor);
END
$$;

-- The place of a grant among those that expire at the same moment: 0 before 1.
CREATE OR REPLACE FUNCTION ledger.burn_rank(p_spend_order text, p_cost_minor bigint) RETURNS smallint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN (p_cost_minor > 0) = (p_spend_order = 'free_first') THEN 1 ELSE 0 END::smallint
$$;
