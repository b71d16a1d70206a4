"""Promotion codes: https://docs.stripe.com/api/promotion_codes"""

from typing import Any

from webapp.stripe_sandbox.errors import invalid, no_such, refused
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
from webapp.stripe_sandbox.params import (
    boolean,
    currency,
    integer,
    metadata,
    one_of,
    range_of_time,
    shape,
    text,
    timestamp,
)
from webapp.stripe_sandbox.resources.coupons import is_redeemable, require_coupon
from webapp.stripe_sandbox.store import Store, Stored, new_id

TYPE = "promotion_code"


def find_by_code(store: Store, code: str) -> Stored | None:
    """The active promotion code that a buyer typed, in any case."""
    for stored in store.match(TYPE, {"active": True}, limit=1_000):
        if stored.data["code"].lower() == code.strip().lower():
            return stored
    return None


def why_not(store: Store, promotion: dict[str, Any], *, customer: str | None, amount: int, currency: str) -> str | None:
    """The reason for which this buyer cannot use the code, in Stripe's words; None when he can."""
    coupon = store.find("coupon", promotion["promotion"]["coupon"])
    restrictions = promotion["restrictions"]
    least = restrictions["minimum_amount"]
    most = promotion["max_redemptions"]
    if not promotion["active"] or coupon is None or not is_redeemable(store, coupon.data):
        return "This promotion code is invalid."
    if promotion["expires_at"] is not None and promotion["expires_at"] <= store.timestamp:
        return "This promotion code has expired."
    if most is not None and promotion["times_redeemed"] >= most:
        return "This promotion code has been redeemed the maximum number of times."
    if promotion["customer"] not in (None, customer):
        return "This promotion code cannot be redeemed by this customer."
    if least is not None and (restrictions["minimum_amount_currency"] != currency or amount < least):
        return "This promotion code needs a larger order."
    if restrictions["first_time_transaction"] and _has_paid(store, customer):
        return "This promotion code cannot be redeemed because the associated customer has prior transactions."
    return None


def _has_paid(store: Store, customer: str | None) -> bool:
    return customer is not None and bool(store.match("charge", {"customer": customer, "status": "succeeded"}, limit=1))


def require_promotion_code(store: Store, id: str, *, param: str) -> Stored:
    """The promotion code, locked. Raises StripeError (400) for one that does not exist."""
    stored = store.lock(TYPE, id)
    if stored is None:
        raise no_such("promotion code", id, param=param, status=400)
    return stored


def _create(call: Call) -> dict[str, Any]:
    values, store = call.params, call.store
    coupon = require_coupon(store, values["promotion"]["coupon"], param="promotion[coupon]")
    code = values.get("code") or new_id("c", length=8)[2:].upper()
    if find_by_code(store, code) is not None:
        raise invalid("An active promotion code with `code: " + code + "` already exists.", param="code")
    restrictions = {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None}
    promotion: dict[str, Any] = {
        "id": new_id("promo"),
        "object": TYPE,
        "active": values.get("active", True),
        "code": code,
        "created": store.timestamp,
        "customer": values.get("customer"),
        "customer_account": None,
        "expires_at": values.get("expires_at"),
        "livemode": False,
        "max_redemptions": values.get("max_redemptions"),
        "metadata": merge_metadata({}, values.get("metadata", {})),
        "promotion": {"coupon": coupon.id, "type": "coupon"},
        "restrictions": restrictions | values.get("restrictions", {}),
        "times_redeemed": 0,
    }
    store.insert(promotion)
    emit(store, type="promotion_code.created", object=promotion)
    return promotion


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="promotion_code", lock=True)
    changes = dict(call.params)
    if changes.get("active") and find_by_code(call.store, stored.data["code"]) not in (None, stored):
        raise refused("Another active promotion code has this code.", param="active")
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(stored.data["metadata"], changes["metadata"])
    stored.data |= changes
    call.store.save(stored)
    emit(call.store, type="promotion_code.updated", object=stored.data)
    return stored.data


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "active", "code", "customer")
    if "coupon" in call.params:
        match["promotion"] = {"coupon": call.params["coupon"]}
    return list_page(call.store, type=TYPE, url="/v1/promotion_codes", params=call.params, match=match)


OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/promotion_codes",
        _create,
        {
            "active": boolean(),
            "code": text(max_length=500),
            "customer": text(max_length=255),
            "expires_at": timestamp(),
            "max_redemptions": integer(minimum=1),
            "metadata": metadata(),
            "promotion": shape({"coupon": text(), "type": one_of("coupon")}, required=("coupon", "type")),
            "restrictions": shape(
                {
                    "first_time_transaction": boolean(),
                    "minimum_amount": integer(minimum=1),
                    "minimum_amount_currency": currency(),
                }
            ),
        },
        required=("promotion",),
    ),
    create("/v1/promotion_codes/<id>", _update, {"active": boolean(), "metadata": metadata()}),
    retrieve("/v1/promotion_codes/<id>", type=TYPE, param="promotion_code"),
    list_of(
        "/v1/promotion_codes",
        _list,
        {
            "active": boolean(),
            "code": text(max_length=500),
            "coupon": text(max_length=255),
            "created": range_of_time(),
            "customer": text(max_length=255),
        },
    ),
)
