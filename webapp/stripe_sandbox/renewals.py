"""What time does to subscriptions: trials and periods end, first payments never come.

https://docs.stripe.com/billing/subscriptions/overview#subscription-lifecycle
"""

from webapp.stripe_sandbox.collecting import method_for
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.invoicing import void
from webapp.stripe_sandbox.store import Store, Stored
from webapp.stripe_sandbox.subscribing import start_next_period
from webapp.stripe_sandbox.subscription_objects import (
    DAY,
    ENDED,
    INCOMPLETE_SECONDS,
    change_subscription,
    end_subscription,
    period_of,
    plan_next,
)


def do_due(store: Store, subscription: Stored) -> None:
    """The next thing that was due has happened, and the one after it is planned."""
    data, now = subscription.data, store.timestamp
    if data["status"] in ENDED:
        subscription.due_at = None
        store.save(subscription)
    elif data["status"] == "incomplete" and now >= data["created"] + INCOMPLETE_SECONDS:
        _give_up(store, subscription)
    elif data["cancel_at"] is not None and now >= data["cancel_at"]:
        end_subscription(store, subscription, reason=None)
    elif now >= period_of(data)[1]:
        _end_period(store, subscription)
    elif data["status"] == "trialing" and now >= data["trial_end"] - 3 * DAY:
        subscription.private["trial_told"] = True
        emit(store, type="customer.subscription.trial_will_end", object=data)
        plan_next(store, subscription)
    else:
        plan_next(store, subscription)


def _end_period(store: Store, subscription: Stored) -> None:
    data = subscription.data
    if data["status"] == "trialing" and _no_method(store, subscription):
        verdict = data["trial_settings"]["end_behavior"]["missing_payment_method"]
        if verdict == "cancel":
            end_subscription(store, subscription, reason="cancellation_requested")
            return
        if verdict == "pause":
            change_subscription(store, subscription, {"status": "paused"}, told=False)
            emit(store, type="customer.subscription.paused", object=data, previous={"status": "trialing"})
            return
    start_next_period(store, subscription)


def _no_method(store: Store, subscription: Stored) -> bool:
    wanted = {"default_payment_method": None, "customer": subscription.data["customer"]}
    return method_for(store, wanted, subscription) is None


def _give_up(store: Store, subscription: Stored) -> None:
    """The first payment did not come within 23 hours: nothing is owed, and the subscription is over."""
    subscription.data["ended_at"] = store.timestamp
    change_subscription(store, subscription, {"status": "incomplete_expired"})
    invoice = store.lock("invoice", subscription.data["latest_invoice"])
    if invoice is not None and invoice.data["status"] == "open":
        void(store, invoice)
