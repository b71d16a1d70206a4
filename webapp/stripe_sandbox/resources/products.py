"""Products: https://docs.stripe.com/api/products"""

from typing import Any

from webapp.stripe_sandbox.errors import no_such, refused
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.operations import (
    Call,
    Operation,
    chosen,
    create,
    found,
    list_of,
    merge_metadata,
    retrieve,
)
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import array, boolean, metadata, range_of_time, text, url
from webapp.stripe_sandbox.store import Store, Stored, new_id, snapshot

TYPE = "product"

COMMON = {
    "active": boolean(),
    "description": text(max_length=40_000, blank=True),
    "images": array(url(), max_length=8),
    "metadata": metadata(),
    "name": text(max_length=5_000),
    "shippable": boolean(),
    "statement_descriptor": text(max_length=22, blank=True),
    "tax_code": text(max_length=50, blank=True),
    "unit_label": text(max_length=12, blank=True),
    "url": url(),
}


def make_product(store: Store, values: dict[str, Any], *, announced: bool = True) -> dict[str, Any]:
    """A product exists; one made inline in a Checkout Session is not announced by an event."""
    product: dict[str, Any] = {
        "id": new_id("prod", length=14),
        "object": TYPE,
        "active": True,
        "created": store.timestamp,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": None,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": store.timestamp,
        "url": None,
    }
    product |= values
    product["metadata"] = merge_metadata({}, product["metadata"])
    if "id" in values and store.find_any(values["id"]) is not None:
        raise refused(f"Product already exists with id: {values['id']}", code="resource_already_exists")
    store.insert(product)
    if announced:
        emit(store, type="product.created", object=product)
    return product


def require_product(store: Store, id: str, *, param: str) -> Stored:
    """Raises StripeError (400) for one that does not exist."""
    stored = store.find(TYPE, id)
    if stored is None:
        raise no_such(TYPE, id, param=param, status=400)
    return stored


def _create(call: Call) -> dict[str, Any]:
    return make_product(call.store, call.params)


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, lock=True)
    changes = dict(call.params)
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(stored.data["metadata"], changes["metadata"])
    if changes.get("default_price") is not None:
        price = call.store.find("price", changes["default_price"])
        if price is None or price.data["product"] != stored.id:
            raise no_such("price", changes["default_price"], param="default_price", status=400)
    previous = {key: stored.data[key] for key, value in changes.items() if stored.data[key] != value}
    if previous:
        previous["updated"] = stored.data["updated"]
        stored.data |= changes | {"updated": call.store.timestamp}
        call.store.save(stored)
        emit(call.store, type="product.updated", object=stored.data, previous=previous)
    return snapshot(stored.data)


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "active", "shippable", "url")
    ids = [{"id": id} for id in call.params["ids"]] if call.params.get("ids") else None
    return list_page(call.store, type=TYPE, url="/v1/products", params=call.params, match=match, any_of=ids)


OPERATIONS: tuple[Operation, ...] = (
    create("/v1/products", _create, {**COMMON, "id": text(max_length=255)}, required=("name",)),
    create("/v1/products/<id>", _update, {**COMMON, "default_price": text(max_length=255, blank=True)}),
    retrieve("/v1/products/<id>", type=TYPE),
    list_of(
        "/v1/products",
        _list,
        {
            "active": boolean(),
            "created": range_of_time(),
            "ids": array(text(max_length=255)),
            "shippable": boolean(),
            "url": text(),
        },
    ),
)
