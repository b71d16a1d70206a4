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

    Stripe is asked under a key that names the ended one, so that a repetition gets the same subscription. It is paid
    by the same payment method; where the bank refuses, it waits for a payment. Raises PaymentsUnavailable.
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
    with calling("create subscription"):
        made = client().v1.subscriptions.create(
            params=params,  # type: ignore[arg-type]
            options={"idempotency_key": f"after:{ended.stripe_subscription_id}"},
        )
    follow_subscription(session, stripe_id=made.id)
    locked = find_subscription(session, stripe_id=ended.stripe_subscription_id, lock=True)
    assert locked is not None
    locked.successor_id = made.id
