"""Asking Stripe unprompted about subscriptions whose period has ended and of which nothing was heard."""

from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import clock, outbox
from webapp.billing.following import NotOurs, Unexplained, follow_subscription
from webapp.billing.stripe_api import mode
from webapp.billing.subscription import Subscription

log = structlog.get_logger()

JOB = "follow_subscription"
EVERY = timedelta(days=1)


def check_subscriptions(session: Session, *, limit: int) -> int:
    """Put the subscriptions to work that should have renewed or ended by now; returns how many. One bounded chunk.

    Two at once share them (SKIP LOCKED). Following a subscription sets when to look next; where that fails it is
    looked at again a day later.
    """
    moment = clock.now()
    due = session.scalars(
        select(Subscription)
        .where(Subscription.check_at <= moment, Subscription.mode == mode())
        .order_by(Subscription.check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for subscription in due:
        subscription.check_at = moment + EVERY
        key = f"check-subscription:{subscription.id}:{moment:%Y-%m-%dT%H:%M:%S}"
        outbox.put(session, job=JOB, key=key, args={"subscription_id": subscription.id})
    return len(due)


def look_at_subscription(session: Session, *, subscription_id: int) -> None:
    """The subscription stands as it stands at Stripe, whether or not an event came. Raises PaymentsUnavailable."""
    known = session.get_one(Subscription, subscription_id)
    try:
        with session.begin_nested():
            follow_subscription(session, stripe_id=known.stripe_subscription_id)
    except (NotOurs, Unexplained) as error:
        log.error("subscription_unexplained", subscription=subscription_id, reason=str(error))
