"""The next periods of many entitlements: what `grant_next` does to each, in a handful of statements for all.

Python reckons with time zones and money; all that follows from the rows is put together by PostgreSQL itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from webapp import ledger, outbox
from webapp.billing.carrying_over import carry_over_around_all
from webapp.billing.entitlement import EntitlementPayment, granted_at
from webapp.billing.period_grant import share_of_life
from webapp.billing.plan_order import PlanOrder
from webapp.billing.plan_reversals import follow_up
from webapp.billing.stripe_api import mode
from webapp.catalog.periods import period_start
from webapp.ledger.array_text import array_text

log = structlog.get_logger()

ACTOR = "plan"
# The columns of entitlements that are read here.
NEEDED = (
    "id", "account_id", "kind", "order_id", "credits_per_month", "anchor_at", "time_zone", "ends_at", "next_period",
    "next_at", "paid_periods",
)  # fmt: skip


@dataclass(kw_only=True, slots=True)
class _Due:
    """One entitlement's next period: when it ends, what it is given, and what that cost."""

    entitlement: Any
    number: int
    ends_at: datetime
    credits: int
    cost_minor: int = 0
    currency: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Entitlements by their ids: whose period is done, and whose the ledger refused."""

    done: set[int]
    refused: set[int]


def grant_next_of_all(session: Session, *, entitlements: Sequence[Row[Any]], skip: bool, now: datetime) -> Outcome:
    """The next period of each has its credits, and the one after it is next.

    The entitlements are rows of their table with the columns NEEDED, locked by the caller and of different accounts.
    With `skip`, a period of a free plan that is over by `now` is done without credits. What the ledger refuses is
    logged and stays due, and harms no other. Locks the accounts in the order of their ids.
    """
    due = [_next_of(one, skip=skip, now=now) for one in entitlements]
    _find_costs(session, due)
    known, refused = _grant(session, due, now=now)
    fresh = [one for one in due if one.entitlement.id not in known and one.entitlement.id not in refused]
    if fresh:
        given = {
            "ids": array_text([one.entitlement.id for one in fresh]),
            "numbers": array_text([one.number for one in fresh]),
        }
        carry_over_around_all(session, given=given, actor=ACTOR)
        outbox.put_selected(session, job="send_mail", rows=_MAILS, given={**given, "now": now}, most=len(fresh))
        _follow_up(session, fresh)
    return Outcome(done={one.entitlement.id for one in due} - refused, refused=refused)


def _next_of(entitlement: Row[Any], *, skip: bool, now: datetime) -> _Due:
    number = entitlement.next_period
    ends_at = period_start(entitlement.anchor_at, number + 1, entitlement.time_zone)
    passed_over = skip and entitlement.kind == "free" and ends_at <= now
    credits = 0 if passed_over else entitlement.credits_per_month
    return _Due(entitlement=entitlement, number=number, ends_at=ends_at, credits=credits)


def _find_costs(session: Session, due: Sequence[_Due]) -> None:
    """Each has its share of what was paid for a year or for life; nothing where nothing was."""
    orders = [one.entitlement.order_id for one in due if one.entitlement.kind == "lifetime"]
    if orders:
        found = {order.id: order for order in session.scalars(select(PlanOrder).where(PlanOrder.id.in_(orders)))}
        for one in due:
            if one.entitlement.kind == "lifetime":
                assert one.entitlement.order_id is not None
                one.cost_minor, one.currency = share_of_life(found[one.entitlement.order_id], one.number)
    years = {one.entitlement.id: one for one in due if one.entitlement.kind not in ("lifetime", "free")}
    if years:
        paid = select(EntitlementPayment).where(EntitlementPayment.entitlement_id.in_(years))
        for payment in session.scalars(paid):
            one = years[payment.entitlement_id]
            if 0 <= one.number - payment.first_period < payment.periods:
                one.cost_minor, one.currency = payment.share(one.number), payment.currency


# ---------------------------------------------------------------- the terms, as `period_grant` has them for one

_EXPIRES_AT = (
    "CASE e.expiry WHEN 'period' THEN {period}.ends_at"
    " WHEN 'days' THEN {period}.starts_at + make_interval(hours => 24 * e.expiry_days) END"
)
# Every period that is due, with the columns that the ledger wants of a grant. `item` is null where nothing is granted:
# no credits, or a period that somebody has granted before.
_LINES = f"""
lines AS MATERIALIZED (
    SELECT l.*, CASE WHEN l.gives THEN count(*) FILTER (WHERE l.gives) OVER (ORDER BY l.place) END AS item,
           CASE WHEN l.kind IN ('monthly', 'yearly') THEN 'subscription' ELSE 'plan' END AS source, '{ACTOR}' AS actor,
           'grant:' || l.id || ':' || l.number AS source_key,
           CASE WHEN l.starts_at < :now THEN l.starts_at END AS occurred_at,
           CASE WHEN l.cost_minor > 0 THEN l.currency END AS cost_currency,
           format('{{"plan": %s, "entitlement": %s, "period": %s, "cause": "%s"}}', to_json(l.plan), l.id, l.number,
                  CASE WHEN l.trial THEN 'trial' ELSE 'month' END) AS metadata,
           NULL::timestamptz AS effective_at, NULL::text AS reference, NULL::text AS idempotency_key,
           NULL::bigint AS about_seq
    FROM (
        SELECT u.*, p.known, u.amount > 0 AND NOT p.known AS gives, e.account_id, e.subscription_id, e.kind, e.trial,
               e.plan, e.plan_name AS description, e.rollover_cap, e.grant_priority AS priority,
               e.next_period AS number,
               {_EXPIRES_AT.format(period="u")} AS expires_at,
               CASE WHEN e.features IS NOT NULL
                    THEN ARRAY(SELECT DISTINCT f COLLATE "C" FROM unnest(e.features) f ORDER BY 1) END AS features
        FROM unnest(
            CAST(:ids AS bigint[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]),
            CAST(:nexts AS timestamptz[]), CAST(:amounts AS bigint[]), CAST(:costs AS bigint[]),
            CAST(:currencies AS text[]))
            WITH ORDINALITY u (id, starts_at, ends_at, next_at, amount, cost_minor, currency, place)
        JOIN entitlements e ON e.id = u.id
        CROSS JOIN LATERAL (
            SELECT EXISTS (
                SELECT FROM entitlement_periods p WHERE p.entitlement_id = e.id AND p.number = e.next_period) AS known
            OFFSET 0) p
    ) l
)"""  # noqa: S608 - put together from constants
_GRANT = text(f"""
WITH {_LINES}, given AS MATERIALIZED (
    {ledger.grants_of("(SELECT * FROM lines WHERE item IS NOT NULL) q")}
), done AS MATERIALIZED (
    SELECT l.*, g.refusal, g.message, g.detail, g.seq FROM lines l LEFT JOIN given g ON g.item = l.item
), kept AS (
    INSERT INTO entitlement_periods (entitlement_id, number, account_id, subscription_id, starts_at, ends_at, credits,
                                     rollover_cap, grant_id, cost_minor, currency, granted_at)
    SELECT id, number, account_id, subscription_id, starts_at, ends_at, amount, rollover_cap, seq, cost_minor, currency,
           :now
    FROM done WHERE refusal IS NULL AND NOT known
), moved AS (
    UPDATE entitlements e SET next_period = d.number + 1, next_at = d.next_at
    FROM done d WHERE e.id = d.id AND d.refusal IS NULL
)
SELECT id, number, known, refusal, message, detail FROM done WHERE known OR refusal IS NOT NULL
""")  # noqa: S608 - put together from constants


def _grant(session: Session, due: Sequence[_Due], *, now: datetime) -> tuple[set[int], set[int]]:
    """The periods are granted and kept, and the next one is next; returns whose was known before, and whose refused."""
    given = {
        "ids": array_text([one.entitlement.id for one in due]),
        "starts": array_text([one.entitlement.next_at for one in due]),
        "ends": array_text([one.ends_at for one in due]),
        "nexts": array_text([granted_at(one.entitlement, one.number + 1, one.ends_at) for one in due]),
        "amounts": array_text([one.credits for one in due]),
        "costs": array_text([one.cost_minor for one in due]),
        "currencies": array_text([one.currency for one in due]),
        "now": now,
    }
    ledger.note_changes(session, [one.entitlement.account_id for one in due])
    known, refused = set(), set()
    for row in session.execute(_GRANT, given):
        if row.refusal is None:
            known.add(row.id)
        else:
            refused.add(row.id)
            reason = str(ledger.refusal_for(row.refusal, row.message, row.detail))
            log.error("period_refused", entitlement=row.id, period=row.number, reason=reason)
    return known, refused


# What `mail_about` says, and of whom it is silent.
_MAILS = f"""
SELECT 'credits-granted:' || p.account_id || ':' || p.grant_id AS key,
       jsonb_build_object('mail', 'credits_granted', 'user_id', e.user_id, 'account_id', p.account_id,
                          'grants', jsonb_build_array(jsonb_build_array(p.grant_id, p.credits))) AS args
FROM unnest(CAST(:ids AS bigint[]), CAST(:numbers AS integer[])) u (id, number)
JOIN entitlement_periods p ON p.entitlement_id = u.id AND p.number = u.number
JOIN entitlements e ON e.id = u.id
WHERE p.grant_id IS NOT NULL AND e.user_id IS NOT NULL AND p.number > 0
  AND ({_EXPIRES_AT.format(period="p")} <= :now) IS NOT TRUE
"""  # noqa: S608 - put together from constants

_REVERSED = text("""
SELECT DISTINCT account_id FROM plan_reversals
WHERE account_id = ANY (CAST(:accounts AS bigint[])) AND mode = :mode ORDER BY account_id
""")


def _follow_up(session: Session, due: Sequence[_Due]) -> None:
    """Where a payment of the account's has gone back before, the new grant loses its share, too."""
    given = {"accounts": array_text([one.entitlement.account_id for one in due]), "mode": mode()}
    for account_id in session.execute(_REVERSED, given).scalars().all():
        follow_up(session, account_id=account_id)
