"""The next periods of many entitlements: what `grant_next` does to each, in a handful of statements for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from webapp import ledger, outbox
from webapp.billing.carrying_over import NewPeriod, carry_over_around_all
from webapp.billing.entitlement import EntitlementPayment, granted_at
from webapp.billing.period_grant import grant_terms, mail_about, share_of_life
from webapp.billing.plan_order import PlanOrder
from webapp.billing.plan_reversals import follow_up
from webapp.billing.stripe_api import mode
from webapp.catalog.periods import Period, period_start
from webapp.ledger.array_text import array_text

log = structlog.get_logger()

ACTOR = "plan"


@dataclass(kw_only=True, slots=True)
class _Due:
    """One entitlement's next period, and what becomes of it: `grant_id` when it was given something."""

    entitlement: Any
    period: Period
    credits: int
    cost_minor: int = 0
    currency: str | None = None
    grant_id: int | None = None
    refused: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Entitlements by their ids: whose period is done, and whose the ledger refused."""

    done: set[int]
    refused: set[int]


def grant_next_of_all(session: Session, *, entitlements: Sequence[Row[Any]], skip: bool, now: datetime) -> Outcome:
    """The next period of each has its credits, and the one after it is next.

    The entitlements are rows of their table, locked by the caller and of different accounts. With `skip`, a period
    of a free plan that is over by `now` is done without credits. What the ledger refuses is logged and stays due, and
    harms no other. Locks the accounts in the order of their ids.
    """
    due = [_next_of(one, skip=skip, now=now) for one in entitlements]
    fresh = _without_known(session, due)
    _find_costs(session, fresh)
    ledger.expire_accounts(session, account_ids=[one.entitlement.account_id for one in fresh])
    _grant(session, fresh, now=now)
    fresh = [one for one in fresh if not one.refused]
    if fresh:
        _insert_periods(session, fresh, now=now)
        carry_over_around_all(session, rows=[_new_period(one) for one in fresh], actor=ACTOR)
        _tell(session, fresh, now=now)
        _follow_up(session, fresh)
    done = [one for one in due if not one.refused]
    _set_next(session, done)
    return Outcome(
        done={one.entitlement.id for one in done}, refused={one.entitlement.id for one in due if one.refused}
    )


def _next_of(entitlement: Row[Any], *, skip: bool, now: datetime) -> _Due:
    ends_at = period_start(entitlement.anchor_at, entitlement.next_period + 1, entitlement.time_zone)
    found = Period(number=entitlement.next_period, starts_at=entitlement.next_at, ends_at=ends_at)
    passed_over = skip and entitlement.kind == "free" and found.ends_at <= now
    return _Due(entitlement=entitlement, period=found, credits=0 if passed_over else entitlement.credits_per_month)


_KNOWN = text("""
SELECT p.entitlement_id FROM unnest(CAST(:ids AS bigint[]), CAST(:numbers AS integer[])) u (id, number)
JOIN entitlement_periods p ON p.entitlement_id = u.id AND p.number = u.number
""")


def _without_known(session: Session, due: Sequence[_Due]) -> list[_Due]:
    """Those whose period nobody has granted before."""
    given = {
        "ids": array_text([one.entitlement.id for one in due]),
        "numbers": array_text([one.period.number for one in due]),
    }
    known = set(session.execute(_KNOWN, given).scalars())
    return [one for one in due if one.entitlement.id not in known]


def _find_costs(session: Session, due: Sequence[_Due]) -> None:
    """Each has its share of what was paid for a year or for life; nothing where nothing was, or where it is skipped."""
    orders = [one.entitlement.order_id for one in due if one.entitlement.kind == "lifetime"]
    if orders:
        found = {order.id: order for order in session.scalars(select(PlanOrder).where(PlanOrder.id.in_(orders)))}
        for one in due:
            if one.entitlement.kind == "lifetime":
                assert one.entitlement.order_id is not None
                one.cost_minor, one.currency = share_of_life(found[one.entitlement.order_id], one.period.number)
    years = {one.entitlement.id: one for one in due if one.entitlement.kind not in ("lifetime", "free")}
    if years:
        paid = select(EntitlementPayment).where(EntitlementPayment.entitlement_id.in_(years))
        for payment in session.scalars(paid):
            one = years[payment.entitlement_id]
            if 0 <= one.period.number - payment.first_period < payment.periods:
                one.cost_minor, one.currency = payment.share(one.period.number), payment.currency


def _grant(session: Session, due: Sequence[_Due], *, now: datetime) -> None:
    giving = [one for one in due if one.credits > 0]
    items = [
        ledger.GrantItem(
            actor=ACTOR,
            **grant_terms(
                one.entitlement,
                one.period,
                amount=one.credits,
                cause="trial" if one.entitlement.trial else "month",
                cost_minor=one.cost_minor,
                currency=one.currency,
                counts_from=one.period.starts_at,
                now=now,
            ),
        )
        for one in giving
    ]
    for one, outcome in zip(giving, ledger.grant_ids_of_many(session, items=items), strict=True):
        if isinstance(outcome, ledger.LedgerRefusal):
            one.refused = True
            log.error("period_refused", entitlement=one.entitlement.id, period=one.period.number, reason=str(outcome))
        else:
            one.grant_id = outcome


_INSERT = text("""
INSERT INTO entitlement_periods (entitlement_id, number, account_id, subscription_id, starts_at, ends_at, credits,
                                 rollover_cap, grant_id, cost_minor, currency, granted_at)
SELECT u.*, :now FROM unnest(
    CAST(:ids AS bigint[]), CAST(:numbers AS integer[]), CAST(:accounts AS bigint[]), CAST(:subscriptions AS bigint[]),
    CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]), CAST(:credits AS bigint[]), CAST(:caps AS bigint[]),
    CAST(:grants AS bigint[]), CAST(:costs AS bigint[]), CAST(:currencies AS text[])) u
""")


def _insert_periods(session: Session, due: Sequence[_Due], *, now: datetime) -> None:
    given = {
        "ids": array_text([one.entitlement.id for one in due]),
        "numbers": array_text([one.period.number for one in due]),
        "accounts": array_text([one.entitlement.account_id for one in due]),
        "subscriptions": array_text([one.entitlement.subscription_id for one in due]),
        "starts": array_text([one.period.starts_at for one in due]),
        "ends": array_text([one.period.ends_at for one in due]),
        "credits": array_text([one.credits for one in due]),
        "caps": array_text([one.entitlement.rollover_cap for one in due]),
        "grants": array_text([one.grant_id for one in due]),
        "costs": array_text([one.cost_minor for one in due]),
        "currencies": array_text([one.currency for one in due]),
        "now": now,
    }
    session.execute(_INSERT, given)


def _new_period(one: _Due) -> NewPeriod:
    return NewPeriod(
        entitlement_id=one.entitlement.id,
        number=one.period.number,
        account_id=one.entitlement.account_id,
        subscription_id=one.entitlement.subscription_id,
        starts_at=one.period.starts_at,
        ends_at=one.period.ends_at,
    )


def _tell(session: Session, due: Sequence[_Due], *, now: datetime) -> None:
    told = [
        mail_about(one.entitlement, one.period, grant_id=one.grant_id, credits=one.credits, now=now)
        for one in due
        if one.grant_id is not None
    ]
    outbox.put_many(session, job="send_mail", rows=[mail for mail in told if mail is not None])


_REVERSED = text("""
SELECT DISTINCT account_id FROM plan_reversals
WHERE account_id = ANY (CAST(:accounts AS bigint[])) AND mode = :mode ORDER BY account_id
""")


def _follow_up(session: Session, due: Sequence[_Due]) -> None:
    """Where a payment of the account's has gone back before, the new grant loses its share, too."""
    given = {"accounts": array_text([one.entitlement.account_id for one in due]), "mode": mode()}
    for account_id in session.execute(_REVERSED, given).scalars().all():
        follow_up(session, account_id=account_id)


_SET_NEXT = text("""
UPDATE entitlements e SET next_period = u.number, next_at = u.at
FROM unnest(CAST(:ids AS bigint[]), CAST(:numbers AS integer[]), CAST(:ats AS timestamptz[])) u (id, number, at)
WHERE e.id = u.id
""")


def _set_next(session: Session, due: Sequence[_Due]) -> None:
    """`Entitlement.set_next` for all of them, in one statement."""
    given = {
        "ids": array_text([one.entitlement.id for one in due]),
        "numbers": array_text([one.period.number + 1 for one in due]),
        "ats": array_text([granted_at(one.entitlement, one.period.number + 1, one.period.ends_at) for one in due]),
    }
    session.execute(_SET_NEXT, given)
