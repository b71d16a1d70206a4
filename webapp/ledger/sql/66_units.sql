-- How much of a feature an account has used: what free allowances and ceilings are measured by.

-- Locks these accounts in the order of their ids, so that what is counted next stays true until the commit. Returns each
-- with its time zone and its time after that.
CREATE OR REPLACE FUNCTION ledger.lock_accounts(p_account_ids bigint[])
RETURNS TABLE (account_id bigint, time_zone text, moment timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz;
BEGIN
    PERFORM FROM ledger.accounts WHERE account_id = ANY (p_account_ids) ORDER BY account_id FOR NO KEY UPDATE;
    v_now := ledger.now();
    RETURN QUERY
        SELECT a.account_id, a.time_zone, greatest(v_now, a.booked_at)
        FROM ledger.accounts a WHERE a.account_id = ANY (p_account_ids);
END
$$;

-- Units of p_feature used in [p_since, p_until): the quantities of its spends, but for those given back in whole, and of
-- its open holds. A spend counts when it occurred, a hold when it was placed, and its capture as a spend; one that does
-- not say how many units it was for counts for those that were held. Nobody needs to know by how much more than p_most
-- (null: all), and each spend is for at least one unit: so no more than p_most spends are read.
CREATE OR REPLACE FUNCTION ledger.units_used(
    p_account_id bigint, p_feature text, p_since timestamptz, p_until timestamptz, p_most bigint
) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_held numeric := 0;
    v_refunded bigint[];
BEGIN
    IF (SELECT holds > 0 FROM ledger.accounts WHERE account_id = p_account_id) THEN
        SELECT coalesce(sum(coalesce(quantity, 1)), 0) INTO v_held FROM ledger.holds
        WHERE account_id = p_account_id AND state = 'open' AND expires_at > ledger.now() AND feature = p_feature
          AND placed_at >= p_since AND placed_at < p_until;
    END IF;
    -- What occurred since then was booked since then.
    SELECT coalesce(array_agg(r.seq), '{}') INTO v_refunded
    FROM (
        SELECT s.seq FROM ledger.entries r
        JOIN ledger.entries s ON s.account_id = r.account_id AND s.seq = r.about_seq
        WHERE r.account_id = p_account_id AND r.about_seq > ledger.seq_before(p_account_id, p_since)
          AND r.kind = 'refund' AND s.feature = p_feature
        GROUP BY s.seq, s.amount HAVING sum(r.amount) = -s.amount) r;
    RETURN (
        SELECT least(coalesce(sum(u.units), 0) + v_held, 1000000000000000000)::bigint
        FROM (
            SELECT coalesce(e.quantity, (
                       SELECT h.quantity FROM ledger.holds h
                       WHERE h.account_id = e.account_id AND h.number = e.hold_number), 1) AS units
            FROM ledger.entries e
            WHERE e.account_id = p_account_id AND e.kind = 'spend' AND e.occurred_at >= p_since
              AND e.occurred_at < p_until AND e.feature = p_feature AND e.seq <> ALL (v_refunded)
            LIMIT p_most) u);
END
$$;
