"""Previews of invoices: https://docs.stripe.com/api/invoices/create_preview"""

from typing import Any

from webapp.stripe_sandbox.discounts import Chosen, choose_discounts, start_discounts
from webapp.stripe_sandbox.errors import invalid, missing_param, no_such, refused
from webapp.stripe_sandbox.invoice_lines import full_line, trial_line
from webapp.stripe_sandbox.invoice_objects import compose_invoice
from webapp.stripe_sandbox.operations import Call, Operation, create
from webapp.stripe_sandbox.periods import next_end
from webapp.stripe_sandbox.proration import Change, plan_change, price_for
from webapp.stripe_sandbox.resources.customers import require_customer
from webapp.stripe_sandbox.resources.invoice_items import pending_lines
from webapp.stripe_sandbox.resources.subscription_params import PREVIEW
from webapp.stripe_sandbox.resources.subscriptions import trial_end_of
from webapp.stripe_sandbox.store import Store, new_id
from webapp.stripe_sandbox.subscription_objects import ENDED, TYPE, new_item, new_subscription

Lines = list[dict[str, Any]]


def _preview(call: Call) -> dict[str, Any]:
    """What the next invoice would be after the asked change; the change is not made and nothing is written."""
    params, store = call.params, call.store
    details = params.get("subscription_details", {})
    if "subscription" in params:
        stored = store.find(TYPE, params["subscription"])
        if stored is None:
            raise no_such(TYPE, params["subscription"], param="subscription", status=400)
        if stored.data["status"] in ENDED:
            raise refused("No upcoming invoices for a canceled subscription", code="invoice_upcoming_none")
        subscription = stored.data
        lines, reason = _lines_of_change(store, subscription, details)
    else:
        subscription = _imagined(store, params, details)
        line = trial_line if subscription["status"] == "trialing" else full_line
        items = subscription["items"]["data"]
        period = (items[0]["current_period_start"], items[0]["current_period_end"])
        lines = [line(store, item, subscription=subscription["id"], period=period) for item in items]
        reason = "subscription_create"
    customer = require_customer(store, subscription["customer"]).data
    composed = compose_invoice(
        store,
        customer=customer,
        currency=subscription["currency"],
        lines=lines,
        billing_reason=reason,
        subscription=subscription,
        discounts=subscription["discounts"] if "discounts" not in params else _imagined_discounts(call, subscription),
        prefix="upcoming_in",
    )
    return composed | {"auto_advance": False}


def _lines_of_change(store: Store, subscription: dict[str, Any], details: dict[str, Any]) -> tuple[Lines, str]:
    behavior = details.get("proration_behavior", "create_prorations")
    change = plan_change(
        store,
        subscription,
        asked=details.get("items"),
        prorates=behavior != "none",
        at=details.get("proration_date"),
        restart=details.get("billing_cycle_anchor") == "now" or bool(details.get("cancel_now")),
        trial_end=details.get("trial_end"),
    )
    id = subscription["id"]
    pending = pending_lines(store, subscription=id)
    if details.get("cancel_now"):
        return pending + change.prorations, "subscription_update"
    if change.restarts:
        return pending + change.prorations + change.full_lines(store, id), "subscription_update"
    if behavior == "always_invoice" and change.prorations:
        return pending + change.prorations, "subscription_update"
    if details.get("cancel_at_period_end", subscription["cancel_at_period_end"]):
        return pending + change.prorations, "upcoming"
    return pending + change.prorations + _next_lines(store, subscription, change), "upcoming"


def _next_lines(store: Store, subscription: dict[str, Any], change: Change) -> Lines:
    first = change.items[0]
    start = first["current_period_end"]
    end = next_end(change.anchor, first["price"]["recurring"], after=start)
    return [full_line(store, item, subscription=subscription["id"], period=(start, end)) for item in change.items]


def _imagined(store: Store, params: dict[str, Any], details: dict[str, Any]) -> dict[str, Any]:
    """The subscription that would be made of these items."""
    if "customer" not in params:
        raise missing_param("customer")
    if not details.get("items"):
        raise missing_param("subscription_details[items]")
    customer = require_customer(store, params["customer"])
    trial_end = trial_end_of(store, {"trial_end": details.get("trial_end")})
    anchor = trial_end or store.timestamp
    prices = [
        (price_for(store, item, param="subscription_details[items]", currency=params.get("currency")), item)
        for item in details["items"]
    ]
    if any("id" in item for _price, item in prices):
        raise invalid("There is no subscription whose items these could be.", param="subscription_details[items]")
    end = trial_end or next_end(anchor, prices[0][0]["recurring"], after=anchor)
    id = new_id("sub")
    items = [
        new_item(store, subscription=id, price=price, quantity=item.get("quantity", 1), period=(store.timestamp, end))
        for price, item in prices
    ]
    return new_subscription(store, customer=customer.id, items=items, asked=params, trial_end=trial_end, anchor=anchor)


def _imagined_discounts(call: Call, subscription: dict[str, Any]) -> list[str]:
    """Discounts that exist as long as the preview is made; the caller's transaction is undone."""
    chosen: list[Chosen] = choose_discounts(
        call.store,
        call.params["discounts"],
        customer=subscription["customer"],
        amount=10**9,
        currency=subscription["currency"],
    )
    return start_discounts(call.store, chosen, customer=subscription["customer"], subscription=None)


def _preview_and_forget(call: Call) -> dict[str, Any]:
    with call.store.connection.transaction(force_rollback=True):
        return _preview(call)


OPERATIONS: tuple[Operation, ...] = (create("/v1/invoices/create_preview", _preview_and_forget, PREVIEW),)
