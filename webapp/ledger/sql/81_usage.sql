-- What an account spent, by feature and stretch of time. Long histories are added up by the half hour beforehand, up
-- to a mark: the account's entry up to which its sums tell everything. What is booked after it, early or late, is read.

-- Takes at most p_most_entries more entries of each of at most p_most_accounts into the sums; of accounts that have
-- p_least or more behind their mark. Repeated until it finds none; two at once leave each other's accounts alone.
CREATE OR REPLACE FUNCTION ledger.sum_usage(p_least bigint, p_most_accounts integer, p_most_entries bigint)
RETURNS TABLE (accounts integer, entries bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v record;
    v_mark bigint;
    v_until bigint;
BEGIN
    accounts := 0;
    entries := 0;
    FOR v IN
        SELECT a.account_id, a.seq
        FROM ledger.accounts a LEFT JOIN ledger.usage_marks m ON m.account_id = a.account_id
        WHERE a.seq >= p_least AND a.seq - coalesce(m.seq, 0) >= p_least
        ORDER BY a.account_id
        LIMIT p_most_accounts
    LOOP
        INSERT INTO ledger.usage_marks (account_id, seq) VALUES (v.account_id, 0) ON CONFLICT DO NOTHING;
        SELECT seq INTO v_mark FROM ledger.usage_marks WHERE account_id = v.account_id FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN v_mark IS NULL;
        v_until := least(v.seq, v_mark + p_most_entries);
        CONTINUE WHEN v_until <= v_mark;
        INSERT INTO ledger.usage_sums AS kept (account_id, since, feature, spent, refunded, spends)
            SELECT v.account_id, date_bin('30 minutes', u.occurred_at, 'epoch'), u.feature,
                   sum(u.spent), sum(u.refunded), sum(u.spends)
            FROM (
                SELECT e.occurred_at, e.feature, -e.amount::numeric AS spent, 0::numeric AS refunded, 1 AS spends
                FROM ledger.entries e
                WHERE e.account_id = v.account_id AND e.seq > v_mark AND e.seq <= v_until AND e.kind = 'spend'
                UNION ALL
                SELECT e.occurred_at, e.feature, 0, r.amount, 0
                FROM ledger.entries r
                JOIN ledger.entries e ON e.account_id = r.account_id AND e.seq = r.about_seq
                WHERE r.account_id = v.account_id AND r.seq > v_mark AND r.seq <= v_until AND r.kind = 'refund'
            ) u
            GROUP BY 2, 3
            ON CONFLICT (account_id, since, feature) DO UPDATE
                SET spent = kept.spent + excluded.spent, refunded = kept.refunded + excluded.refunded,
                    spends = kept.spends + excluded.spends;
        UPDATE ledger.usage_marks SET seq = v_until WHERE account_id = v.account_id;
        accounts := accounts + 1;
        entries := entries + v_until - v_mark;
    END LOOP;
    RETURN NEXT;
END
$$;

-- How many entries `usage` would read for this time, no more than about p_most.
CREATE OR REPLACE FUNCTION ledger.usage_size(
    p_account_id bigint, p_since timestamptz, p_until timestamptz, p_most bigint
) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_mark bigint := (SELECT seq FROM ledger.usage_marks WHERE account_id = p_account_id);
BEGIN
    IF v_mark > 0 THEN
        RETURN (SELECT seq - v_mark FROM ledger.accounts WHERE account_id = p_account_id);
    END IF;
    RETURN ledger.seq_before(p_account_id, p_until) - ledger.seq_before(p_account_id, p_since) + (
        SELECT count(*) FROM (
            SELECT FROM ledger.entries
            WHERE account_id = p_account_id AND occurred_at >= p_since AND occurred_at < p_until
              AND occurred_at < booked_at
            LIMIT p_most) late);
END
$$;

-- What was spent between the first and the last of p_bounds (ascending), by feature and by the stretch between two
-- neighbours: stretch 1 begins at the first. Captures of holds are spends. A refund counts where its spend does,
-- whenever it was made, so that no stretch is ever below zero: `spent` is before refunds, `refunded` is what came back.
CREATE OR REPLACE FUNCTION ledger.usage(p_account_id bigint, p_bounds timestamptz[]) RETURNS TABLE (
    stretch integer, feature text, spent numeric, refunded numeric, spends bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM ledger.usage_marks WHERE account_id = p_account_id AND seq > 0) THEN
        RETURN QUERY SELECT * FROM ledger.usage_by_sums(p_account_id, p_bounds);
    ELSE
        RETURN QUERY SELECT * FROM ledger.usage_by_entries(p_account_id, p_bounds);
    END IF;
END
$$;

-- From the entries alone.
CREATE OR REPLACE FUNCTION ledger.usage_by_entries(p_account_id bigint, p_bounds timestamptz[]) RETURNS TABLE (
    stretch integer, feature text, spent numeric, refunded numeric, spends bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_since timestamptz := p_bounds[1];
    v_until timestamptz := p_bounds[cardinality(p_bounds)];
    v_before bigint := ledger.seq_before(p_account_id, v_since);
    v_last bigint := ledger.seq_before(p_account_id, v_until);
BEGIN
    RETURN QUERY
        SELECT u.stretch, u.feature, sum(u.spent), sum(u.refunded), sum(u.spends)::bigint
        FROM (
            SELECT b.stretch, s.feature, s.spent, 0::numeric AS refunded, s.spends
            FROM generate_series(1, cardinality(p_bounds) - 1) AS b (stretch)
            CROSS JOIN LATERAL (
                SELECT e.feature, -sum(e.amount) AS spent, count(*) AS spends
                FROM ledger.entries e
                WHERE e.account_id = p_account_id AND e.kind = 'spend'
                  AND e.occurred_at >= p_bounds[b.stretch] AND e.occurred_at < p_bounds[b.stretch + 1]
                GROUP BY e.feature
            ) s
            UNION ALL  -- refunds of what was booked within that time …
            SELECT width_bucket(e.occurred_at, p_bounds), e.feature, 0, r.amount, 0
            FROM ledger.entries r
            JOIN ledger.entries e ON e.account_id = r.account_id AND e.seq = r.about_seq
            WHERE r.account_id = p_account_id AND r.about_seq > v_before AND r.about_seq <= v_last
              AND r.kind = 'refund' AND e.occurred_at >= v_since
            UNION ALL  -- … and of what was booked later
            SELECT width_bucket(e.occurred_at, p_bounds), e.feature, 0, r.amount, 0
            FROM ledger.entries e
            JOIN ledger.entries r ON r.account_id = e.account_id AND r.about_seq = e.seq
            WHERE e.account_id = p_account_id AND e.seq > v_last AND e.occurred_at < e.booked_at
              AND e.occurred_at >= v_since AND e.occurred_at < v_until AND r.kind = 'refund'
        ) u
        GROUP BY 1, 2;
END
$$;

-- From the sums of whole half hours, the entries of those that a bound cuts, and the entries after the mark. A day of
-- most time zones begins with a half hour, so that few are cut.
CREATE OR REPLACE FUNCTION ledger.usage_by_sums(p_account_id bigint, p_bounds timestamptz[]) RETURNS TABLE (
    stretch integer, feature text, spent numeric, refunded numeric, spends bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_since timestamptz := p_bounds[1];
    v_until timestamptz := p_bounds[cardinality(p_bounds)];
    v_mark bigint := (SELECT seq FROM ledger.usage_marks WHERE account_id = p_account_id);
    v_cut timestamptz[] := ARRAY(
        SELECT DISTINCT date_bin('30 minutes', b, 'epoch') FROM unnest(p_bounds) b
        WHERE b <> date_bin('30 minutes', b, 'epoch'));
BEGIN
    RETURN QUERY
        WITH late AS MATERIALIZED (
            SELECT e.kind, e.amount, e.feature, e.occurred_at, e.about_seq
            FROM ledger.entries e
            WHERE e.account_id = p_account_id AND e.seq > v_mark AND e.kind IN ('spend', 'refund')
        ), cut AS MATERIALIZED (  -- each OFFSET keeps the planner from reading the whole account for a few of its hours
            SELECT e.seq, e.amount, e.feature, e.occurred_at
            FROM unnest(v_cut) c (since)
            CROSS JOIN LATERAL (
                SELECT * FROM ledger.entries
                WHERE account_id = p_account_id AND kind = 'spend'
                  AND occurred_at >= greatest(c.since, v_since)
                  AND occurred_at < least(c.since + interval '30 minutes', v_until)
                OFFSET 0
            ) e
            WHERE e.seq <= v_mark
        )
        SELECT u.stretch, u.feature, sum(u.spent), sum(u.refunded), sum(u.spends)::bigint
        FROM (
            SELECT b.stretch, s.feature, s.spent, s.refunded, s.spends
            FROM generate_series(1, cardinality(p_bounds) - 1) AS b (stretch)
            CROSS JOIN LATERAL (
                SELECT feature, sum(spent) AS spent, sum(refunded) AS refunded, sum(spends) AS spends
                FROM ledger.usage_sums
                WHERE account_id = p_account_id AND since >= p_bounds[b.stretch] AND since < p_bounds[b.stretch + 1]
                  AND since <> ALL (v_cut)
                GROUP BY feature
            ) s
            UNION ALL  -- what was cut, up to the mark …
            SELECT width_bucket(c.occurred_at, p_bounds), c.feature, -c.amount, 0, 1 FROM cut c
            UNION ALL  -- … and its refunds
            SELECT width_bucket(c.occurred_at, p_bounds), c.feature, 0, r.amount, 0
            FROM cut c
            CROSS JOIN LATERAL (
                SELECT amount FROM ledger.entries
                WHERE account_id = p_account_id AND about_seq = c.seq AND kind = 'refund' AND seq <= v_mark
                OFFSET 0
            ) r
            UNION ALL  -- what was booked after the mark, whenever it occurred …
            SELECT width_bucket(l.occurred_at, p_bounds), l.feature, -l.amount, 0, 1
            FROM late l WHERE l.kind = 'spend' AND l.occurred_at >= v_since AND l.occurred_at < v_until
            UNION ALL  -- … and refunds after it of whatever came before
            SELECT width_bucket(e.occurred_at, p_bounds), e.feature, 0, l.amount, 0
            FROM late l
            CROSS JOIN LATERAL (
                SELECT occurred_at, feature FROM ledger.entries
                WHERE account_id = p_account_id AND seq = l.about_seq
                OFFSET 0
            ) e
            WHERE l.kind = 'refund' AND e.occurred_at >= v_since AND e.occurred_at < v_until
        ) u
        GROUP BY 1, 2;
END
$$;
