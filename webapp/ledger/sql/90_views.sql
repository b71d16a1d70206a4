-- What the application and an auditor may read. The columns that docs promise come first.

DROP VIEW IF EXISTS ledger.violations_v, ledger.trial_balance_v, ledger.postings_v, ledger.draws_v,
    ledger.entries_v, ledger.grants_v, ledger.accounts_v, ledger.hold_draws_v, ledger.holds_v, ledger.freezes_v,
    ledger.sealed_heads_v, ledger.seals_v;

-- The name comes from account_ids, whose key finds it; by account_id alone that table is not even looked at.
CREATE VIEW ledger.accounts_v AS
SELECT a.account_id, i.external_id, a.balance, a.held, a.debt, a.seq, a.kind, a.name, a.time_zone, a.spend_order,
       a.overdraft_limit, a.metadata, a.created_at, a.version, a.head, a.booked_at, a.due_at, a.waiting, a.holds
FROM ledger.accounts a LEFT JOIN ledger.account_ids i ON i.account_id = a.account_id;

CREATE VIEW ledger.grants_v AS
SELECT account_id, grant_id, source, source_key, amount, remaining, held, priority, effective_at, expires_at, frozen,
       repaid, expired, revoked, revoked_taken, revoked_as_debt, burn_rank, features, cost_minor, cost_currency,
       description, fingerprint, open
FROM ledger.grants;

CREATE VIEW ledger.entries_v AS
SELECT account_id, seq, kind, amount, balance_after, debt_after, idempotency_key, feature, occurred_at, booked_at,
       hash, drawn_grants, drawn_amounts, about_seq, quantity, description, reference, metadata, pricing,
       fingerprint, actor, hold_number
FROM ledger.entries;

CREATE VIEW ledger.draws_v AS
SELECT e.account_id, e.seq, d.grant_id, d.amount, d.position
FROM ledger.entries e,
     unnest(e.drawn_grants, e.drawn_amounts) WITH ORDINALITY AS d (grant_id, amount, position);

-- Holds as they are booked: one whose expires_at has passed may still be called open.
CREATE VIEW ledger.holds_v AS
SELECT h.account_id, a.external_id || ':h' || h.number AS hold_id, h.amount, h.state, h.captured, h.expires_at,
       h.number, h.drawn_grants, h.drawn_amounts, h.feature, h.quantity, h.description, h.reference, h.metadata,
       h.pricing, h.idempotency_key, h.actor, h.placed_at, h.placed_after, h.placed_version, h.closed_at,
       h.closed_after, h.closed_version, h.closed_by, h.closing_key
FROM ledger.holds h JOIN ledger.accounts a ON a.account_id = h.account_id;

-- The slices that a hold pins, or pinned until it ended.
CREATE VIEW ledger.hold_draws_v AS
SELECT h.hold_id, h.account_id, d.grant_id, d.amount, h.state, h.number, d.position
FROM ledger.holds_v h,
     unnest(h.drawn_grants, h.drawn_amounts) WITH ORDINALITY AS d (grant_id, amount, position);

CREATE VIEW ledger.freezes_v AS
SELECT account_id, number, grant_id, reference, reason, actor, frozen_at, frozen_after, frozen_version, unfrozen_at,
       unfrozen_after, unfrozen_version, unfrozen_by
FROM ledger.freezes;

-- Double entry: each entry moves credits between its account and the house account that its kind implies. A grant that
-- is about another one carries on what that one lost to time.
CREATE VIEW ledger.postings_v AS
SELECT e.account_id, e.seq, p.ledger_account, p.amount
FROM ledger.entries e
CROSS JOIN LATERAL (
    VALUES ('account', e.amount),
           (CASE e.kind WHEN 'purchase' THEN 'sales'
                        WHEN 'grant' THEN CASE WHEN e.about_seq IS NULL THEN 'promotions' ELSE 'rollover' END
                        WHEN 'spend' THEN 'usage' WHEN 'refund' THEN 'usage' WHEN 'expire' THEN 'breakage'
                        ELSE 'refunds' END, -e.amount)
) AS p (ledger_account, amount);

-- The house accounts by what the entries say, against what the accounts have: the rows sum to zero, always.
CREATE VIEW ledger.trial_balance_v AS
SELECT ledger_account, sum(amount)::bigint AS balance
FROM ledger.postings_v WHERE ledger_account <> 'account' GROUP BY ledger_account
UNION ALL
SELECT 'grants', coalesce(sum(remaining), 0)::bigint FROM ledger.grants
UNION ALL
SELECT 'debt', coalesce(sum(-debt), 0)::bigint FROM ledger.accounts;

CREATE VIEW ledger.seals_v AS
SELECT number, sealed_at, accounts, digest, previous, hmac, key_id FROM ledger.seals;

CREATE VIEW ledger.sealed_heads_v AS
SELECT account_id, number, seq, head FROM ledger.sealed_heads;
