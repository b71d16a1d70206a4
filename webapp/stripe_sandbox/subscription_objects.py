"""Subscriptions and their items as objects, and the one way in which a subscription changes.

https://docs.stripe.com/api/subscriptions/object
"""

from datetime import UTC, datetime
from typing import Any

from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.operations import merge_metadata
from webapp.stripe_sandbox.page import list_object
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "subscription"
ITEM = "subscription_item"
DAY = 86_400
INCOMPLETE_SECONDS = 23 * 3_600
ENDED = ("canceled", "incomplete_expired")


def new_subscription(
    store: Store,
    *,
    customer: str,
    items: list[dict[str, Any]],
    asked: dict[str, Any],
    trial_end: int | None,
    anchor: int,
) -> dict[str, Any]:
    """The object, as yet written nowhere; `items` are subscription items with their periods."""
    id = items[0]["subscription"]
    settings = {"end_behavior": {"missing_payment_method": "create_invoice"}}
    return {
        "id": id,
        "object": TYPE,
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": asked.get("automatic_tax", {}).get("enabled", False),
            "liability": None,
        },
        "billing_cycle_anchor": anchor,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"type": "classic", "flexible": None},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": store.timestamp,
        "currency": items[0]["price"]["currency"],
        "customer": customer,
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": asked.get("default_payment_method"),
        "default_source": None,
        "default_tax_rates": [],
        "description": asked.get("description"),
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "items": list_object(items, url=f"/v1/subscription_items?subscription={id}"),
        "latest_invoice": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": merge_metadata({}, asked.get("metadata", {})),
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        }
        | asked.get("payment_settings", {}),
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": store.timestamp,
        "status": "trialing" if trial_end else "incomplete",
        "test_clock": None,
        "transfer_data": None,
        "trial_end": trial_end,
        "trial_settings": settings | asked.get("trial_settings", {}),
        "trial_start": store.timestamp if trial_end else None,
    }


def new_item(
    store: Store,
    *,
    subscription: str,
    price: dict[str, Any],
    quantity: int,
    period: tuple[int, int],
    metadata: dict[str, str] | None = None,
) -> dict[str, Any]:
    return {
        "id": new_id("si", length=14),
        "object": ITEM,
        "billing_thresholds": None,
        "created": store.timestamp,
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": [],
        "metadata": merge_metadata({}, metadata or {}),
        "plan": plan_of(price),
        "price": snapshot(price),
        "quantity": quantity,
        "subscription": subscription,
        "tax_rates": [],
    }


def plan_of(price: dict[str, Any]) -> dict[str, Any]:
    """The same price as the older object, which subscription items still show."""
    recurring = price["recurring"]
    same = ("active", "billing_scheme", "created", "currency", "id", "livemode", "metadata", "nickname", "product")
    return {key: snapshot(price)[key] for key in same} | {
        "object": "plan",
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "meter": None,
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": recurring["trial_period_days"],
        "usage_type": recurring["usage_type"],
    }


def items_of(subscription: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = subscription["items"]["data"]
    return items


def period_of(subscription: dict[str, Any]) -> tuple[int, int]:
    first = items_of(subscription)[0]
    return first["current_period_start"], first["current_period_end"]


def recurring_of(subscription: dict[str, Any]) -> dict[str, Any]:
    recurring: dict[str, Any] = items_of(subscription)[0]["price"]["recurring"]
    return recurring


def change_subscription(store: Store, subscription: Stored, changes: dict[str, Any], *, told: bool = True) -> None:
    """The subscription is as `changes` say, `customer.subscription.updated` tells so where that is new, and
    the next thing that time does to it is planned. It is locked."""
    previous = {key: subscription.data[key] for key, value in changes.items() if subscription.data[key] != value}
    previous = snapshot(previous)
    subscription.data |= snapshot(changes)
    plan_next(store, subscription)
    if previous and told:
        emit(store, type="customer.subscription.updated", object=subscription.data, previous=previous)


def end_subscription(
    store: Store, subscription: Stored, *, reason: str | None, details: dict[str, Any] | None = None
) -> None:
    """Canceled for good, now; `customer.subscription.deleted` tells so."""
    data = subscription.data
    data["status"] = "canceled"
    data["canceled_at"] = data["canceled_at"] or store.timestamp
    data["ended_at"] = store.timestamp
    known = {key: value for key, value in (details or {}).items() if value is not None}
    data["cancellation_details"] |= {"reason": reason or data["cancellation_details"]["reason"]} | known
    subscription.due_at = None
    store.save(subscription)
    emit(store, type="customer.subscription.deleted", object=data)


def plan_next(store: Store, subscription: Stored) -> None:
    """`due_at` is the next moment at which time changes the subscription; saved."""
    data = subscription.data
    moments: list[int] = []
    if data["status"] == "incomplete":
        moments.append(data["created"] + INCOMPLETE_SECONDS)
    elif data["status"] not in (*ENDED, "paused"):
        moments.append(period_of(data)[1])
        if data["cancel_at"] is not None:
            moments.append(data["cancel_at"])
        if data["status"] == "trialing" and not subscription.private.get("trial_told"):
            moments.append(max(store.timestamp, data["trial_end"] - 3 * DAY))
    subscription.due_at = datetime.fromtimestamp(min(moments), UTC) if moments else None
    store.save(subscription)
