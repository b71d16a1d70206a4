"""Changes that wait for their payment: made when their invoice is paid, forgotten after 23 hours.

https://docs.stripe.com/billing/subscriptions/pending-updates
"""

from datetime import UTC, datetime
from typing import Any

from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.store import Store, Stored
from webapp.stripe_sandbox.subscription_objects import change_subscription

SECONDS = 23 * 3_600


def note_pending(store: Store, subscription: Stored, invoice: Stored, *, changes: dict[str, Any]) -> None:
    """The `changes` wait for the invoice to be paid; what waited before is forgotten."""
    expires_at = store.timestamp + SECONDS
    subscription.private["pending"] = {"invoice": invoice.id, "changes": changes}
    update = {
        "billing_cycle_anchor": changes["billing_cycle_anchor"],
        "cancel_at_period_end": changes.get("cancel_at_period_end"),
        "discount": None,
        "discounts": None,
        "expires_at": expires_at,
        "metadata": None,
        "subscription_items": changes["items"]["data"],
        "trial_end": None,
        "trial_from_plan": None,
    }
    change_subscription(store, subscription, {"pending_update": update})


def waits_for(subscription: Stored | None, invoice: Stored) -> bool:
    """Whether a change of the subscription waits for this invoice."""
    return subscription is not None and subscription.private.get("pending", {}).get("invoice") == invoice.id


def expiry_of(subscription: Stored) -> datetime:
    """When the change that waits is forgotten."""
    return datetime.fromtimestamp(subscription.data["pending_update"]["expires_at"], UTC)


def apply_pending(store: Store, subscription: Stored) -> None:
    """The change that waited is made."""
    changes = subscription.private.pop("pending")["changes"]
    change_subscription(store, subscription, {**changes, "pending_update": None})
    emit(store, type="customer.subscription.pending_update_applied", object=subscription.data)


def forget_pending(store: Store, subscription: Stored) -> None:
    """The change that waited will not be made; its invoice is the caller's to void."""
    del subscription.private["pending"]
    change_subscription(store, subscription, {"pending_update": None})
    emit(store, type="customer.subscription.pending_update_expired", object=subscription.data)
