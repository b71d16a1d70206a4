-- The sweep: writing down what has expired, for many accounts at once.

-- Writes for the accounts, which the caller has locked, what ledger.book_due would write for each at p_now: together
-- where only grants have expired, account by account where a hold has lapsed. Returns how many entries that took.
-- Without p_save the accounts' rows are left to the caller, who saves them with what else it writes; no holds are open.
CREATE OR REPLACE FUNCTION ledger.expire_locked(
    p_account_ids bigint[], p_now timestamptz, p_save boolean DEFAULT true, OUT entries bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
-- Whatever the statistics say, each account's rows are found by their keys: a plan may be older than the tables.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    v_account ledger.accounts;
    v_done bigint[];
    v_id bigint;
    v_seq bigint;
BEGIN
    WITH line AS (
        SELECT a.account_id, a.head, a.seq AS seq_before, a.balance, a.debt, x.moment, g.grant_id, g.expires_at,
               g.effective_at, g.remaining, g.held, g.frozen, g.description,
               coalesce(g.expires_at <= x.moment AND g.remaining > g.held, false) AS lost
        FROM (SELECT unnest(p_account_ids) AS account_id OFFSET 0) u
        JOIN ledger.accounts a ON a.account_id = u.account_id
        CROSS JOIN LATERAL (SELECT greatest(p_now, a.booked_at) AS moment) x
        LEFT JOIN ledger.grants g ON g.account_id = a.account_id AND g.open
        WHERE a.holds = 0 OR NOT EXISTS (
            SELECT FROM ledger.holds h
            WHERE h.account_id = a.account_id AND h.state = 'open' AND h.expires_at <= x.moment)
    ), counted AS (
        SELECT l.*, l.remaining - l.held AS amount,
               l.seq_before + count(*) FILTER (WHERE l.lost) OVER w AS seq,
               (l.balance - coalesce(sum(l.remaining - l.held) FILTER (WHERE l.lost) OVER w, 0))::bigint AS balance_after,
               lead(l.account_id) OVER w IS NULL AS is_last
        FROM line l
        WINDOW w AS (PARTITION BY l.account_id ORDER BY NOT l.lost, l.expires_at, l.grant_id)
    ), chained AS MATERIALIZED (
        SELECT c.account_id, c.grant_id, c.lost, c.amount, c.debt, c.seq_before, c.seq, c.balance_after, c.is_last,
               c.description, c.expires_at, c.moment,
               -- The text that ledger.entry_content makes of an expire entry, at a third of its cost.
               coalesce(ledger.chain(c.head, convert_to(format(
                   '[%s, %s, "expire", %s, %s, %s, [%s], [%s], %s, null, null, %s, null, {}, null, null, null, "ledger",'
                   ' %s, %s]', c.account_id, c.seq, -c.amount, c.balance_after, c.debt, c.grant_id, -c.amount,
                   c.grant_id, to_json(c.description), extract(epoch FROM c.expires_at),
                   extract(epoch FROM c.moment)), 'UTF8'))
                   FILTER (WHERE c.lost) OVER w, c.head) AS hash,
               min(least(CASE WHEN c.amount > 0 AND NOT c.lost THEN c.expires_at END,
                         CASE WHEN c.effective_at > c.moment AND NOT (c.lost AND c.held = 0) THEN c.effective_at END))
                   OVER w AS due_at,
               coalesce(bool_or((c.frozen OR c.effective_at > c.moment) AND NOT (c.lost AND c.held = 0)) OVER w, false)
                   AS waiting
        FROM counted c
        WINDOW w AS (PARTITION BY c.account_id ORDER BY NOT c.lost, c.expires_at, c.grant_id)
    ), emptied AS (
        UPDATE ledger.grants g SET remaining = g.held, open = g.held > 0, expired = g.expired + c.amount
        FROM chained c WHERE c.lost AND g.account_id = c.account_id AND g.grant_id = c.grant_id
    ), saved AS (
        UPDATE ledger.accounts a
        SET balance = c.balance_after, seq = c.seq, head = c.hash, version = a.version + 1, waiting = c.waiting,
            due_at = least(c.due_at, CASE WHEN a.holds > 0 THEN (
                SELECT min(h.expires_at) FROM ledger.holds h WHERE h.account_id = a.account_id AND h.state = 'open') END),
            booked_at = CASE WHEN c.seq > c.seq_before THEN c.moment ELSE a.booked_at END
        FROM chained c WHERE p_save AND c.is_last AND a.account_id = c.account_id
    ), written AS (
        INSERT INTO ledger.entries (
            account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts, about_seq,
            description, actor, occurred_at, booked_at, hash)
        SELECT c.account_id, c.seq, 'expire', -c.amount, c.balance_after, c.debt, ARRAY[c.grant_id], ARRAY[-c.amount],
               c.grant_id, c.description, 'ledger', c.expires_at, c.moment, c.hash
        FROM chained c WHERE c.lost
    )
    SELECT count(*) FILTER (WHERE c.lost), coalesce(array_agg(c.account_id) FILTER (WHERE c.is_last), '{}')
    INTO entries, v_done FROM chained c;

    FOR v_id IN SELECT unnest(p_account_ids) EXCEPT SELECT unnest(v_done) LOOP
        SELECT * INTO STRICT v_account FROM ledger.accounts WHERE account_id = v_id;
        v_seq := v_account.seq;
        v_account := ledger.book_due(v_account, greatest(p_now, v_account.booked_at));
        PERFORM ledger.save(v_account);
        entries := entries + v_account.seq - v_seq;
    END LOOP;
END
$$;

-- One chunk of the sweep over all accounts: up to p_limit of those that are due, fewer when they have very many open
-- grants. They are locked together before the first is looked at, so sweeps at the same time take different ones. What
-- somebody else has locked is left out: its next write books the same facts. Nobody is waited for, so the order of
-- locking is free: the longest due come first.
CREATE OR REPLACE FUNCTION ledger.expire_due(p_limit integer DEFAULT 500, OUT account_ids bigint[], OUT entries bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    most_grants CONSTANT bigint := 20000;
    v_now timestamptz := ledger.now();
BEGIN
    SELECT coalesce(array_agg(d.account_id), '{}') INTO account_ids
    FROM (SELECT account_id FROM ledger.accounts WHERE due_at <= v_now ORDER BY due_at LIMIT p_limit
          FOR NO KEY UPDATE SKIP LOCKED) d;
    entries := 0;
    IF account_ids = '{}' THEN
        RETURN;
    END IF;
    v_now := ledger.now();
    SELECT array_agg(c.account_id) INTO account_ids
    FROM (SELECT u.account_id, sum(g.open) OVER (ORDER BY u.place) - g.open AS earlier
          FROM unnest(account_ids) WITH ORDINALITY u (account_id, place)
          CROSS JOIN LATERAL (
              SELECT count(*) AS open FROM ledger.grants g WHERE g.account_id = u.account_id AND g.open) g) c
    WHERE c.earlier < most_grants;
    entries := ledger.expire_locked(account_ids, v_now);
END
$$;
