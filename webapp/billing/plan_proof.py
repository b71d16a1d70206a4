"""The invariants of plans: each is a query that returns no row. Numbers 7 and 8 of the ledger's list."""

from sqlalchemy import text

# Two periods of one entitlement that overlap, or whose grant is not the one that the ledger has.
PERIODS_OVERLAP = text(
    """
    SELECT 7 AS invariant, p.account_id,
           format('entitlement %s: periods %s and %s overlap', p.entitlement_id, p.number, q.number) AS detail
    FROM entitlement_periods p
    JOIN entitlement_periods q ON q.entitlement_id = p.entitlement_id AND q.number > p.number
                              AND q.starts_at < p.ends_at
    WHERE CAST(:account_id AS bigint) IS NULL OR p.account_id = :account_id
    """
)
PERIODS_DIFFER_FROM_GRANTS = text(
    """
    SELECT 8 AS invariant, p.account_id,
           format('entitlement %s, period %s: the ledger has %s credits in grant %s instead of %s in %s',
                  p.entitlement_id, p.number, g.amount, g.grant_id, p.credits, p.grant_id) AS detail
    FROM entitlement_periods p
    LEFT JOIN ledger.grants_v g ON g.account_id = p.account_id
                               AND g.source_key = 'grant:' || p.entitlement_id || ':' || p.number
    WHERE (CAST(:account_id AS bigint) IS NULL OR p.account_id = :account_id)
      AND (g.grant_id, coalesce(g.amount, 0)) IS DISTINCT FROM (p.grant_id, p.credits)
    """
)
# Money for a month or a year of a plan that was granted nothing.
PAID_WITHOUT_PERIOD = text(
    """
    SELECT 8 AS invariant, i.account_id,
           format('invoice %s (%s) is paid and applied, and nothing was granted for it',
                  i.stripe_invoice_id, i.billing_reason) AS detail
    FROM subscription_invoices i
    WHERE (CAST(:account_id AS bigint) IS NULL OR i.account_id = :account_id)
      AND i.applied_at IS NOT NULL AND i.billing_reason IN ('subscription_create', 'subscription_cycle')
      AND NOT EXISTS (SELECT FROM entitlement_periods p WHERE p.stripe_invoice_id = i.stripe_invoice_id)
      AND NOT EXISTS (SELECT FROM entitlement_payments y WHERE y.stripe_invoice_id = i.stripe_invoice_id)
    """
)
QUERIES = (PERIODS_OVERLAP, PERIODS_DIFFER_FROM_GRANTS, PAID_WITHOUT_PERIOD)
