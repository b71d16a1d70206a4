DROP VIEW IF EXISTS ledger.violations_v;

-- Every lie that SQL alone can see, account by account. `flask ledger verify` adds the burn order and the seals.
CREATE VIEW ledger.violations_v AS
WITH sums AS (
    SELECT a.account_id, a.balance, a.held, a.debt, a.seq, a.head, a.due_at,
           e.amount AS entry_amount, e.entries, e.highest, e.debt_after, e.hash,
           g.remaining AS grant_remaining, g.held AS grant_held, g.due_at AS grant_due_at
    FROM ledger.accounts a
    LEFT JOIN LATERAL (
        SELECT coalesce(sum(amount), 0) AS amount, count(*) AS entries, coalesce(max(seq), 0) AS highest,
               (array_agg(debt_after ORDER BY seq DESC))[1] AS debt_after, (array_agg(hash ORDER BY seq DESC))[1] AS hash
        FROM ledger.entries WHERE account_id = a.account_id) e ON true
    LEFT JOIN LATERAL (
        SELECT coalesce(sum(remaining), 0) AS remaining, coalesce(sum(held), 0) AS held,
               min(expires_at) FILTER (WHERE remaining > held) AS due_at
        FROM ledger.grants WHERE account_id = a.account_id) g ON true
), chained AS (
    SELECT e.*, lag(seq, 1, 0::bigint) OVER w AS last_seq, lag(balance_after, 1, 0::bigint) OVER w AS last_balance,
           lag(debt_after, 1, 0::bigint) OVER w AS last_debt, lag(booked_at) OVER w AS last_booked_at,
           lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER w AS last_hash,
           (SELECT coalesce(sum(n), 0) FROM unnest(drawn_amounts) n) AS drawn
    FROM ledger.entries e WINDOW w AS (PARTITION BY account_id ORDER BY seq)
), drawn AS (
    SELECT account_id, grant_id, sum(amount) AS amount FROM ledger.draws_v GROUP BY account_id, grant_id
)
SELECT 1 AS invariant, account_id, format('balance %s, but its entries sum to %s', balance, entry_amount) AS detail
FROM sums WHERE balance <> entry_amount
UNION ALL
SELECT 1, account_id, format('balance %s, but its grants have %s left and it owes %s', balance, grant_remaining, debt)
FROM sums WHERE balance <> grant_remaining - debt
UNION ALL
SELECT 1, account_id, format('held %s, but its grants hold %s', held, grant_held) FROM sums WHERE held <> grant_held
UNION ALL
SELECT 2, g.account_id, format('grant %s has %s left, but its draws sum to %s', g.grant_id, g.remaining,
                               coalesce(d.amount, 0))
FROM ledger.grants g LEFT JOIN drawn d ON d.account_id = g.account_id AND d.grant_id = g.grant_id
WHERE g.remaining <> coalesce(d.amount, 0)
UNION ALL
SELECT 2, d.account_id, format('entries draw from grant %s, which does not exist', d.grant_id)
FROM drawn d LEFT JOIN ledger.grants g ON g.account_id = d.account_id AND g.grant_id = d.grant_id
WHERE g.grant_id IS NULL
UNION ALL
SELECT 2, g.account_id, format('grant %s of %s has no entry of that amount', g.grant_id, g.amount)
FROM ledger.grants g
LEFT JOIN ledger.entries e ON e.account_id = g.account_id AND e.seq = g.grant_id AND e.kind IN ('grant', 'purchase')
WHERE e.amount IS DISTINCT FROM g.amount
UNION ALL
SELECT 3, account_id, format('entry %s of %s draws %s and changes the debt by %s', seq, amount, drawn,
                             debt_after - last_debt)
FROM chained WHERE amount <> drawn - (debt_after - last_debt)
UNION ALL
SELECT 4, account_id, format('entry %s follows entry %s', seq, last_seq) FROM chained WHERE seq <> last_seq + 1
UNION ALL
SELECT 4, account_id, format('entry %s of %s takes the balance from %s to %s', seq, amount, last_balance, balance_after)
FROM chained WHERE balance_after <> last_balance + amount
UNION ALL
SELECT 4, account_id, format('entry %s was booked before entry %s', seq, last_seq)
FROM chained WHERE booked_at < last_booked_at
UNION ALL
SELECT 4, account_id, format('the account is at entry %s with debt %s, its history at entry %s with debt %s', seq, debt,
                             highest, coalesce(debt_after, 0))
FROM sums WHERE seq <> highest OR debt <> coalesce(debt_after, 0)
UNION ALL
SELECT 4, account_id, 'the head of the hash chain is not the hash of its newest entry'
FROM sums WHERE head <> coalesce(hash, decode(repeat('00', 32), 'hex'))
UNION ALL
SELECT 4, c.account_id, format('the hash of entry %s is not that of its content', c.seq)
FROM chained c JOIN ledger.entries e ON e.account_id = c.account_id AND e.seq = c.seq
WHERE e.hash <> sha256(c.last_hash || ledger.entry_content(e))
UNION ALL
SELECT 5, e.account_id, format('entry %s draws from grant %s, which could not pay for it', e.seq, g.grant_id)
FROM ledger.entries e
JOIN ledger.draws_v d ON d.account_id = e.account_id AND d.seq = e.seq
JOIN ledger.grants g ON g.account_id = d.account_id AND g.grant_id = d.grant_id
WHERE e.kind = 'spend'
  AND (g.expires_at <= e.booked_at OR g.effective_at > e.booked_at OR g.grant_id > e.seq OR d.amount >= 0
       OR (g.features IS NOT NULL AND NOT coalesce(e.feature = ANY (g.features), false)))
UNION ALL
SELECT 6, e.account_id, format('entry %s expires other than one grant that had expired', e.seq)
FROM ledger.entries e
LEFT JOIN ledger.grants g ON g.account_id = e.account_id AND g.grant_id = e.drawn_grants[1]
WHERE e.kind = 'expire'
  AND (cardinality(e.drawn_grants) <> 1 OR g.expires_at IS NULL OR g.expires_at > e.occurred_at)
UNION ALL
SELECT 11, account_id, format('what expired at %s is not booked an hour later', grant_due_at)
FROM sums WHERE grant_due_at < ledger.now() - interval '1 hour'
UNION ALL
SELECT 11, account_id, format('the sweep would not find what expires at %s', grant_due_at)
FROM sums WHERE grant_due_at IS NOT NULL AND (due_at IS NULL OR due_at > grant_due_at)
UNION ALL
SELECT 4, e.account_id, 'entries of an account that does not exist'
FROM (SELECT DISTINCT account_id FROM ledger.entries) e
LEFT JOIN ledger.accounts a ON a.account_id = e.account_id WHERE a.account_id IS NULL
UNION ALL
SELECT 12, NULL, format('the application''s role may write %s', c.relname)
FROM pg_catalog.pg_class c
WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'p')
  AND has_table_privilege('tallystick_app', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
UNION ALL
SELECT 12, NULL, 'the application''s role owns ' || c.relname
FROM pg_catalog.pg_class c
WHERE c.relnamespace = 'ledger'::regnamespace AND pg_has_role('tallystick_app', c.relowner, 'MEMBER');
