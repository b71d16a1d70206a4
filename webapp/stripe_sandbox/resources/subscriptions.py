"""Subscriptions: https://docs.stripe.com/api/subscriptions"""

from typing import Any

from webapp.stripe_sandbox.discounts import choose_discounts, start_discounts
from webapp.stripe_sandbox.errors import exclusive_params, invalid, missing_param, no_such, refused
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.operations import (
    EXPAND,
    Call,
    Operation,
    chosen,
    create,
    delete,
    found,
    list_of,
    merge_metadata,
    retrieve,
)
from webapp.stripe_sandbox.page import list_page, page_of
from webapp.stripe_sandbox.params import one_of, range_of_time
from webapp.stripe_sandbox.price_amounts import amount_of
from webapp.stripe_sandbox.proration import plan_change, price_for
from webapp.stripe_sandbox.resources.customers import ON_DELETE, require_customer
from webapp.stripe_sandbox.resources.subscription_params import CANCEL, CREATE, ID, UPDATE
from webapp.stripe_sandbox.store import Store, Stored, snapshot
from webapp.stripe_sandbox.subscribing import apply_change, bill, collect_first, open_subscription, start_next_period
from webapp.stripe_sandbox.subscription_objects import (
    DAY,
    ENDED,
    TYPE,
    change_subscription,
    end_subscription,
    items_of,
    period_of,
)

STATUSES = ("active", "canceled", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid")
PLAIN = ("automatic_tax", "default_payment_method", "description", "payment_settings", "trial_settings")


def _create(call: Call) -> dict[str, Any]:
    params, store = call.params, call.store
    customer = require_customer(store, params["customer"])
    if not params.get("items"):
        raise missing_param("items")
    if "default_payment_method" in params:
        _require_own(store, params["default_payment_method"], customer.id)
    currency = params.get("currency")
    prices = [
        (price_for(store, item, param=f"items[{place}]", currency=currency), item.get("quantity", 1))
        for place, item in enumerate(params["items"])
    ]
    if len({price["currency"] for price, _quantity in prices}) > 1:
        raise invalid("All prices of a subscription must have the same currency.", param="items")
    amount = sum(amount_of(price, quantity=quantity) for price, quantity in prices)
    discounts = choose_discounts(
        store, params.get("discounts", []), customer=customer.id, amount=amount, currency=prices[0][0]["currency"]
    )
    subscription, invoice = open_subscription(
        store,
        customer=customer.id,
        prices=prices,
        asked=params,
        trial_end=trial_end_of(store, params),
        discounts=discounts,
    )
    behavior = params.get("payment_behavior", "allow_incomplete")
    collect_first(store, subscription, invoice, behavior=behavior, off_session=params.get("off_session", False))
    ending = _ending(store, subscription, params)
    if ending:
        change_subscription(store, subscription, ending)
    return subscription.data


def trial_end_of(store: Store, params: dict[str, Any]) -> int | None:
    """When the asked trial ends; None without one. Raises StripeError for two answers, or one in the past."""
    days, end = params.get("trial_period_days"), params.get("trial_end")
    if days is not None and end is not None:
        raise exclusive_params("trial_end", "trial_period_days")
    if days is not None:
        return int(store.timestamp + days * DAY)
    if end in (None, "now"):
        return None
    if end <= store.timestamp:
        raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", param="trial_end")
    return int(end)


def _update(call: Call) -> dict[str, Any]:
    subscription = found(call, type=TYPE, param="id", lock=True)
    params, store = call.params, call.store
    _require_running(subscription, param="id")
    if "default_payment_method" in params:
        _require_own(store, params["default_payment_method"], subscription.data["customer"])
    other = _other_changes(store, subscription, params)
    behavior = params.get("proration_behavior", "create_prorations")
    if not {"items", "billing_cycle_anchor", "trial_end"} & params.keys():
        change_subscription(store, subscription, other)
        return subscription.data
    change = plan_change(
        store,
        subscription.data,
        asked=params.get("items"),
        prorates=behavior != "none",
        at=params.get("proration_date"),
        restart=params.get("billing_cycle_anchor") == "now",
        trial_end=params.get("trial_end"),
    )
    apply_change(
        store,
        subscription,
        change,
        invoices_now=behavior == "always_invoice",
        other=other,
        behavior=params.get("payment_behavior", "allow_incomplete"),
        off_session=params.get("off_session", False),
    )
    return subscription.data


def _other_changes(store: Store, subscription: Stored, params: dict[str, Any]) -> dict[str, Any]:
    data = subscription.data
    changes = {
        key: data[key] | params[key] if isinstance(params[key], dict) else params[key] for key in PLAIN if key in params
    }
    if "metadata" in params:
        changes["metadata"] = merge_metadata(data["metadata"], params["metadata"])
    if "discounts" in params:
        wanted = choose_discounts(
            store, params["discounts"], customer=data["customer"], amount=10**9, currency=data["currency"]
        )
        changes["discounts"] = start_discounts(store, wanted, customer=data["customer"], subscription=subscription.id)
    return changes | _ending(store, subscription, params)


def _ending(store: Store, subscription: Stored, params: dict[str, Any]) -> dict[str, Any]:
    """What `cancel_at_period_end` and `cancel_at` change; setting neither is resuming."""
    if "cancel_at_period_end" in params and "cancel_at" in params:
        raise exclusive_params("cancel_at_period_end", "cancel_at")
    if "cancel_at_period_end" not in params and "cancel_at" not in params:
        return {}
    at_end = params.get("cancel_at_period_end", False)
    at = period_of(subscription.data)[1] if at_end else params.get("cancel_at")
    if at is not None and at <= store.timestamp:
        raise invalid("`cancel_at` must be in the future.", param="cancel_at")
    details = subscription.data["cancellation_details"] | params.get("cancellation_details", {})
    return {
        "cancel_at": at,
        "cancel_at_period_end": at_end,
        "canceled_at": None if at is None else store.timestamp,
        "cancellation_details": details | {"reason": None if at is None else "cancellation_requested"},
    }


def end_now(store: Store, subscription: Stored, *, params: dict[str, Any]) -> None:
    """Canceled at once; unused time is given back only where `prorate` asks for it."""
    if params.get("prorate"):
        change = plan_change(store, subscription.data, asked=None, prorates=True, restart=True)
        if params.get("invoice_now"):
            bill(store, subscription, lines=snapshot(change.prorations), reason="subscription_update")
    end_subscription(store, subscription, reason="cancellation_requested", details=params.get("cancellation_details"))


def _cancel(call: Call) -> dict[str, Any]:
    subscription = found(call, type=TYPE, param="id", lock=True)
    if subscription.data["status"] in ENDED:
        raise no_such("subscription", call.id, param="id")
    end_now(call.store, subscription, params=call.params)
    return subscription.data


def _resume(call: Call) -> dict[str, Any]:
    """Only a paused one: `cancel_at_period_end=false` takes a cancellation back."""
    subscription = found(call, type=TYPE, param="id", lock=True)
    if subscription.data["status"] != "paused":
        raise refused("You cannot resume a subscription that is not paused.", param="id")
    start_next_period(call.store, subscription)
    change_subscription(call.store, subscription, {"status": "active"}, told=False)
    emit(call.store, type="customer.subscription.resumed", object=subscription.data, previous={"status": "paused"})
    return subscription.data


def _require_running(subscription: Stored, *, param: str) -> None:
    if subscription.data["status"] in ENDED:
        raise refused("A canceled subscription can only update its cancellation_details and metadata.", param=param)


def _require_own(store: Store, method: str, customer: str) -> None:
    stored = store.find("payment_method", method)
    if stored is None or stored.data["customer"] != customer:
        raise refused(
            f"The customer does not have a payment method with the ID {method}. The payment method must be "
            "attached to the customer.",
            code="resource_missing",
            param="default_payment_method",
        )


def _list(call: Call) -> dict[str, Any]:
    """Without `status`, everything but what is canceled, as Stripe does."""
    params = call.params
    match = chosen(params, "customer")
    status = params.get("status")
    if "price" in params:
        match["items"] = {"data": [{"price": {"id": params["price"]}}]}
    if status in STATUSES:
        match["status"] = status
    shown = STATUSES if status == "all" else [one for one in STATUSES if one not in ENDED]
    if status == "ended":
        shown = list(ENDED)
    any_of = None if status in STATUSES else [{"status": one} for one in shown]
    return list_page(call.store, type=TYPE, url="/v1/subscriptions", params=params, match=match, any_of=any_of)


def _list_items(call: Call) -> dict[str, Any]:
    stored = call.store.find(TYPE, call.params["subscription"])
    if stored is None:
        raise no_such(TYPE, call.params["subscription"], param="subscription", status=400)
    return page_of(items_of(stored.data), url="/v1/subscription_items", params=call.params)


def _end_all(store: Store, customer: str) -> None:
    for seen in store.match(TYPE, {"customer": customer}):
        subscription = store.require(TYPE, seen.id)
        if subscription.data["status"] not in ENDED:
            end_subscription(store, subscription, reason="cancellation_requested")


ON_DELETE.append(_end_all)

OPERATIONS: tuple[Operation, ...] = (
    create("/v1/subscriptions", _create, CREATE, required=("customer",)),
    create("/v1/subscriptions/<id>", _update, UPDATE),
    create("/v1/subscriptions/<id>/resume", _resume, {"billing_cycle_anchor": one_of("now", "unchanged")}),
    delete("/v1/subscriptions/<id>", _cancel, {**CANCEL, "expand": EXPAND}),
    retrieve("/v1/subscriptions/<id>", type=TYPE),
    list_of(
        "/v1/subscriptions",
        _list,
        {
            "created": range_of_time(),
            "customer": ID,
            "price": ID,
            "status": one_of(*STATUSES, "all", "ended"),
        },
    ),
    list_of("/v1/subscription_items", _list_items, {"subscription": ID}),
)
