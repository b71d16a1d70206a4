-- Every lie that SQL alone can see, account by account: empty when all is right. `flask ledger verify` plays the
-- histories again besides, and adds the burn order, the seals' keys and what is outside the ledger.
-- Each part below goes over one table once; with account_id = … each reads that account's rows alone, by their keys.

DROP VIEW IF EXISTS ledger.violations_v;

CREATE VIEW ledger.violations_v AS
-- What accounts keep, beside what it is the sum of.
SELECT v.invariant, a.account_id, v.detail
FROM ledger.accounts a
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount), 0) AS amount FROM ledger.entries WHERE account_id = a.account_id) e
LEFT JOIN LATERAL (
    SELECT seq, debt_after, hash FROM ledger.entries WHERE account_id = a.account_id ORDER BY seq DESC LIMIT 1) l ON true
CROSS JOIN LATERAL (
    SELECT coalesce(sum(remaining), 0) AS remaining, coalesce(sum(held), 0) AS held, coalesce(bool_or(frozen), false) AS frozen,
           min(expires_at) FILTER (WHERE remaining > held) AS due_at
    FROM ledger.grants WHERE account_id = a.account_id AND (remaining > 0 OR held > 0)) g
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount) FILTER (WHERE state = 'open'), 0) AS held, count(*) AS placed,
           min(expires_at) FILTER (WHERE state = 'open') AS due_at
    FROM ledger.holds WHERE account_id = a.account_id) h
CROSS JOIN LATERAL (
    VALUES
    (1, CASE WHEN a.balance <> e.amount
        THEN format('balance %s, but its entries sum to %s', a.balance, e.amount) END),
    (1, CASE WHEN a.balance <> g.remaining - a.debt
        THEN format('balance %s, but its grants have %s left and it owes %s', a.balance, g.remaining, a.debt) END),
    (1, CASE WHEN a.held <> g.held OR a.held <> h.held
        THEN format('held %s, but its grants hold %s and its open holds %s', a.held, g.held, h.held) END),
    (4, CASE WHEN (a.seq, a.debt) <> (coalesce(l.seq, 0), coalesce(l.debt_after, 0))
        THEN format('at entry %s with debt %s, but its history is at entry %s with debt %s', a.seq, a.debt,
                    coalesce(l.seq, 0), coalesce(l.debt_after, 0)) END),
    (4, CASE WHEN a.head <> coalesce(l.hash, decode(repeat('00', 32), 'hex'))
        THEN 'the head of the hash chain is not the hash of its newest entry' END),
    (9, CASE WHEN a.holds <> h.placed THEN format('%s holds were placed, but %s are there', a.holds, h.placed) END),
    (11, CASE WHEN least(g.due_at, h.due_at) < ledger.now() - interval '1 hour'
         THEN format('what ended at %s is not booked an hour later', least(g.due_at, h.due_at)) END),
    (11, CASE WHEN least(g.due_at, h.due_at) < coalesce(a.due_at, 'infinity')
         THEN format('the sweep would not find what ends at %s', least(g.due_at, h.due_at)) END),
    (11, CASE WHEN g.frozen AND NOT a.waiting THEN 'a frozen grant is counted as available' END)
) AS v (invariant, detail)
WHERE v.detail IS NOT NULL
UNION ALL
-- What grants keep, beside the draws, the holds and the freezes of them.
SELECT v.invariant, g.account_id, format('grant %s: ', g.grant_id) || v.detail
FROM ledger.grants g
LEFT JOIN ledger.entries e ON e.account_id = g.account_id AND e.seq = g.grant_id AND e.kind IN ('grant', 'purchase')
LEFT JOIN (
    SELECT e.account_id, d.grant_id, sum(d.amount) AS amount,
           sum(-d.amount) FILTER (WHERE e.kind = 'expire') AS expired
    FROM ledger.entries e, unnest(e.drawn_grants, e.drawn_amounts) AS d (grant_id, amount)
    GROUP BY e.account_id, d.grant_id) d ON d.account_id = g.account_id AND d.grant_id = g.grant_id
LEFT JOIN (
    SELECT account_id, about_seq, sum(-amount) AS amount FROM ledger.entries
    WHERE kind IN ('revoke', 'restore') AND about_seq IS NOT NULL
    GROUP BY account_id, about_seq) r ON r.account_id = g.account_id AND r.about_seq = g.grant_id
LEFT JOIN (
    SELECT h.account_id, s.grant_id, sum(s.amount) AS amount
    FROM ledger.holds h, unnest(h.drawn_grants, h.drawn_amounts) AS s (grant_id, amount)
    WHERE h.state = 'open' GROUP BY h.account_id, s.grant_id) h ON h.account_id = g.account_id AND h.grant_id = g.grant_id
LEFT JOIN (
    SELECT account_id, grant_id FROM ledger.freezes WHERE unfrozen_at IS NULL GROUP BY account_id, grant_id
) f ON f.account_id = g.account_id AND f.grant_id = g.grant_id
CROSS JOIN LATERAL (
    VALUES
    (2, CASE WHEN e.amount IS DISTINCT FROM g.amount THEN format('no entry made %s credits', g.amount) END),
    (2, CASE WHEN g.remaining <> coalesce(d.amount, 0)
        THEN format('%s left, but its draws sum to %s', g.remaining, coalesce(d.amount, 0)) END),
    (2, CASE WHEN NOT (0 <= g.held AND g.held <= g.remaining AND g.remaining <= g.amount) OR g.open <> (g.remaining > 0)
        THEN format('%s held of %s left of %s, open: %s', g.held, g.remaining, g.amount, g.open) END),
    (2, CASE WHEN g.held <> coalesce(h.amount, 0)
        THEN format('%s held, but open holds pin %s', g.held, coalesce(h.amount, 0)) END),
    (5, CASE WHEN g.frozen <> (f.grant_id IS NOT NULL) THEN format('frozen: %s, but its freezes differ', g.frozen) END),
    (8, CASE WHEN g.revoked_taken + g.revoked_as_debt <> coalesce(r.amount, 0)
        THEN format('%s revoked, but its entries say %s', g.revoked_taken + g.revoked_as_debt, coalesce(r.amount, 0)) END),
    (8, CASE WHEN NOT (g.revoked_taken + g.revoked_as_debt <= g.revoked AND g.revoked <= g.amount)
        THEN format('%s revoked towards %s of %s', g.revoked_taken + g.revoked_as_debt, g.revoked, g.amount) END),
    (10, CASE WHEN g.expired <> coalesce(d.expired, 0)
         THEN format('%s expired, but its entries say %s', g.expired, coalesce(d.expired, 0)) END)
) AS v (invariant, detail)
WHERE v.detail IS NOT NULL
UNION ALL
-- Each entry after the one before it.
SELECT v.invariant, c.account_id, format('entry %s: ', c.seq) || v.detail
FROM (
    SELECT e AS entry, e.account_id, e.seq, e.kind, e.amount, e.balance_after, e.debt_after, e.occurred_at, e.booked_at,
           e.hash, lag(seq, 1, 0::bigint) OVER w AS last_seq, lag(balance_after, 1, 0::bigint) OVER w AS last_balance,
           lag(debt_after, 1, 0::bigint) OVER w AS last_debt, lag(booked_at) OVER w AS last_booked_at,
           lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER w AS last_hash,
           (SELECT coalesce(sum(n), 0) FROM unnest(drawn_amounts) n) AS drawn
    FROM ledger.entries e WINDOW w AS (PARTITION BY account_id ORDER BY seq)) c
CROSS JOIN LATERAL (
    VALUES
    (3, CASE WHEN c.amount <> c.drawn - (c.debt_after - c.last_debt)
        THEN format('%s credits, but draws %s and changes the debt by %s', c.amount, c.drawn, c.debt_after - c.last_debt) END),
    (4, CASE WHEN c.seq <> c.last_seq + 1 THEN format('follows entry %s', c.last_seq) END),
    (4, CASE WHEN c.balance_after <> c.last_balance + c.amount
        THEN format('%s credits take the balance from %s to %s', c.amount, c.last_balance, c.balance_after) END),
    (4, CASE WHEN c.booked_at < c.last_booked_at OR c.occurred_at > c.booked_at
        THEN format('occurred %s, booked %s after %s', c.occurred_at, c.booked_at, c.last_booked_at) END),
    (4, CASE WHEN c.hash <> sha256(c.last_hash || ledger.entry_content(c.entry))
        THEN 'its hash is not that of its content' END)
) AS v (invariant, detail)
WHERE v.detail IS NOT NULL
UNION ALL
-- Each draw: of a grant that exists; of a spend, of one that could pay then; of an expiry, of one that had expired.
-- What a hold had reserved may be captured whatever has become of its grant.
SELECT v.invariant, e.account_id, format('entry %s: ', e.seq) || v.detail
FROM ledger.entries e
CROSS JOIN LATERAL unnest(e.drawn_grants, e.drawn_amounts) AS d (grant_id, amount)
LEFT JOIN ledger.grants g ON g.account_id = e.account_id AND g.grant_id = d.grant_id
CROSS JOIN LATERAL (
    VALUES
    (2, CASE WHEN g.grant_id IS NULL OR g.grant_id > e.seq
        THEN format('draws from grant %s, which did not exist', d.grant_id) END),
    (5, CASE WHEN e.kind = 'spend' AND (
            d.amount >= 0 OR e.hold_number IS NULL AND (
                g.expires_at <= e.booked_at OR g.effective_at > e.booked_at
                OR (g.features IS NOT NULL AND NOT coalesce(e.feature = ANY (g.features), false))))
        THEN format('draws from grant %s, which could not pay for it', d.grant_id) END),
    (6, CASE WHEN e.kind = 'expire' AND (cardinality(e.drawn_grants) <> 1 OR g.expires_at IS NULL
                                         OR g.expires_at > e.occurred_at OR d.amount <> e.amount)
        THEN 'expires other than what one grant had lost' END)
) AS v (invariant, detail)
WHERE v.detail IS NOT NULL
UNION ALL
SELECT 5, e.account_id, format('entry %s: draws from grant %s, which was frozen for %s', e.seq, f.grant_id, f.reference)
FROM ledger.freezes f
JOIN ledger.entries e ON e.account_id = f.account_id AND e.seq > f.frozen_after
    AND e.seq <= coalesce(f.unfrozen_after, 9223372036854775807)
WHERE e.kind = 'spend' AND e.hold_number IS NULL AND f.grant_id = ANY (e.drawn_grants)
UNION ALL
-- Each hold: exactly one outcome, and all its credits either captured or returned.
SELECT v.invariant, h.account_id, format('hold %s: ', h.number) || v.detail
FROM ledger.holds h
LEFT JOIN ledger.entries e ON e.account_id = h.account_id AND e.seq = h.closed_after AND e.hold_number = h.number
CROSS JOIN LATERAL (
    VALUES
    (2, CASE WHEN cardinality(h.drawn_grants) <> cardinality(h.drawn_amounts)
             OR h.amount <> (SELECT coalesce(sum(n), 0) FROM unnest(h.drawn_amounts) n)
             OR 0 >= ANY (h.drawn_amounts)
        THEN format('holds %s, but its slices are %s', h.amount, h.drawn_amounts) END),
    (9, CASE WHEN h.captured <> CASE WHEN h.state = 'captured' THEN least(h.amount, -e.amount) ELSE 0 END
             OR (h.state = 'captured' AND e.kind IS DISTINCT FROM 'spend')
        THEN format('%s with %s captured, but its spend took %s', h.state, h.captured, coalesce(-e.amount, 0)) END),
    (9, CASE WHEN (h.state = 'open') <> (h.closed_at IS NULL)
             OR (h.state = 'lapsed') <> coalesce(h.closed_at = h.expires_at, false) OR h.closed_at > h.expires_at
             OR h.closed_at < h.placed_at
        THEN format('%s at %s, but it was there from %s to %s', h.state, h.closed_at, h.placed_at, h.expires_at) END)
) AS v (invariant, detail)
WHERE v.detail IS NOT NULL
UNION ALL
SELECT 9, e.account_id, format('entry %s: captures hold %s, which says otherwise', e.seq, e.hold_number)
FROM ledger.entries e
LEFT JOIN ledger.holds h ON h.account_id = e.account_id AND h.number = e.hold_number
WHERE e.hold_number IS NOT NULL AND (h.state, h.closed_after) IS DISTINCT FROM ('captured', e.seq)
UNION ALL
SELECT 7, h.account_id, format('entry %s: its key %s names hold %s too', e.seq, e.idempotency_key, h.number)
FROM ledger.holds h
JOIN ledger.entries e ON e.account_id = h.account_id AND e.idempotency_key IN (h.idempotency_key, h.closing_key)
UNION ALL
SELECT 4, h.account_id, format('entry %s: is not what seal %s covers', h.seq, h.number)
FROM ledger.sealed_heads h LEFT JOIN ledger.entries e ON e.account_id = h.account_id AND e.seq = h.seq
WHERE e.hash IS DISTINCT FROM h.head
UNION ALL
SELECT 4, e.account_id, 'entries of an account that does not exist'
FROM (SELECT DISTINCT account_id FROM ledger.entries) e
LEFT JOIN ledger.accounts a ON a.account_id = e.account_id WHERE a.account_id IS NULL
UNION ALL
-- Who may write.
SELECT 12, NULL, format('the application''s role may write %s', c.relname)
FROM pg_catalog.pg_class c
WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'p')
  AND has_table_privilege('tallystick_app', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
UNION ALL
SELECT 12, NULL, 'the application''s role owns ' || c.relname
FROM pg_catalog.pg_class c
WHERE c.relnamespace = 'ledger'::regnamespace AND pg_has_role('tallystick_app', c.relowner, 'MEMBER');
