"""The invariants between what was paid and what the ledger holds: each is a query that returns no row.

Numbers 8 and 11 of the ledger's list are about the application's tables, which the ledger does not know; so are its
reports.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from webapp import clock
from webapp.billing import plan_proof, report_proof
from webapp.database import sqlalchemy_url
from webapp.ledger.proof.facts import Finding

# Retries take about an hour; what is a day old and not parked was forgotten.
UNDONE_LIMIT = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Violation:
    """`invariant` is its number in the ledger's list; `detail` says what is wrong where."""

    invariant: int
    account_id: int | None
    detail: str


_PAID_BUT_NOT_GRANTED = text(
    """
    SELECT 8 AS invariant, p.account_id,
           format('purchase %s: granted %s credits in %s grants instead of %s, revoked %s instead of %s,'
                  ' at a cost of %s instead of %s',
                  p.id, g.amount, g.grants, p.credits, g.revoked, t.target, g.cost, p.paid_minor - p.tax_minor)
               AS detail
    FROM purchases p
    CROSS JOIN LATERAL (
        SELECT count(*) AS grants, coalesce(sum(v.amount), 0) AS amount, coalesce(sum(v.revoked), 0) AS revoked,
               coalesce(min(v.grant_id), 0) AS grant_id, coalesce(sum(v.cost_minor), 0) AS cost
        FROM ledger.grants_v v
        WHERE v.account_id = p.account_id AND v.source_key = 'purchase:' || p.id
    ) g
    CROSS JOIN LATERAL (
        SELECT CASE WHEN p.paid_minor > 0
               THEN div(2 * p.credits::numeric * (p.refunded_minor + p.lost_minor) + p.paid_minor, 2 * p.paid_minor)
               ELSE 0 END AS target
    ) t
    WHERE (CAST(:account_id AS bigint) IS NULL OR p.account_id = :account_id)
      AND CASE WHEN p.state = 'fulfilled'
               THEN (g.grants, g.amount, g.grant_id, g.revoked, g.cost)
                    IS DISTINCT FROM (1, p.credits, p.grant_id, t.target, p.paid_minor - p.tax_minor)
               ELSE g.grants <> 0 END
    """
)
# What was refunded or lost is what the refunds and disputes on record come to, and open disputes freeze the grant.
_MONEY_GONE_ASTRAY = text(
    """
    SELECT 8 AS invariant, p.account_id,
           format('purchase %s: refunded %s and lost %s instead of %s and %s, %s disputes open but %s freezes',
                  p.id, p.refunded_minor, p.lost_minor, r.minor, l.minor, d.frozen, f.freezes) AS detail
    FROM purchases p
    CROSS JOIN LATERAL (
        SELECT least(coalesce(sum(amount_minor), 0), p.paid_minor) AS minor FROM refunds
        WHERE purchase_id = p.id AND state NOT IN ('new', 'refused', 'failed', 'canceled')
    ) r
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE state IN ('open', 'parked')) AS frozen,
               coalesce(sum(amount_minor) FILTER (WHERE state = 'lost'), 0) AS minor
        FROM disputes WHERE purchase_id = p.id
    ) d
    CROSS JOIN LATERAL (SELECT least(d.minor, p.paid_minor - r.minor) AS minor) l
    CROSS JOIN LATERAL (
        SELECT count(*) AS freezes FROM ledger.freezes_v v JOIN disputes s ON s.stripe_dispute_id = v.reference
        WHERE v.account_id = p.account_id AND v.grant_id = p.grant_id AND v.unfrozen_at IS NULL
          AND s.purchase_id = p.id AND s.state IN ('open', 'parked')
    ) f
    WHERE (CAST(:account_id AS bigint) IS NULL OR p.account_id = :account_id) AND p.state = 'fulfilled'
      AND (p.refunded_minor, p.lost_minor, d.frozen) <> (r.minor, l.minor, f.freezes)
    """
)
# A grant that says it was bought has its purchase, and that purchase knows it.
_GRANTED_BUT_NOT_PAID = text(
    """
    SELECT 8 AS invariant, v.account_id,
           format('grant %s of %s credits says %s, and no such purchase has it', v.grant_id, v.amount, v.source_key)
               AS detail
    FROM ledger.grants_v v
    WHERE (CAST(:account_id AS bigint) IS NULL OR v.account_id = :account_id)
      AND v.source = 'purchase' AND v.source_key ~ '^purchase:[0-9]{1,18}$'
      AND NOT EXISTS (
          SELECT 1 FROM purchases p
          WHERE p.id = CAST(substring(v.source_key FROM 10) AS bigint) AND p.account_id = v.account_id
            AND p.grant_id = v.grant_id AND p.state = 'fulfilled')
    """
)
# Of a payment for a plan that went back, each grant that it made has lost its share, what it handed on included.
_PLAN_MONEY_GONE_ASTRAY = text(
    """
    SELECT 8 AS invariant, r.account_id,
           format('payment %s: %s of %s went back, and grant %s has %s of %s credits revoked instead of %s',
                  r.stripe_payment_intent_id, r.refunded_minor + r.lost_minor, r.price_minor, g.grant_id,
                  g.revoked + coalesce(c.revoked, 0), g.amount, t.target) AS detail
    FROM plan_reversals r
    JOIN entitlement_periods p ON p.account_id = r.account_id
    JOIN entitlements e ON e.id = p.entitlement_id
    JOIN ledger.grants_v g ON g.account_id = p.account_id AND g.grant_id = p.grant_id
    LEFT JOIN ledger.grants_v c ON c.account_id = p.account_id AND c.grant_id = p.rolled_into
    CROSS JOIN LATERAL (
        SELECT div(2 * g.amount::numeric * (r.refunded_minor + r.lost_minor) + r.price_minor, 2 * r.price_minor)
               AS target
    ) t
    WHERE (CAST(:account_id AS bigint) IS NULL OR r.account_id = :account_id)
      AND g.revoked + coalesce(c.revoked, 0) <> t.target
      AND (EXISTS (
              SELECT 1 FROM subscription_invoices i
              LEFT JOIN entitlement_payments y
                  ON y.stripe_invoice_id = i.stripe_invoice_id AND y.entitlement_id = p.entitlement_id
                  AND p.number >= y.first_period AND p.number < y.first_period + y.periods
              WHERE i.stripe_payment_intent_id = r.stripe_payment_intent_id
                AND (i.stripe_invoice_id = p.stripe_invoice_id OR y.entitlement_id IS NOT NULL))
           OR e.kind = 'lifetime' AND EXISTS (
              SELECT 1 FROM plan_orders o
              WHERE o.id = e.order_id AND o.stripe_payment_intent_id = r.stripe_payment_intent_id))
    """
)
_LEFT_UNDONE = text(
    """
    SELECT 11 AS invariant, CAST(NULL AS bigint) AS account_id, format('outbox %s (%s) is overdue', id, job) AS detail
    FROM outbox WHERE done_at IS NULL AND parked_at IS NULL AND created_at < :limit
    UNION ALL
    SELECT 11, NULL, format('Stripe event %s (%s) is unhandled', id, type)
    FROM stripe_events WHERE state = 'received' AND received_at < :limit
    UNION ALL
    SELECT 11, account_id, format('usage event %s is not charged', id)
    FROM usage_events WHERE state = 'pending' AND since < :limit
    """
)


def violations(session: Session, *, undone_since: datetime, account_id: int | None = None) -> list[Violation]:
    """What breaks invariants 7, 8, 10 and 11: nothing, in order.

    What is unfinished and neither parked nor younger than `undone_since` breaks the latter. With `account_id` only
    that account's purchases and plans are looked at, and nothing of the rest.
    """
    rows = list(session.execute(_PAID_BUT_NOT_GRANTED, {"account_id": account_id}).mappings())
    for query in (_GRANTED_BUT_NOT_PAID, _MONEY_GONE_ASTRAY, _PLAN_MONEY_GONE_ASTRAY):
        rows += session.execute(query, {"account_id": account_id}).mappings()
    for query in plan_proof.QUERIES:
        rows += session.execute(query, {"account_id": account_id}).mappings()
    if account_id is None:
        rows += session.execute(_LEFT_UNDONE, {"limit": undone_since}).mappings()
        rows += session.execute(report_proof.OFF_THE_ENTRIES).mappings()
    return [Violation(**row) for row in rows]


def findings(url: str, *, account_id: int | None = None) -> list[Finding]:
    """`violations` in the words of the ledger's proof, read through `url`: the owner's, whose statements may last."""
    engine = create_engine(sqlalchemy_url(url))
    try:
        with Session(engine) as session:
            found = violations(session, undone_since=clock.now() - UNDONE_LIMIT, account_id=account_id)
    finally:
        engine.dispose()
    return [Finding(invariant=v.invariant, account_id=v.account_id, seq=None, detail=v.detail) for v in found]
