"""Invoices: https://docs.stripe.com/api/invoices"""

from typing import Any

from webapp.stripe_sandbox.charging import decline_error
from webapp.stripe_sandbox.collecting import collect, intent_of, method_for
from webapp.stripe_sandbox.discounts import choose_discounts, start_discounts
from webapp.stripe_sandbox.errors import StripeError, refused
from webapp.stripe_sandbox.expand import INCLUDABLE
from webapp.stripe_sandbox.invoice_objects import TYPE, compose_invoice, payments_of, secret_of
from webapp.stripe_sandbox.invoicing import add_invoice, finalize, mark_paid_elsewhere, require_invoice, void
from webapp.stripe_sandbox.operations import (
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
from webapp.stripe_sandbox.params import PAGE, boolean, currency, metadata, one_of, range_of_time, shape, text
from webapp.stripe_sandbox.resources.customers import require_customer
from webapp.stripe_sandbox.resources.invoice_items import pending_lines
from webapp.stripe_sandbox.resources.payment_methods import require_method
from webapp.stripe_sandbox.resources.subscription_params import AUTOMATIC_TAX, ID
from webapp.stripe_sandbox.store import Stored

STATUSES = one_of("draft", "open", "paid", "uncollectible", "void")


def _found(call: Call, *, allowed: tuple[str, ...]) -> Stored:
    """The invoice, locked after its subscription. Raises StripeError unless it is in one of these states."""
    found(call, type=TYPE, param="invoice")
    invoice = require_invoice(call.store, call.id)
    if invoice.data["status"] not in allowed:
        raise refused(
            f"This invoice is {invoice.data['status']}; that can be done only to one that is {' or '.join(allowed)}.",
            code="invoice_not_editable",
        )
    return invoice


def _create(call: Call) -> dict[str, Any]:
    params, store = call.params, call.store
    customer = require_customer(store, params["customer"])
    lines = pending_lines(store, subscription=None, customer=customer.id)
    if params.get("pending_invoice_items_behavior", "exclude") == "exclude":
        lines = []
    money = params.get("currency") or (lines[0]["currency"] if lines else customer.data["currency"]) or "usd"
    chosen_ones = choose_discounts(
        store, params.get("discounts", []), customer=customer.id, amount=10**9, currency=money
    )
    ids = start_discounts(store, chosen_ones, customer=customer.id, subscription=None)
    composed = compose_invoice(
        store,
        customer=customer.data,
        currency=money,
        lines=[line for line in lines if line["currency"] == money],
        billing_reason="manual",
        discounts=ids,
        asked=params | {"metadata": merge_metadata({}, params.get("metadata", {}))},
    )
    invoice = add_invoice(store, composed)
    for line in composed["lines"]["data"]:
        item = store.require("invoiceitem", line["parent"]["invoice_item_details"]["invoice_item"])
        item.data["invoice"] = invoice.id
        store.save(item)
    return invoice.data


def _update(call: Call) -> dict[str, Any]:
    found(call, type=TYPE, param="invoice")
    invoice = require_invoice(call.store, call.id)
    changes = dict(call.params)
    if invoice.data["status"] != "draft" and changes.keys() - {"metadata"}:
        raise refused("Finalized invoices can't be updated in this way", code="invoice_not_editable")
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(invoice.data["metadata"], changes["metadata"])
    invoice.data |= changes
    call.store.save(invoice)
    return invoice.data


def _finalize(call: Call) -> dict[str, Any]:
    invoice = _found(call, allowed=("draft",))
    finalize(call.store, invoice)
    if "auto_advance" in call.params:
        invoice.data["auto_advance"] = call.params["auto_advance"] and invoice.data["status"] == "open"
        call.store.save(invoice)
    return invoice.data


def _pay(call: Call) -> dict[str, Any]:
    """Raises StripeError: 402 when the attempt fails, which stays on record."""
    invoice = _found(call, allowed=("draft", "open", "uncollectible"))
    params, store = call.params, call.store
    if invoice.data["status"] == "draft":
        finalize(store, invoice)
    if invoice.data["status"] == "paid":
        return invoice.data
    if params.get("paid_out_of_band"):
        mark_paid_elsewhere(store, invoice)
        return invoice.data
    parent = invoice.data["parent"]
    id = parent["subscription_details"]["subscription"] if parent else None
    subscription = store.lock("subscription", id) if id else None
    method = method_for(store, invoice.data, subscription)
    if "payment_method" in params:
        method = require_method(store, params["payment_method"])
    if method is None:
        raise StripeError(
            "There is no `default_payment_method` set on this Customer or Invoice. Please set a "
            "`default_payment_method`.",
            param="payment_method",
        )
    status = collect(store, invoice, method=method, off_session=params.get("off_session", True))
    if status == "requires_payment_method":
        raise decline_error(intent_of(store, invoice))
    if status == "requires_action":
        raise StripeError(
            "This payment requires additional user action before it can be completed successfully.",
            status=402,
            type="card_error",
            code="invoice_payment_intent_requires_action",
            saved=True,
            kept=True,
        )
    return invoice.data


def _void(call: Call) -> dict[str, Any]:
    invoice = _found(call, allowed=("open", "uncollectible"))
    void(call.store, invoice)
    return invoice.data


def _give_up(call: Call) -> dict[str, Any]:
    invoice = _found(call, allowed=("open",))
    void(call.store, invoice, status="uncollectible")
    return invoice.data


def _delete(call: Call) -> dict[str, Any]:
    return call.store.delete(_found(call, allowed=("draft",)))


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "collection_method", "customer", "status")
    if "subscription" in call.params:
        match["parent"] = {"subscription_details": {"subscription": call.params["subscription"]}}
    return list_page(call.store, type=TYPE, url="/v1/invoices", params=call.params, match=match)


def _list_lines(call: Call) -> dict[str, Any]:
    invoice = found(call, type=TYPE, param="invoice")
    return page_of(invoice.data["lines"]["data"], url=f"/v1/invoices/{invoice.id}/lines", params=call.params)


def _list_payments(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "invoice", "status")
    if "payment" in call.params:
        match["payment"] = call.params["payment"]
    return list_page(call.store, type="invoice_payment", url="/v1/invoice_payments", params=call.params, match=match)


INCLUDABLE[TYPE, "payments"] = payments_of
INCLUDABLE[TYPE, "confirmation_secret"] = secret_of  # type: ignore[assignment]  # None before the first attempt

TEXTS = {"description": text(max_length=1_500, blank=True), "footer": text(blank=True)}
EDITABLE = {**TEXTS, "auto_advance": boolean(), "default_payment_method": ID, "metadata": metadata()}

OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/invoices",
        _create,
        {
            **EDITABLE,
            "automatic_tax": AUTOMATIC_TAX,
            "collection_method": one_of("charge_automatically"),
            "currency": currency(),
            "customer": ID,
            "pending_invoice_items_behavior": one_of("exclude", "include"),
        },
        required=("customer",),
    ),
    create("/v1/invoices/<id>", _update, EDITABLE),
    create("/v1/invoices/<id>/finalize", _finalize, {"auto_advance": boolean()}),
    create(
        "/v1/invoices/<id>/pay",
        _pay,
        {"off_session": boolean(), "paid_out_of_band": boolean(), "payment_method": ID},
    ),
    create("/v1/invoices/<id>/void", _void, {}),
    create("/v1/invoices/<id>/mark_uncollectible", _give_up, {}),
    delete("/v1/invoices/<id>", _delete),
    retrieve("/v1/invoices/<id>", type=TYPE, param="invoice"),
    list_of("/v1/invoices/<id>/lines", _list_lines, dict(PAGE)),
    list_of(
        "/v1/invoices",
        _list,
        {
            "collection_method": one_of("charge_automatically", "send_invoice"),
            "created": range_of_time(),
            "customer": ID,
            "status": STATUSES,
            "subscription": ID,
        },
    ),
    retrieve("/v1/invoice_payments/<id>", type="invoice_payment", param="invoice_payment"),
    list_of(
        "/v1/invoice_payments",
        _list_payments,
        {
            "invoice": ID,
            "payment": shape({"payment_intent": ID, "type": one_of("payment_intent")}, required=("type",)),
            "status": one_of("canceled", "open", "paid"),
        },
    ),
)
