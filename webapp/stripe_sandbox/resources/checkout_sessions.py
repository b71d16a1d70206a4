"""Checkout Sessions: https://docs.stripe.com/api/checkout/sessions"""

from typing import Any

from webapp.stripe_sandbox.checkout_session_objects import TYPE, make_session
from webapp.stripe_sandbox.errors import refused
from webapp.stripe_sandbox.expand import INCLUDABLE
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
from webapp.stripe_sandbox.page import list_object, list_page, page_of
from webapp.stripe_sandbox.params import PAGE, email, metadata, one_of, range_of_time, shape, text
from webapp.stripe_sandbox.payments import expire_session
from webapp.stripe_sandbox.resources.checkout_session_params import FIELDS
from webapp.stripe_sandbox.store import Store, snapshot


def _create(call: Call) -> dict[str, Any]:
    return make_session(call.store, call.params)


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="session", lock=True)
    if "metadata" in call.params:
        stored.data["metadata"] = merge_metadata(stored.data["metadata"], call.params["metadata"])
        call.store.save(stored)
    return stored.data


def _expire(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="session", lock=True)
    if stored.data["status"] != "open":
        raise refused(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a'
            f" status of `{stored.data['status']}`."
        )
    expire_session(call.store, stored)
    return stored.data


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "customer", "payment_intent", "status", "subscription")
    if call.params.get("customer_details"):
        match["customer_details"] = call.params["customer_details"]
    return list_page(call.store, type=TYPE, url="/v1/checkout/sessions", params=call.params, match=match)


def _list_items(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="session")
    url = f"/v1/checkout/sessions/{stored.id}/line_items"
    return page_of(stored.private["items"], url=url, params=call.params)


def _items_of(store: Store, session: dict[str, Any]) -> dict[str, Any]:
    stored = store.find(TYPE, session["id"])
    items = stored.private["items"] if stored else []
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return list_object(snapshot(items[:10]), url=url, has_more=len(items) > 10)


INCLUDABLE[TYPE, "line_items"] = _items_of

OPERATIONS: tuple[Operation, ...] = (
    create("/v1/checkout/sessions", _create, FIELDS),
    create("/v1/checkout/sessions/<id>", _update, {"metadata": metadata()}),
    create("/v1/checkout/sessions/<id>/expire", _expire, {}),
    retrieve("/v1/checkout/sessions/<id>", type=TYPE, param="session"),
    list_of("/v1/checkout/sessions/<id>/line_items", _list_items, dict(PAGE)),
    list_of(
        "/v1/checkout/sessions",
        _list,
        {
            "created": range_of_time(),
            "customer": text(max_length=255),
            "customer_details": shape({"email": email()}, required=("email",)),
            "payment_intent": text(max_length=255),
            "status": one_of("complete", "expired", "open"),
            "subscription": text(max_length=255),
        },
    ),
)
