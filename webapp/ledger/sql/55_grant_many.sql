-- Putting credits into many accounts at once: what ledger.grant does to each, in a handful of statements for all.

-- The items are given as arrays, one element each (features as a JSON array of texts), and are granted as single
-- grants in this order would be; a refused one writes nothing and harms no other. Mostly an account owes nothing, has
-- nothing due while a hold is open, and the grant is live: what has expired is booked together then, and such grants
-- are chained, written and carried over together. From the first item on that is not so, an account's items go one by
-- one through ledger.grant.
-- Returns a row an item, in no particular order: `item` counts from 1, and `refusal` is null or the SQLSTATE.
CREATE OR REPLACE FUNCTION ledger.grant_ids_of_many(
    p_account_ids bigint[], p_amounts bigint[], p_sources text[], p_actors text[], p_fingerprints bytea[],
    p_source_keys text[], p_expires_ats timestamptz[], p_priorities integer[], p_effective_ats timestamptz[],
    p_features text[], p_cost_minors bigint[], p_cost_currencies text[], p_descriptions text[], p_references text[],
    p_metadatas text[], p_idempotency_keys text[], p_occurred_ats timestamptz[], p_about_seqs bigint[]
) RETURNS TABLE (
    item bigint, replayed boolean, refusal text, message text, detail text, account_id bigint, seq bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- Whatever the statistics say, each item finds its rows by the keys: a plan may be older than the tables have grown.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz;
    v_ways "char"[];        -- of each item: 't' with the others together, 'r' replay, 's' by itself
    v_seqs bigint[];        -- of each replay, its entry
    v_due bigint[];         -- accounts with something to book before the first grant
    r record;
    s record;
BEGIN
    PERFORM FROM ledger.accounts WHERE account_id = ANY (p_account_ids) ORDER BY account_id FOR NO KEY UPDATE;
    v_now := ledger.now();

    SELECT array_agg(CASE WHEN w.known THEN 'r' WHEN w.together THEN 't' ELSE 's' END::"char" ORDER BY w.item),
           array_agg(w.known_seq ORDER BY w.item),
           coalesce(array_agg(DISTINCT w.account_id) FILTER (WHERE w.due AND w.together AND NOT w.known), '{}')
    INTO v_ways, v_seqs, v_due
    FROM (
        SELECT c.item, c.account_id, c.known, c.known_seq, c.due,
               bool_and(c.plain AND c.balance + c.so_far <= 1000000000000000000) OVER earlier AS together
        FROM (
            SELECT i.item, i.account_id, a.balance, i.valid AND k.same AS known, k.known_seq,
                   coalesce(a.due_at <= greatest(v_now, a.booked_at), false) AS due,
                   coalesce(
                       i.valid AND k.known_seq IS NULL
                       AND (i.source_key IS NULL OR i.source_key_before IS DISTINCT FROM i.source_key)
                       AND (i.key IS NULL OR i.key_before IS DISTINCT FROM i.key)
                       AND a.debt = 0
                       AND (a.due_at IS NULL OR a.due_at > greatest(v_now, a.booked_at)
                            OR a.holds = 0 OR NOT EXISTS (
                                SELECT FROM ledger.holds h WHERE h.account_id = i.account_id AND h.state = 'open'))
                       AND (i.expires_at IS NULL OR i.expires_at > greatest(v_now, a.booked_at))
                       AND (i.occurred_at IS NULL OR i.occurred_at <= greatest(v_now, a.booked_at))
                       AND (i.key IS NULL OR a.holds = 0 OR NOT EXISTS (
                           SELECT FROM ledger.holds h
                           WHERE h.account_id = i.account_id AND (h.idempotency_key = i.key OR h.closing_key = i.key))),
                       false) AS plain,
                   sum(i.amount) OVER (PARTITION BY i.account_id, i.valid AND k.same ORDER BY i.item) AS so_far
            FROM (
                SELECT u.*,
                       lag(u.source_key) OVER (PARTITION BY u.account_id, u.source_key ORDER BY u.item)
                           AS source_key_before,
                       lag(u.key) OVER (PARTITION BY u.account_id, u.key ORDER BY u.item) AS key_before,
                       coalesce(u.amount BETWEEN 1 AND 1000000000000000 AND u.cost_minor >= 0
                                AND (u.cost_minor = 0 OR u.cost_currency IS NOT NULL), false)
                           AND u.features IS DISTINCT FROM '[]' AS valid
                FROM unnest(p_account_ids, p_amounts, p_fingerprints, p_source_keys, p_expires_ats, p_features,
                            p_cost_minors, p_cost_currencies, p_idempotency_keys, p_occurred_ats)
                     WITH ORDINALITY u (account_id, amount, fingerprint, source_key, expires_at, features, cost_minor,
                                        cost_currency, key, occurred_at, item)
            ) i
            LEFT JOIN ledger.accounts a ON a.account_id = i.account_id
            LEFT JOIN LATERAL (
                SELECT g.grant_id AS known_seq, g.fingerprint = i.fingerprint AS same FROM ledger.grants g
                WHERE g.account_id = i.account_id AND g.source_key = i.source_key) g ON true
            LEFT JOIN LATERAL (
                SELECT e.seq AS known_seq, e.fingerprint = i.fingerprint AS same FROM ledger.entries e
                WHERE e.account_id = i.account_id AND e.idempotency_key = i.key) e ON true
            CROSS JOIN LATERAL (
                SELECT coalesce(g.known_seq, e.known_seq) AS known_seq,
                       coalesce(CASE WHEN g.known_seq IS NULL THEN e.same ELSE g.same END, false) AS same
                OFFSET 0) k
        ) c
        WINDOW earlier AS (PARTITION BY c.account_id, c.known ORDER BY c.item)
    ) w;

    IF v_due <> '{}' THEN
        PERFORM ledger.expire_locked(v_due, v_now, false);
    END IF;

    RETURN QUERY
    WITH line AS (
        SELECT u.*, coalesce(e.hash, a.head) AS head, a.spend_order, x.moment,
               coalesce(u.occurred_at, x.moment) AS occurs_at,
               coalesce(u.effective_at, u.occurred_at, x.moment) AS effect_at,
               CASE WHEN u.source = 'purchase' THEN 'purchase' ELSE 'grant' END AS kind,
               row_number() OVER w AS nth, coalesce(e.seq, a.seq) + row_number() OVER w AS seq,
               (coalesce(e.balance_after, a.balance) + sum(u.amount) OVER w)::bigint AS balance_after,
               CASE WHEN x.due THEN o.due_at ELSE a.due_at END AS due_at,
               CASE WHEN x.due THEN o.waiting ELSE a.waiting END AS waiting
        FROM (
            SELECT * FROM unnest(
                p_account_ids, p_amounts, p_sources, p_actors, p_fingerprints, p_source_keys, p_expires_ats,
                p_priorities, p_effective_ats, p_features, p_cost_minors, p_cost_currencies, p_descriptions,
                p_references, p_metadatas::jsonb[], p_idempotency_keys, p_occurred_ats, p_about_seqs, v_ways
            ) WITH ORDINALITY i (
                account_id, amount, source, actor, fingerprint, source_key, expires_at, priority, effective_at,
                features, cost_minor, cost_currency, description, reference, metadata, key, occurred_at, about_seq, way,
                item)
            WHERE way = 't' OFFSET 0) u
        JOIN ledger.accounts a ON a.account_id = u.account_id
        CROSS JOIN LATERAL (
            SELECT greatest(v_now, a.booked_at) AS moment,
                   coalesce(a.due_at <= greatest(v_now, a.booked_at), false) AS due) x
        -- Of an account with something due, what ledger.expire_locked has left to be saved: its newest entry, and what
        -- ledger.find_due finds.
        LEFT JOIN LATERAL (
            SELECT l.seq, l.balance_after, l.hash FROM ledger.entries l
            WHERE x.due AND l.account_id = u.account_id ORDER BY l.seq DESC LIMIT 1) e ON true
        LEFT JOIN LATERAL (
            SELECT min(least(CASE WHEN g.remaining > g.held THEN g.expires_at END,
                             CASE WHEN g.effective_at > x.moment THEN g.effective_at END)) AS due_at,
                   coalesce(bool_or(g.frozen OR g.effective_at > x.moment), false) AS waiting
            FROM ledger.grants g WHERE x.due AND g.account_id = u.account_id AND g.open) o ON true
        WINDOW w AS (PARTITION BY u.account_id ORDER BY u.item)
    ), chained AS MATERIALIZED (
        SELECT l.*, lead(l.seq) OVER w IS NULL AS is_last,
               min(l.expires_at) OVER whole AS first_expiry,
               min(l.effect_at) FILTER (WHERE l.effect_at > l.moment) OVER whole AS first_start,
               -- The text that ledger.entry_content makes of such an entry, at a third of its cost.
               ledger.chain(l.head, convert_to(format(
                   '[%s, %s, "%s", %s, %s, 0, [%s], [%s], %s, null, null, %s, %s, %s, null, %s, %s, %s, %s, %s]',
                   l.account_id, l.seq, l.kind, l.amount, l.balance_after, l.seq, l.amount,
                   coalesce(l.about_seq::text, 'null'), to_json(l.description),
                   coalesce(to_json(l.reference)::text, 'null'), l.metadata, coalesce(to_json(l.key)::text, 'null'),
                   coalesce('"' || encode(l.fingerprint, 'hex') || '"', 'null'), to_json(l.actor),
                   extract(epoch FROM l.occurs_at), extract(epoch FROM l.moment)), 'UTF8')) OVER w AS hash
        FROM line l
        WINDOW w AS (PARTITION BY l.account_id ORDER BY l.seq), whole AS (PARTITION BY l.account_id)
    ), granted AS (
        INSERT INTO ledger.grants (
            account_id, grant_id, source, source_key, amount, remaining, priority, effective_at, expires_at, burn_rank,
            features, cost_minor, cost_currency, description, fingerprint)
        SELECT c.account_id, c.seq, c.source, c.source_key, c.amount, c.amount, c.priority, c.effect_at, c.expires_at,
               ledger.burn_rank(c.spend_order, c.cost_minor),
               CASE WHEN c.features IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(c.features::jsonb)) END,
               c.cost_minor, c.cost_currency, c.description, c.fingerprint
        FROM chained c
    ), saved AS (
        UPDATE ledger.accounts a
        SET balance = c.balance_after, version = a.version + c.nth, seq = c.seq, head = c.hash,
            booked_at = c.moment, due_at = least(c.due_at, c.first_expiry, c.first_start),
            waiting = c.waiting OR c.first_start IS NOT NULL
        FROM chained c WHERE c.is_last AND a.account_id = c.account_id
    ), written AS (
        INSERT INTO ledger.entries (
            account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts, about_seq,
            description, reference, metadata, idempotency_key, fingerprint, actor, occurred_at, booked_at, hash)
        SELECT c.account_id, c.seq, c.kind, c.amount, c.balance_after, 0, ARRAY[c.seq], ARRAY[c.amount], c.about_seq,
               c.description, c.reference, c.metadata, c.key, c.fingerprint, c.actor, c.occurs_at, c.moment, c.hash
        FROM chained c
    )
    SELECT c.item, false, NULL::text, NULL::text, NULL::text, c.account_id, c.seq FROM chained c;

    IF 'r' = ANY (v_ways) THEN
        RETURN QUERY
        SELECT u.item, true, NULL::text, NULL::text, NULL::text, u.account_id, u.seq
        FROM unnest(p_account_ids, v_ways, v_seqs) WITH ORDINALITY u (account_id, way, seq, item)
        WHERE u.way = 'r';
    END IF;

    IF 's' = ANY (v_ways) THEN
        FOR r IN SELECT * FROM unnest(v_ways, p_account_ids) WITH ORDINALITY u (way, account_id, item)
                 WHERE u.way = 's' ORDER BY u.account_id, u.item
        LOOP
            item := r.item;
            account_id := r.account_id;
            refusal := NULL;
            message := NULL;
            detail := NULL;
            BEGIN
                SELECT g.replayed, (g.entry).seq INTO s FROM ledger.grant(
                    p_account_ids[r.item], p_amounts[r.item], p_sources[r.item], p_actors[r.item],
                    p_fingerprints[r.item], p_source_keys[r.item], p_expires_ats[r.item], p_priorities[r.item],
                    p_effective_ats[r.item],
                    CASE WHEN p_features[r.item] IS NOT NULL
                         THEN ARRAY(SELECT jsonb_array_elements_text(p_features[r.item]::jsonb)) END,
                    p_cost_minors[r.item], p_cost_currencies[r.item], p_descriptions[r.item], p_references[r.item],
                    p_metadatas[r.item]::jsonb, p_idempotency_keys[r.item], p_occurred_ats[r.item],
                    p_about_seqs[r.item]) g;
                replayed := s.replayed;
                seq := s.seq;
            EXCEPTION WHEN SQLSTATE 'TS001' OR SQLSTATE 'TS002' OR SQLSTATE 'TS005' OR SQLSTATE 'TS006' THEN
                GET STACKED DIAGNOSTICS refusal = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
                replayed := false;
                seq := NULL;
            END;
            RETURN NEXT;
        END LOOP;
    END IF;
END
$$;

-- The same with each item's entry.
CREATE OR REPLACE FUNCTION ledger.grant_many(
    p_account_ids bigint[], p_amounts bigint[], p_sources text[], p_actors text[], p_fingerprints bytea[],
    p_source_keys text[], p_expires_ats timestamptz[], p_priorities integer[], p_effective_ats timestamptz[],
    p_features text[], p_cost_minors bigint[], p_cost_currencies text[], p_descriptions text[], p_references text[],
    p_metadatas text[], p_idempotency_keys text[], p_occurred_ats timestamptz[], p_about_seqs bigint[]
) RETURNS TABLE (item bigint, replayed boolean, refusal text, message text, detail text, entry ledger.entries)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    v_done record;
BEGIN
    SELECT array_agg(g.item) AS items, array_agg(g.replayed) AS replayed, array_agg(g.refusal) AS refusals,
           array_agg(g.message) AS messages, array_agg(g.detail) AS details, array_agg(g.account_id) AS account_ids,
           array_agg(g.seq) AS seqs
    INTO v_done
    FROM ledger.grant_ids_of_many(
        p_account_ids, p_amounts, p_sources, p_actors, p_fingerprints, p_source_keys, p_expires_ats, p_priorities,
        p_effective_ats, p_features, p_cost_minors, p_cost_currencies, p_descriptions, p_references, p_metadatas,
        p_idempotency_keys, p_occurred_ats, p_about_seqs) g;
    RETURN QUERY  -- a statement of its own, which sees what the one before has written
    SELECT u.item, u.replayed, u.refusal, u.message, u.detail, e
    FROM unnest(v_done.items, v_done.replayed, v_done.refusals, v_done.messages, v_done.details, v_done.account_ids,
                v_done.seqs) u (item, replayed, refusal, message, detail, account_id, seq)
    LEFT JOIN ledger.entries e ON e.account_id = u.account_id AND e.seq = u.seq;
END
$$;
