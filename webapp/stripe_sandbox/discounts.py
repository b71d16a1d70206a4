"""Discounts: what a coupon takes off an order, a subscription and its invoices.

https://docs.stripe.com/api/discounts
"""

from typing import Any

from webapp.stripe_sandbox.errors import exclusive_params, invalid, missing_param, refused
from webapp.stripe_sandbox.params import Reader, array, shape, text
from webapp.stripe_sandbox.periods import add_months
from webapp.stripe_sandbox.resources.coupons import discount_of, redeem, require_coupon
from webapp.stripe_sandbox.resources.promotion_codes import require_promotion_code, why_not
from webapp.stripe_sandbox.store import Store, Stored, new_id

TYPE = "discount"

ASKED: Reader = array(shape({"coupon": text(max_length=255), "promotion_code": text(max_length=255)}), max_length=20)

Chosen = dict[str, Any]  # {"coupon": id, "promotion_code": id or None}, as a Checkout Session shows it


def choose_discounts(
    store: Store, asked: list[dict[str, Any]], *, customer: str | None, amount: int, currency: str
) -> list[Chosen]:
    """The asked coupons and codes, checked. Raises StripeError for the first that cannot be redeemed."""
    return [
        _choose(store, one, customer=customer, amount=amount, currency=currency, param=f"discounts[{place}]")
        for place, one in enumerate(asked)
    ]


def _choose(
    store: Store, asked: dict[str, Any], *, customer: str | None, amount: int, currency: str, param: str
) -> Chosen:
    if len(asked) == 2:
        raise exclusive_params(f"{param}[coupon]", f"{param}[promotion_code]")
    if "coupon" in asked:
        coupon = require_coupon(store, asked["coupon"], param=f"{param}[coupon]").data
        promotion = None
    elif "promotion_code" in asked:
        promotion = require_promotion_code(store, asked["promotion_code"], param=f"{param}[promotion_code]").data
        reason = why_not(store, promotion, customer=customer, amount=amount, currency=currency)
        if reason:
            raise refused(reason, param=f"{param}[promotion_code]")
        coupon = require_coupon(store, promotion["promotion"]["coupon"], param=f"{param}[promotion_code]").data
    else:
        raise missing_param(f"{param}[coupon]")
    if coupon["amount_off"] is not None and coupon["currency"] != currency:
        raise invalid(f"The coupon {coupon['id']} is in {coupon['currency']}, the order in {currency}.", param=param)
    return {"coupon": coupon["id"], "promotion_code": promotion["id"] if promotion else None}


def spread(store: Store, chosen: list[Chosen], amounts: list[int], *, currency: str) -> list[list[int]]:
    """What each discount takes off each amount, minor units: one after the other, the last cent to the last."""
    left = list(amounts)
    taken: list[list[int]] = []
    for one in chosen:
        coupon = store.find("coupon", one["coupon"])
        total = sum(left)
        off = discount_of(coupon.data, amount=max(0, total), currency=currency) if coupon else 0
        shares = _shares(off, left)
        taken.append(shares)
        left = [amount - share for amount, share in zip(left, shares, strict=True)]
    return taken


def _shares(off: int, amounts: list[int]) -> list[int]:
    """`off` in proportion to the positive amounts, exactly."""
    total = sum(amount for amount in amounts if amount > 0)
    shares: list[int] = []
    given = passed = 0
    for amount in amounts:
        passed += max(0, amount)
        share = off * passed // total - given if total else 0
        shares.append(share)
        given += share
    return shares


def redeem_discounts(store: Store, chosen: list[Chosen]) -> list[Stored]:
    """The coupons, and the codes by which they were found, are redeemed once more; the coupons."""
    coupons = []
    for one in chosen:
        coupon = require_coupon(store, one["coupon"], param="discounts")
        redeem(store, coupon)
        if one["promotion_code"]:
            promotion = require_promotion_code(store, one["promotion_code"], param="discounts")
            promotion.data["times_redeemed"] += 1
            store.save(promotion)
        coupons.append(coupon)
    return coupons


def start_discounts(
    store: Store, chosen: list[Chosen], *, customer: str | None, subscription: str | None, session: str | None = None
) -> list[str]:
    """The discounts exist and their coupons are redeemed once more; their ids."""
    ids = []
    for one, coupon in zip(chosen, redeem_discounts(store, chosen), strict=True):
        months = coupon.data["duration_in_months"] if coupon.data["duration"] == "repeating" else None
        discount = {
            "id": new_id("di"),
            "object": TYPE,
            "checkout_session": session,
            "customer": customer,
            "customer_account": None,
            "end": add_months(store.timestamp, months) if months else None,
            "invoice": None,
            "invoice_item": None,
            "promotion_code": one["promotion_code"],
            "source": {"coupon": coupon.id, "type": "coupon"},
            "start": store.timestamp,
            "subscription": subscription,
            "subscription_item": None,
        }
        store.insert(discount)
        ids.append(discount["id"])
    return ids


def running(store: Store, ids: list[str], *, at: int) -> list[tuple[str, Chosen]]:
    """Those of a subscription's discounts that still apply at a time, in their order."""
    found = []
    for id in ids:
        discount = store.find(TYPE, id)
        if discount and (discount.data["end"] is None or at < discount.data["end"]):
            source = discount.data["source"]["coupon"]
            found.append((id, {"coupon": source, "promotion_code": discount.data["promotion_code"]}))
    return found


def without_used(store: Store, ids: list[str]) -> list[str]:
    """The ids less those that were for one invoice only."""
    kept = []
    for id in ids:
        discount = store.find(TYPE, id)
        coupon = store.find("coupon", discount.data["source"]["coupon"]) if discount else None
        if coupon is None or coupon.data["duration"] != "once":
            kept.append(id)
    return kept
