"""Asking Stripe unprompted, for the purchases whose events never came."""

from collections import Counter
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import clock, outbox
from webapp.billing.fulfilment import settle_purchase
from webapp.billing.purchase import Purchase, list_since, next_check
from webapp.billing.stripe_api import mode
from webapp.database import unit_of_work

JOB = "fulfil_purchase"


def check_open_purchases(session: Session, *, limit: int = 200) -> int:
    """Put the purchases to work whose time to ask Stripe has come; returns how many. One bounded chunk.

    Two at once share them (SKIP LOCKED); each purchase's next time is set here, so that it is asked about after
    2, 4, 8 … minutes and then hourly until it is settled.
    """
    moment = clock.now()
    due = session.scalars(
        select(Purchase)
        .where(Purchase.check_at <= moment, Purchase.mode == mode())
        .order_by(Purchase.check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for purchase in due:
        purchase.checks += 1
        purchase.check_at = next_check(now=moment, checks=purchase.checks)
        outbox.put(
            session,
            job=JOB,
            key=f"check-purchase:{purchase.id}:{purchase.checks}",
            args={"purchase_id": purchase.id},
        )
    return len(due)


def reconcile(*, since: datetime) -> Counter[str]:
    """Every purchase made since then stands as its payment stands at Stripe now; how many are in which state.

    Each is a unit of work of its own: what was done stays done when Stripe goes away in between. For the command
    line.
    """
    states: Counter[str] = Counter()
    after = 0
    while True:
        with unit_of_work() as session:
            page = [row.id for row in list_since(session, since=since, mode=mode(), after=after, limit=200)]
        if not page:
            return states
        for purchase_id in page:
            with unit_of_work() as session:
                states[settle_purchase(session, purchase_id=purchase_id).state] += 1
        after = page[-1]
