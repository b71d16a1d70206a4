"""Invoice items, which wait for the next invoice: https://docs.stripe.com/api/invoiceitems"""

from typing import Any

from webapp.stripe_sandbox.errors import exclusive_params, missing_param, no_such, refused
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.invoice_lines import make_line
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
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import currency, integer, metadata, range_of_time, shape, text
from webapp.stripe_sandbox.price_amounts import amount_of, in_currency
from webapp.stripe_sandbox.resources.customers import require_customer
from webapp.stripe_sandbox.store import Store, new_id, snapshot

TYPE = "invoiceitem"


def add_proration(store: Store, line: dict[str, Any], *, customer: str, subscription: str) -> None:
    """What a change costs or gives back waits for the subscription's next invoice."""
    details = line["parent"]["subscription_item_details"]
    item = _make(store, line, customer=customer, subscription=subscription, proration=True)
    waiting = snapshot(line)
    waiting["parent"]["subscription_item_details"] = {**details, "invoice_item": item["id"]}
    store.insert(item, private={"line": waiting})
    emit(store, type="invoiceitem.created", object=item)


def pending_lines(store: Store, *, subscription: str | None, customer: str | None = None) -> list[dict[str, Any]]:
    """Lines of what waits for this subscription's next invoice, or for the customer's own; oldest first."""
    if subscription:
        wanted: dict[str, Any] = {"parent": {"subscription_details": {"subscription": subscription}}}
    else:
        wanted = {"customer": customer, "parent": None}
    waiting = store.match(TYPE, {"invoice": None, **wanted}, limit=250)
    return [snapshot(item.private["line"]) | {"id": new_id("il")} for item in reversed(waiting)]


def _make(
    store: Store, line: dict[str, Any], *, customer: str, subscription: str | None, proration: bool
) -> dict[str, Any]:
    details = {"subscription": subscription}
    return {
        "id": new_id("ii"),
        "object": TYPE,
        "amount": line["amount"],
        "currency": line["currency"],
        "customer": customer,
        "customer_account": None,
        "date": store.timestamp,
        "description": line["description"],
        "discountable": line["discountable"],
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "net_amount": line["amount"],
        "parent": {"subscription_details": details, "type": "subscription_details"} if subscription else None,
        "period": dict(line["period"]),
        "pricing": line["pricing"],
        "proration": proration,
        "quantity": line["quantity"],
        "quantity_decimal": line["quantity_decimal"],
        "tax_rates": [],
        "test_clock": None,
    }


def _create(call: Call) -> dict[str, Any]:
    params, store = call.params, call.store
    customer = require_customer(store, params["customer"])
    quantity, price = params.get("quantity", 1), None
    if "pricing" in params and "amount" in params:
        raise exclusive_params("pricing", "amount")
    if "pricing" in params:
        stored = store.find("price", params["pricing"]["price"])
        if stored is None:
            raise no_such("price", params["pricing"]["price"], param="pricing[price]", status=400)
        price = in_currency(stored, params.get("currency"), param="pricing[price]")
    elif "amount" not in params or "currency" not in params:
        raise missing_param("amount" if "amount" not in params else "currency")
    subscription = params.get("subscription")
    if subscription and store.find("subscription", subscription) is None:
        raise no_such("subscription", subscription, param="subscription", status=400)
    line = make_line(
        amount=amount_of(price, quantity=quantity) if price else params["amount"],
        currency=price["currency"] if price else params["currency"],
        description=params.get("description") or "Invoice item",
        period=(store.timestamp, store.timestamp),
        quantity=quantity,
        price=price,
        subscription=subscription,
    )
    item = _make(store, line, customer=customer.id, subscription=subscription, proration=False)
    item["metadata"] = merge_metadata({}, params.get("metadata", {}))
    line["parent"]["invoice_item_details"]["invoice_item"] = item["id"]
    line["metadata"] = dict(item["metadata"])
    store.insert(item, private={"line": line})
    emit(store, type="invoiceitem.created", object=item)
    return item


def _delete(call: Call) -> dict[str, Any]:
    item = found(call, type=TYPE, param="invoiceitem", lock=True)
    if item.data["invoice"] is not None:
        raise refused("You cannot delete an invoice item that is on an invoice.", param="invoiceitem")
    gone = call.store.delete(item)
    emit(call.store, type="invoiceitem.deleted", object=item.data)
    return gone


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "customer", "invoice")
    return list_page(call.store, type=TYPE, url="/v1/invoiceitems", params=call.params, match=match)


OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/invoiceitems",
        _create,
        {
            "amount": integer(),
            "currency": currency(),
            "customer": text(max_length=255),
            "description": text(),
            "metadata": metadata(),
            "pricing": shape({"price": text(max_length=255)}, required=("price",)),
            "quantity": integer(minimum=1),
            "subscription": text(max_length=255),
        },
        required=("customer",),
    ),
    delete("/v1/invoiceitems/<id>", _delete),
    retrieve("/v1/invoiceitems/<id>", type=TYPE, param="invoiceitem"),
    list_of(
        "/v1/invoiceitems",
        _list,
        {"created": range_of_time(), "customer": text(max_length=255), "invoice": text(max_length=255)},
    ),
)
