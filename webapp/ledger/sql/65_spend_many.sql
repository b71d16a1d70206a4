-- Burning credits of many accounts at once: what ledger.spend does to each, in a handful of statements for all.

-- The items are given as arrays, one element each, and are charged as single spends in this order would be; a refused
-- one writes nothing and harms no other. Mostly the first grant in burn order covers what is asked of an account:
-- those are drawn, chained, written and carried over together. From the first item on that needs more than that (a
-- second grant, debt, something due, a key given twice), an account's items go one by one through ledger.spend.
-- Returns a row an item, in no particular order: `item` counts from 1, and `refusal` is null or the SQLSTATE.
CREATE OR REPLACE FUNCTION ledger.spend_many(
    p_account_ids bigint[], p_amounts bigint[], p_idempotency_keys text[], p_fingerprints bytea[], p_actors text[],
    p_features text[], p_quantities bigint[], p_partials boolean[], p_descriptions text[], p_references text[],
    p_metadatas text[], p_pricings text[], p_occurred_ats timestamptz[]
) RETURNS TABLE (item bigint, replayed boolean, refusal text, message text, detail text, entry ledger.entries)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- Whatever the statistics say, each item finds its rows by the keys: a plan may be older than the tables have grown.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz;
    v_ways "char"[];        -- of each item: 't' with the others of its account together, 'r' replay, 's' by itself
    v_grants bigint[];      -- of each item that goes together, what it is drawn from; of a replay, its entry
    r record;
    s record;
BEGIN
    PERFORM FROM ledger.accounts WHERE account_id = ANY (p_account_ids) ORDER BY account_id FOR NO KEY UPDATE;
    v_now := ledger.now();

    SELECT array_agg(CASE WHEN w.known THEN 'r' WHEN w.together THEN 't' ELSE 's' END::"char" ORDER BY w.item),
           array_agg(CASE WHEN w.known THEN w.known_seq ELSE w.grant_id END ORDER BY w.item)
    INTO v_ways, v_grants
    FROM (
        SELECT c.*, bool_and(coalesce(c.plain AND c.grant_id = c.first_grant AND c.free > c.so_far, false)) OVER earlier
               AS together
        FROM (
            SELECT i.item, i.account_id, e.seq AS known_seq, g.grant_id, g.free,
                   coalesce(i.amount BETWEEN 1 AND 1000000000000000 AND e.fingerprint = i.fingerprint, false) AS known,
                   coalesce(
                       i.amount BETWEEN 1 AND 1000000000000000 AND e.seq IS NULL AND i.key_before IS DISTINCT FROM i.key
                       AND a.debt = 0 AND (a.due_at IS NULL OR a.due_at > greatest(v_now, a.booked_at))
                       AND (i.occurred_at IS NULL OR i.occurred_at <= greatest(v_now, a.booked_at))
                       AND (a.holds = 0 OR NOT EXISTS (
                           SELECT FROM ledger.holds h
                           WHERE h.account_id = i.account_id AND (h.idempotency_key = i.key OR h.closing_key = i.key))),
                       false) AS plain,
                   first_value(g.grant_id) OVER so_far AS first_grant,
                   sum(i.amount) OVER so_far AS so_far
            FROM (
                SELECT u.*, lag(u.key) OVER (PARTITION BY u.account_id, u.key ORDER BY u.item) AS key_before
                FROM unnest(p_account_ids, p_amounts, p_idempotency_keys, p_fingerprints, p_features, p_occurred_ats)
                     WITH ORDINALITY u (account_id, amount, key, fingerprint, feature, occurred_at, item)
            ) i
            LEFT JOIN ledger.accounts a ON a.account_id = i.account_id
            LEFT JOIN ledger.entries e ON e.account_id = i.account_id AND e.idempotency_key = i.key
            LEFT JOIN LATERAL (
                SELECT g.grant_id, g.remaining - g.held AS free FROM ledger.grants g
                WHERE g.account_id = i.account_id AND g.open AND g.remaining > g.held AND NOT g.frozen
                  AND g.effective_at <= greatest(v_now, a.booked_at)
                  AND (g.expires_at IS NULL OR g.expires_at > greatest(v_now, a.booked_at))
                  AND (g.features IS NULL OR i.feature = ANY (g.features))
                ORDER BY g.priority, g.expires_at, g.burn_rank, g.effective_at, g.grant_id
                LIMIT 1) g ON true
            WINDOW so_far AS (PARTITION BY i.account_id, e.seq IS NOT NULL ORDER BY i.item)
        ) c
        WINDOW earlier AS (PARTITION BY c.account_id, c.known ORDER BY c.item)
    ) w;

    RETURN QUERY
    WITH line AS (
        SELECT u.*, greatest(v_now, a.booked_at) AS moment, a.head, a.seq + row_number() OVER w AS seq,
               a.balance - sum(u.amount) OVER w AS balance_after, sum(u.amount) OVER w AS so_far
        FROM (
            SELECT * FROM unnest(
                p_account_ids, p_amounts, p_idempotency_keys, p_fingerprints, p_actors, p_features, p_quantities,
                p_descriptions, p_references, p_metadatas::jsonb[], p_pricings::jsonb[], p_occurred_ats, v_ways, v_grants
            ) WITH ORDINALITY i (
                account_id, amount, key, fingerprint, actor, feature, quantity, description, reference, metadata,
                pricing, occurred_at, way, grant_id, item)
            WHERE way = 't' OFFSET 0) u
        JOIN ledger.accounts a ON a.account_id = u.account_id
        WINDOW w AS (PARTITION BY u.account_id ORDER BY u.item)
    ), chained AS MATERIALIZED (
        SELECT l.item, l.account_id, l.seq, l.so_far, l.grant_id,
               lead(l.seq) OVER w IS NULL AS is_last,
               (l.account_id, l.seq, 'spend', -l.amount, l.balance_after, 0, ARRAY[l.grant_id], ARRAY[-l.amount], NULL,
                l.feature, l.quantity, l.description, l.reference, l.metadata, l.pricing, l.key, l.fingerprint, l.actor,
                coalesce(l.occurred_at, l.moment), l.moment,
                ledger.chain(l.head, convert_to(jsonb_build_array(
                    l.account_id, l.seq, 'spend', -l.amount, l.balance_after, 0, ARRAY[l.grant_id], ARRAY[-l.amount],
                    NULL, l.feature, l.quantity, l.description, l.reference, l.metadata, l.pricing, l.key,
                    encode(l.fingerprint, 'hex'), l.actor, extract(epoch FROM coalesce(l.occurred_at, l.moment)),
                    extract(epoch FROM l.moment))::text, 'UTF8')) OVER w,
                NULL)::ledger.entries AS entry
        FROM line l
        WINDOW w AS (PARTITION BY l.account_id ORDER BY l.seq)
    ), drawn AS (
        UPDATE ledger.grants g SET remaining = g.remaining - c.so_far FROM chained c
        WHERE c.is_last AND g.account_id = c.account_id AND g.grant_id = c.grant_id
    ), saved AS (
        UPDATE ledger.accounts a
        SET balance = (c.entry).balance_after, version = a.version + c.seq - a.seq, seq = c.seq, head = (c.entry).hash,
            booked_at = (c.entry).booked_at
        FROM chained c WHERE c.is_last AND a.account_id = c.account_id
    ), written AS (
        INSERT INTO ledger.entries SELECT (c.entry).* FROM chained c
    )
    SELECT c.item, false, NULL::text, NULL::text, NULL::text, c.entry FROM chained c;

    IF 'r' = ANY (v_ways) THEN
        RETURN QUERY
        SELECT u.item, true, NULL::text, NULL::text, NULL::text, e
        FROM unnest(p_account_ids, v_ways, v_grants) WITH ORDINALITY u (account_id, way, seq, item)
        JOIN ledger.entries e ON e.account_id = u.account_id AND e.seq = u.seq
        WHERE u.way = 'r';
    END IF;

    IF 's' = ANY (v_ways) THEN
        FOR r IN SELECT * FROM unnest(v_ways, p_account_ids) WITH ORDINALITY u (way, account_id, item)
                 WHERE u.way = 's' ORDER BY u.account_id, u.item
        LOOP
            item := r.item;
            refusal := NULL;
            message := NULL;
            detail := NULL;
            BEGIN
                SELECT * INTO s FROM ledger.spend(
                    p_account_ids[r.item], p_amounts[r.item], p_idempotency_keys[r.item], p_fingerprints[r.item],
                    p_actors[r.item], p_features[r.item], p_quantities[r.item], p_partials[r.item],
                    p_descriptions[r.item], p_references[r.item], p_metadatas[r.item]::jsonb,
                    p_pricings[r.item]::jsonb, p_occurred_ats[r.item]);
                replayed := s.replayed;
                entry := s.entry;
            EXCEPTION WHEN SQLSTATE 'TS001' OR SQLSTATE 'TS002' OR SQLSTATE 'TS004' OR SQLSTATE 'TS005' THEN
                GET STACKED DIAGNOSTICS refusal = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
                replayed := false;
                entry := NULL;
            END;
            RETURN NEXT;
        END LOOP;
    END IF;
END
$$;
