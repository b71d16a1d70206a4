-- Carrying over what many grants left: what webapp.ledger.roll_over does to each, in a handful of statements for all.

-- The items are given as arrays, one element each, and name each grant and each key once. Mostly the grant has expired
-- and nobody has used the key: what has expired on those accounts is booked, and the remainders are granted, together.
-- Returns a row an item, in no particular order: `item` counts from 1, `way` is 't' for such an item, whose seq is null
-- where nothing was left, and 's' for one that nothing was done about, because it needs a look by itself.
CREATE OR REPLACE FUNCTION ledger.roll_over_many(
    p_account_ids bigint[], p_grant_ids bigint[], p_caps bigint[], p_source_keys text[], p_actors text[],
    p_expires_ats timestamptz[], p_descriptions text[]
) RETURNS TABLE (item bigint, way "char", refusal text, message text, detail text, seq bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz;
    v_ways "char"[];
    v_due bigint[];
BEGIN
    PERFORM FROM ledger.accounts WHERE account_id = ANY (p_account_ids) ORDER BY account_id FOR NO KEY UPDATE;
    v_now := ledger.now();

    SELECT array_agg(w.way ORDER BY w.item),
           coalesce(array_agg(DISTINCT w.account_id) FILTER (WHERE w.way = 't' AND w.due), '{}')
    INTO v_ways, v_due
    FROM (
        SELECT u.item, u.account_id, a.due_at <= greatest(v_now, a.booked_at) AS due,
               CASE WHEN g.expires_at <= v_now AND g.priority > -2147483648 AND NOT EXISTS (
                        SELECT FROM ledger.grants k WHERE k.account_id = u.account_id AND k.source_key = u.source_key)
                    THEN 't' ELSE 's' END::"char" AS way
        FROM (SELECT * FROM unnest(p_account_ids, p_grant_ids, p_source_keys)
                  WITH ORDINALITY i (account_id, grant_id, source_key, item) OFFSET 0) u
        LEFT JOIN ledger.accounts a ON a.account_id = u.account_id
        LEFT JOIN ledger.grants g ON g.account_id = u.account_id AND g.grant_id = u.grant_id
    ) w;

    IF v_due <> '{}' THEN
        PERFORM ledger.expire_locked(v_due, v_now);
    END IF;

    RETURN QUERY
    WITH line AS MATERIALIZED (
        SELECT u.item, u.account_id, u.grant_id, u.source_key, u.actor, u.expires_at,
               coalesce(u.description, g.description) AS description, g.priority - 1 AS priority,
               g.expires_at AS expired_at, g.features, least(u.cap, g.expired) AS amount, g.cost_currency,
               CASE WHEN g.cost_minor = 0 THEN 0
                    ELSE div(2::numeric * g.cost_minor * least(u.cap, g.expired) + g.amount, 2 * g.amount::numeric)
               END::bigint AS cost_minor
        FROM (SELECT * FROM unnest(p_account_ids, p_grant_ids, p_caps, p_source_keys, p_actors, p_expires_ats,
                                   p_descriptions, v_ways)
                  WITH ORDINALITY i (account_id, grant_id, cap, source_key, actor, expires_at, description, way, item)
              WHERE way = 't' OFFSET 0) u
        JOIN ledger.grants g ON g.account_id = u.account_id AND g.grant_id = u.grant_id
    ), listed AS (
        SELECT array_agg(l.item) AS items, array_agg(l.account_id) AS account_ids, array_agg(l.amount) AS amounts,
               array_agg('rollover'::text) AS sources, array_agg(l.actor) AS actors,
               array_agg(ledger.fingerprint_of_grant(
                   'rollover', l.amount, l.expires_at, l.priority, l.expired_at, l.features, l.cost_minor,
                   l.cost_currency, l.source_key, l.description)) AS fingerprints,
               array_agg(l.source_key) AS source_keys, array_agg(l.expires_at) AS expires_ats,
               array_agg(l.priority) AS priorities, array_agg(l.expired_at) AS expired_ats,
               array_agg(to_json(l.features)::text) AS features, array_agg(l.cost_minor) AS cost_minors,
               array_agg(l.cost_currency) AS cost_currencies, array_agg(l.description) AS descriptions,
               array_agg('{}'::text) AS metadatas, array_agg(NULL::text) AS nothing, array_agg(l.grant_id) AS grant_ids
        FROM (SELECT * FROM line WHERE amount > 0 ORDER BY item) l
    )
    SELECT a.items[g.item], 't'::"char", g.refusal, g.message, g.detail, g.seq
    FROM listed a
    CROSS JOIN LATERAL ledger.grant_ids_of_many(
        a.account_ids, a.amounts, a.sources, a.actors, a.fingerprints, a.source_keys, a.expires_ats, a.priorities,
        a.expired_ats, a.features, a.cost_minors, a.cost_currencies, a.descriptions, a.nothing, a.metadatas,
        a.nothing, a.expired_ats, a.grant_ids) g
    UNION ALL
    SELECT l.item, 't'::"char", NULL, NULL, NULL, NULL FROM line l WHERE l.amount <= 0
    UNION ALL
    SELECT u.item, 's'::"char", NULL, NULL, NULL, NULL FROM unnest(v_ways) WITH ORDINALITY u (way, item)
    WHERE u.way = 's';
END
$$;
