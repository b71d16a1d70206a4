"""Customers: https://docs.stripe.com/api/customers"""

from collections.abc import Callable
from typing import Any

from webapp.stripe_sandbox.errors import no_such
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.operations import (
    Call,
    Operation,
    create,
    delete,
    found,
    list_of,
    merge_metadata,
    retrieve,
)
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import (
    PAGE,
    array,
    email,
    integer,
    metadata,
    one_of,
    range_of_time,
    shape,
    text,
)
from webapp.stripe_sandbox.resources.payment_methods import attach, require_method
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "customer"

# what else happens when a customer is deleted; resources add theirs
ON_DELETE: list[Callable[[Store, str], None]] = []

ADDRESS = shape({key: text(blank=True) for key in ("city", "country", "line1", "line2", "postal_code", "state")})
FIELDS = {
    "address": ADDRESS,
    "balance": integer(minimum=-99_999_999),
    "description": text(max_length=350, blank=True),
    "email": email(),
    "invoice_settings": shape({"default_payment_method": text(max_length=255, blank=True)}),
    "metadata": metadata(),
    "name": text(max_length=256, blank=True),
    "phone": text(max_length=20, blank=True),
    "preferred_locales": array(text(max_length=20)),
    "shipping": shape({"address": ADDRESS, "name": text(), "phone": text()}, required=("address", "name")),
    "tax_exempt": one_of("exempt", "none", "reverse"),
}


def make_customer(store: Store, values: dict[str, Any]) -> dict[str, Any]:
    """A customer exists and `customer.created` tells so."""
    customer: dict[str, Any] = {
        "id": new_id("cus", length=14),
        "object": TYPE,
        "address": None,
        "balance": 0,
        "created": store.timestamp,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": new_id("x", length=8)[2:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    customer |= _shown(values, invoice_settings=customer["invoice_settings"])
    stored = store.insert(customer)
    emit(store, type="customer.created", object=customer)
    if "payment_method" in values:
        attach(store, require_method(store, values["payment_method"]), customer=stored.id)
    return customer


def change_customer(store: Store, stored: Stored, changes: dict[str, Any]) -> None:
    """The customer is as `changes` say and, where that is new, `customer.updated` tells so. It is locked."""
    previous = {key: stored.data[key] for key, value in changes.items() if stored.data[key] != value}
    stored.data |= changes
    store.save(stored)
    if previous:
        emit(store, type="customer.updated", object=stored.data, previous=previous)


def default_method(store: Store, customer: str) -> str | None:
    stored = store.find(TYPE, customer)
    return stored.data["invoice_settings"]["default_payment_method"] if stored else None


def set_default_method(store: Store, customer: str, method: str) -> None:
    """Invoices of this customer are paid with this method unless a subscription has its own."""
    stored = store.require(TYPE, customer)
    settings = stored.data["invoice_settings"] | {"default_payment_method": method}
    change_customer(store, stored, {"invoice_settings": settings})


def require_customer(store: Store, id: str, *, param: str = "customer") -> Stored:
    """Raises StripeError (400) for one that does not exist."""
    stored = store.find(TYPE, id)
    if stored is None:
        raise no_such(TYPE, id, param=param, status=400)
    return stored


def _create(call: Call) -> dict[str, Any]:
    return make_customer(call.store, call.params)


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, lock=True)
    changes = _shown(call.params, invoice_settings=stored.data["invoice_settings"])
    _require_own_default(call.store, stored, changes)
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(stored.data["metadata"], call.params["metadata"])
    change_customer(call.store, stored, changes)
    return snapshot(stored.data)


def _require_own_default(store: Store, customer: Stored, changes: dict[str, Any]) -> None:
    id = changes.get("invoice_settings", {}).get("default_payment_method")
    method = store.find("payment_method", id) if id else None
    if id and (method is None or method.data["customer"] != customer.id):
        raise no_such(
            "PaymentMethod", id, param="invoice_settings[default_payment_method]", status=400
        )  # fmt: skip


def _delete(call: Call) -> dict[str, Any]:
    """Like Stripe's: the subscriptions end at once."""
    customer = found(call, type=TYPE)
    for hook in ON_DELETE:
        hook(call.store, customer.id)
    customer = found(call, type=TYPE, lock=True)
    gone = call.store.delete(customer)
    emit(call.store, type="customer.deleted", object=customer.data)
    return gone


def _list(call: Call) -> dict[str, Any]:
    match = {"email": call.params["email"]} if "email" in call.params else {}
    return list_page(call.store, type=TYPE, url="/v1/customers", params=call.params, match=match)


def _shown(values: dict[str, Any], *, invoice_settings: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in values.items() if key != "payment_method"}
    if "invoice_settings" in shown:
        shown["invoice_settings"] = invoice_settings | shown["invoice_settings"]
    if "address" in shown:
        blank = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
        shown["address"] = blank | shown["address"]
    if "metadata" in shown:
        shown["metadata"] = merge_metadata({}, shown["metadata"])
    return shown


OPERATIONS: tuple[Operation, ...] = (
    create("/v1/customers", _create, {**FIELDS, "payment_method": text(max_length=255)}),
    delete("/v1/customers/<id>", _delete),
    create("/v1/customers/<id>", _update, FIELDS),
    retrieve("/v1/customers/<id>", type=TYPE),
    list_of("/v1/customers", _list, {**PAGE, "created": range_of_time(), "email": email()}),
)
