"""Starts subscriptions and carries out their changes, with the invoices that follow.

https://docs.stripe.com/billing/subscriptions/overview
"""

from typing import Any

from webapp.stripe_sandbox.charging import decline_error
from webapp.stripe_sandbox.collecting import collect, intent_of, method_for
from webapp.stripe_sandbox.discounts import Chosen, start_discounts, without_used
from webapp.stripe_sandbox.errors import StripeError, card_declined
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.faults import read_faults
from webapp.stripe_sandbox.invoice_lines import full_line, make_line, name_of, trial_line
from webapp.stripe_sandbox.invoice_objects import compose_invoice
from webapp.stripe_sandbox.invoicing import add_invoice, finalize, void
from webapp.stripe_sandbox.pending_updates import forget_pending, note_pending
from webapp.stripe_sandbox.periods import next_end
from webapp.stripe_sandbox.price_amounts import amount_of
from webapp.stripe_sandbox.proration import Change, require_one_interval
from webapp.stripe_sandbox.resources.invoice_items import add_proration, pending_lines
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot
from webapp.stripe_sandbox.subscription_objects import (
    change_subscription,
    items_of,
    new_item,
    new_subscription,
    period_of,
    plan_next,
)

Lines = list[dict[str, Any]]


def open_subscription(
    store: Store,
    *,
    customer: str,
    prices: list[tuple[dict[str, Any], int]],
    asked: dict[str, Any],
    trial_end: int | None,
    discounts: list[Chosen],
    once: list[tuple[dict[str, Any], int]] | None = None,
    session: str | None = None,
) -> tuple[Stored, Stored]:
    """The subscription, `trialing` or `incomplete`, and its first invoice, finalized and paid where nothing is due.

    `prices` are recurring prices with quantities, `once` those that are on the first invoice only.
    """
    id = new_id("sub")
    anchor = trial_end or store.timestamp
    end = trial_end or next_end(anchor, prices[0][0]["recurring"], after=anchor)
    items = [
        new_item(store, subscription=id, price=price, quantity=quantity, period=(store.timestamp, end))
        for price, quantity in prices
    ]
    require_one_interval(items)
    data = new_subscription(store, customer=customer, items=items, asked=asked, trial_end=trial_end, anchor=anchor)
    data["discounts"] = start_discounts(store, discounts, customer=customer, subscription=id, session=session)
    subscription = store.insert(data)
    emit(store, type="customer.subscription.created", object=data)
    line = trial_line if trial_end else full_line
    lines = [line(store, item, subscription=id, period=(store.timestamp, end)) for item in items]
    lines += [_line_once(store, price, quantity, subscription=id) for price, quantity in once or []]
    invoice = bill(store, subscription, lines=lines, reason="subscription_create")
    return subscription, invoice


def _line_once(store: Store, price: dict[str, Any], quantity: int, *, subscription: str) -> dict[str, Any]:
    return make_line(
        amount=amount_of(price, quantity=quantity),
        currency=price["currency"],
        description=name_of(store, price),
        period=(store.timestamp, store.timestamp),
        quantity=quantity,
        price=price,
        subscription=subscription,
    )


def bill(store: Store, subscription: Stored, *, lines: Lines, reason: str) -> Stored:
    """A finalized invoice of these lines and of what was pending; it is the subscription's latest."""
    invoice = draft(store, subscription, lines=lines, reason=reason)
    finalize(store, invoice)
    return invoice


def draft(store: Store, subscription: Stored, *, lines: Lines, reason: str) -> Stored:
    """A draft of these lines and of what was pending for the subscription; one-time discounts are used up."""
    data = subscription.data
    customer = store.require("customer", data["customer"])
    before = (data["start_date"], data["start_date"])
    composed = compose_invoice(
        store,
        customer=customer.data,
        currency=data["currency"],
        lines=pending_lines(store, subscription=data["id"]) + lines,
        billing_reason=reason,
        subscription=data,
        discounts=data["discounts"],
        period=subscription.private.get("billed", before) if reason == "subscription_cycle" else None,
    )
    invoice = add_invoice(store, composed)
    for line in composed["lines"]["data"]:
        _bind_item(store, line, invoice.id)
    changes = {"latest_invoice": invoice.id, "discounts": without_used(store, data["discounts"])}
    change_subscription(store, subscription, changes, told=reason != "subscription_create")
    return invoice


def _bind_item(store: Store, line: dict[str, Any], invoice: str) -> None:
    parent = line["parent"]["subscription_item_details"] or line["parent"]["invoice_item_details"]
    if parent["invoice_item"]:
        item = store.require("invoiceitem", parent["invoice_item"])
        item.data["invoice"] = invoice
        store.save(item)


def collect_first(store: Store, subscription: Stored, invoice: Stored, *, behavior: str, off_session: bool) -> None:
    """The first attempt for an invoice that is due now, as `payment_behavior` says.

    Raises StripeError: 400 without any payment method; 402 with `error_if_incomplete`, after which nothing stays.
    """
    if invoice.data["status"] != "open":
        return
    if behavior == "default_incomplete":
        intent_of(store, invoice)
        return
    method = method_for(store, invoice.data, subscription)
    if method is None:
        raise StripeError(
            "This customer has no attached payment source or default payment method. Please consider adding a "
            "default payment method. For more information, visit "
            "https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.",
            code="resource_missing",
        )
    status = collect(store, invoice, method=method, off_session=off_session)
    if status not in ("succeeded", "processing") and behavior == "error_if_incomplete":
        intent = intent_of(store, invoice)
        error = _asks_for_more(intent) if status == "requires_action" else decline_error(intent)
        error.kept = False
        raise error


def _asks_for_more(intent: Stored) -> StripeError:
    """https://docs.stripe.com/error-codes#subscription-payment-intent-requires-action"""
    return card_declined(
        "subscription_payment_intent_requires_action",
        "Payment for this subscription requires additional user action before it can be completed successfully. "
        "Payment can be completed using the PaymentIntent associated with `subscription.latest_invoice`.",
        more={"payment_intent": snapshot(intent.data)},
    )


def apply_change(
    store: Store,
    subscription: Stored,
    change: Change,
    *,
    invoices_now: bool,
    other: dict[str, Any],
    behavior: str = "allow_incomplete",
    off_session: bool = False,
) -> None:
    """The subscription has the new items; what it costs is billed now, or is pending for the next invoice."""
    if behavior == "pending_if_incomplete" and (change.restarts or (invoices_now and change.prorations)):
        _change_when_paid(store, subscription, change, other=other, off_session=off_session)
        return
    previous_period = period_of(subscription.data)
    items = snapshot(subscription.data["items"]) | {"data": change.items}
    changes: dict[str, Any] = {"items": items, "billing_cycle_anchor": change.anchor, **other}
    if subscription.data["status"] == "trialing":
        changes["trial_end"] = change.trial_end or store.timestamp
        if change.restarts:
            changes["status"] = "active"
    for line in change.prorations:
        add_proration(store, line, customer=subscription.data["customer"], subscription=subscription.id)
    if subscription.data["cancel_at_period_end"]:
        changes.setdefault("cancel_at", change.items[0]["current_period_end"])
    change_subscription(store, subscription, changes)
    if not change.restarts and not (invoices_now and change.prorations):
        return
    subscription.private["billed"] = list(previous_period)
    lines = change.full_lines(store, subscription.id) if change.restarts else []
    invoice = bill(store, subscription, lines=lines, reason="subscription_update")
    collect_first(store, subscription, invoice, behavior=behavior, off_session=off_session)


def _change_when_paid(
    store: Store, subscription: Stored, change: Change, *, other: dict[str, Any], off_session: bool
) -> None:
    """What the change costs is billed now, and it is made as soon as that is paid: at once, or within 23 hours."""
    before = subscription.private.get("pending")
    if before is not None:
        forget_pending(store, subscription)
        void(store, store.require("invoice", before["invoice"]))
    items = snapshot(subscription.data["items"]) | {"data": change.items}
    for line in change.prorations:
        add_proration(store, line, customer=subscription.data["customer"], subscription=subscription.id)
    lines = change.full_lines(store, subscription.id) if change.restarts else []
    invoice = draft(store, subscription, lines=lines, reason="subscription_update")
    note_pending(store, subscription, invoice, changes={"items": items, "billing_cycle_anchor": change.anchor, **other})
    finalize(store, invoice)
    collect_first(store, subscription, invoice, behavior="pending_if_incomplete", off_session=off_session)


def start_next_period(store: Store, subscription: Stored) -> None:
    """The period that was over is followed by the next one, with its invoice as a draft."""
    data = subscription.data
    start, end = period_of(data)
    subscription.private["billed"] = [start, end]
    following = (end, next_end(data["billing_cycle_anchor"], items_of(data)[0]["price"]["recurring"], after=end))
    items = snapshot(data["items"])
    for item in items["data"]:
        item["current_period_start"], item["current_period_end"] = following
    changes: dict[str, Any] = {"items": items}
    if data["status"] == "trialing":
        changes["status"] = "active"
    change_subscription(store, subscription, changes)
    lines = [full_line(store, item, subscription=subscription.id, period=following) for item in items["data"]]
    invoice = draft(store, subscription, lines=lines, reason="subscription_cycle")
    _plan_finalizing(store, subscription, invoice)


def _plan_finalizing(store: Store, subscription: Stored, invoice: Stored) -> None:
    if subscription.data["status"] in ("unpaid", "paused"):
        invoice.data["auto_advance"] = False
    else:
        invoice.due_at = store.seconds_from_now(read_faults(store.connection).finalize_seconds)
        invoice.data["automatically_finalizes_at"] = int(invoice.due_at.timestamp())
    store.save(invoice)
    plan_next(store, subscription)
