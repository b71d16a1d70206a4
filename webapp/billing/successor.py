"""The plan that follows a subscription which has ended, as its holder wanted."""

from typing import Any

from sqlalchemy.orm import Session

from webapp.billing.following import follow_subscription
from webapp.billing.free_plan import HasBetterPlan, start_free
from webapp.billing.holder import holder_of
from webapp.billing.stripe_api import calling, client
from webapp.billing.stripe_price import ensure_price
from webapp.billing.subscription import Subscription, find_subscription
from webapp.catalog.plan import Plan


def begin_successor(session: Session, *, subscription_id: int) -> None:
    """The plan that was to follow an ended subscription has begun, once: a free one, or a subscription of its own.

    Stripe is asked under a key, and with a name, that tell which one it follows: a repetition finds what was made. It
    is paid by the same payment method; where the bank refuses, it waits for a payment. Raises PaymentsUnavailable.
    """
    ended = session.get_one(Subscription, subscription_id)
    if ended.pending_plan is None or ended.successor_id is not None or not ended.has_ended:
        return
    plan = session.get_one(Plan, ended.pending_plan)
    if plan.kind == "free":
        try:
            with session.begin_nested():
                holder = holder_of(session, account_id=ended.account_id, external_id=ended.external_id)
                start_free(session, plan=plan, user=holder, mode=ended.mode)
        except HasBetterPlan:
            pass  # they have chosen something else meanwhile
        ended.successor_id = "free"
        return
    price_minor = plan.price_minor(ended.currency)
    assert price_minor is not None, "a preview has found it"
    price_id = ensure_price(session, plan=plan, price_minor=price_minor, currency=ended.currency, mode=ended.mode)
    params: dict[str, Any] = {
        "customer": ended.stripe_customer_id,
        "items": [{"price": price_id}],
        "off_session": True,
        "metadata": {"after": ended.stripe_subscription_id},
    }
    if ended.stripe_payment_method_id is not None:
        params["default_payment_method"] = ended.stripe_payment_method_id
    stripe_id = _made_before(ended) or _make(ended, params)
    follow_subscription(session, stripe_id=stripe_id)
    locked = find_subscription(session, stripe_id=ended.stripe_subscription_id, lock=True)
    assert locked is not None
    locked.successor_id = stripe_id


def _made_before(ended: Subscription) -> str | None:
    """The one that was asked for already, and whose answer never reached us: Stripe keeps its key for a day only."""
    with calling("list subscriptions"):
        found = client().v1.subscriptions.list(
            params={"customer": ended.stripe_customer_id, "status": "all", "limit": 100}
        )
    for one in found.data:
        if one.metadata and "after" in one.metadata and one.metadata["after"] == ended.stripe_subscription_id:
            return one.id
    return None


def _make(ended: Subscription, params: dict[str, Any]) -> str:
    with calling("create subscription"):
        made = client().v1.subscriptions.create(
            params=params,  # type: ignore[arg-type]
            options={"idempotency_key": f"after:{ended.stripe_subscription_id}"},
        )
    return made.id
