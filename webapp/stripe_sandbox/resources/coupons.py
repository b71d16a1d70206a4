"""Coupons: https://docs.stripe.com/api/coupons"""

from decimal import Decimal
from typing import Any

from webapp.stripe_sandbox.errors import exclusive_params, invalid, missing_param, no_such, refused
from webapp.stripe_sandbox.events import emit
from webapp.stripe_sandbox.form import Nested
from webapp.stripe_sandbox.money import round_money
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
    currency,
    decimal,
    integer,
    metadata,
    one_of,
    range_of_time,
    text,
    timestamp,
)
from webapp.stripe_sandbox.store import Store, Stored, new_id

TYPE = "coupon"


def _percent(raw: Nested, name: str) -> float:
    percent = float(decimal()(raw, name))
    if not 0 < percent <= 100:
        raise invalid("The percentage must be above 0 and at most 100.", param=name)
    return percent


def require_coupon(store: Store, id: str, *, param: str) -> Stored:
    """The coupon, locked. Raises StripeError (400) when there is none or it can no longer be redeemed."""
    coupon = store.lock(TYPE, id)
    if coupon is None:
        raise no_such(TYPE, id, param=param, status=400)
    if not is_redeemable(store, coupon.data):
        raise refused(f"Coupon {id} is used up.", code="coupon_expired", param=param)
    return coupon


def is_redeemable(store: Store, coupon: dict[str, Any]) -> bool:
    if coupon["redeem_by"] is not None and coupon["redeem_by"] <= store.timestamp:
        return False
    most = coupon["max_redemptions"]
    return most is None or coupon["times_redeemed"] < most


def redeem(store: Store, coupon: Stored) -> None:
    """One more redemption is counted, and the last allowed one makes it invalid."""
    coupon.data["times_redeemed"] += 1
    coupon.data["valid"] = is_redeemable(store, coupon.data)
    store.save(coupon)


def discount_of(coupon: dict[str, Any], *, amount: int, currency: str) -> int:
    """Minor units off `amount`, never more than it, rounded half up; nothing in another currency."""
    if coupon["percent_off"] is not None:
        return min(amount, round_money(amount * Decimal(str(coupon["percent_off"])) / 100, currency))
    if coupon["currency"] != currency:
        return 0
    return min(amount, int(coupon["amount_off"]))


def _create(call: Call) -> dict[str, Any]:
    values, store = dict(call.params), call.store
    if "percent_off" in values and "amount_off" in values:
        raise exclusive_params("percent_off", "amount_off")
    if "percent_off" not in values and "amount_off" not in values:
        raise missing_param("percent_off")
    if "amount_off" in values and "currency" not in values:
        raise missing_param("currency")
    if values.get("duration") == "repeating" and "duration_in_months" not in values:
        raise missing_param("duration_in_months")
    if "id" in values and store.find_any(values["id"]) is not None:
        raise refused("Coupon already exists.", code="resource_already_exists", param="id")
    coupon: dict[str, Any] = {
        "id": new_id("c", length=8)[2:],
        "object": TYPE,
        "amount_off": None,
        "created": store.timestamp,
        "currency": None,
        "duration": "once",
        "duration_in_months": None,
        "livemode": False,
        "max_redemptions": None,
        "name": None,
        "percent_off": None,
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
        **values,
        "metadata": merge_metadata({}, values.get("metadata", {})),
    }
    store.insert(coupon)
    emit(store, type="coupon.created", object=coupon)
    return coupon


def _update(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="coupon", lock=True)
    changes = dict(call.params)
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(stored.data["metadata"], changes["metadata"])
    stored.data |= changes
    call.store.save(stored)
    emit(call.store, type="coupon.updated", object=stored.data)
    return stored.data


def _delete(call: Call) -> dict[str, Any]:
    stored = found(call, type=TYPE, param="coupon", lock=True)
    gone = call.store.delete(stored)
    emit(call.store, type="coupon.deleted", object=stored.data)
    return gone


def _list(call: Call) -> dict[str, Any]:
    return list_page(call.store, type=TYPE, url="/v1/coupons", params=call.params)


OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/coupons",
        _create,
        {
            "amount_off": integer(minimum=1),
            "currency": currency(),
            "duration": one_of("forever", "once", "repeating"),
            "duration_in_months": integer(minimum=1, maximum=120),
            "id": text(max_length=200),
            "max_redemptions": integer(minimum=1),
            "metadata": metadata(),
            "name": text(max_length=40),
            "percent_off": _percent,
            "redeem_by": timestamp(),
        },
    ),
    create("/v1/coupons/<id>", _update, {"metadata": metadata(), "name": text(max_length=40, blank=True)}),
    delete("/v1/coupons/<id>", _delete),
    retrieve("/v1/coupons/<id>", type=TYPE, param="coupon"),
    list_of("/v1/coupons", _list, {"created": range_of_time()}),
)
