"""Customers: https://docs.stripe.com/api/customers"""

from typing import Any

from webapp.stripe_sandbox.errors import no_such
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.operations import Call, Operation, create, found, list_of, merge_metadata, retrieve
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
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "customer"

ADDRESS = shape({key: text(blank=True) for key in ("city", "country", "line1", "line2", "postal_code", "state")})
FIELDS = {
    "address": ADDRESS,
    "balance": integer(minimum=-99_999_999),
    "description": text(max_length=350, blank=True),
    "email": email(),
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
    customer |= _shown(values)
    store.insert(customer)
    emit(store, type="customer.created", object=customer)
    return customer


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
    changes = _shown(call.params)
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(stored.data["metadata"], call.params["metadata"])
    previous = {key: stored.data[key] for key, value in changes.items() if stored.data[key] != value}
    stored.data |= changes
    call.store.save(stored)
    if previous:
        emit(call.store, type="customer.updated", object=stored.data, previous=previous)
    return snapshot(stored.data)


def _list(call: Call) -> dict[str, Any]:
    match = {"email": call.params["email"]} if "email" in call.params else {}
    return list_page(call.store, type=TYPE, url="/v1/customers", params=call.params, match=match)


def _shown(values: dict[str, Any]) -> dict[str, Any]:
    shown = dict(values)
    if "address" in shown:
        blank = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
        shown["address"] = blank | shown["address"]
    if "metadata" in shown:
        shown["metadata"] = merge_metadata({}, shown["metadata"])
    return shown


OPERATIONS: tuple[Operation, ...] = (
    create("/v1/customers", _create, FIELDS),
    create("/v1/customers/<id>", _update, FIELDS),
    retrieve("/v1/customers/<id>", type=TYPE),
    list_of("/v1/customers", _list, {**PAGE, "created": range_of_time(), "email": email()}),
)
