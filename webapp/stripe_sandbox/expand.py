"""Expands ids into objects, as `expand[]` asks. https://docs.stripe.com/api/expanding_objects"""

from collections.abc import Callable
from typing import Any

from webapp.stripe_sandbox.errors import StripeError
from webapp.stripe_sandbox.store import Store, snapshot

MAX_DEPTH = 4

# which fields hold an id that may be expanded
EXPANDABLE: dict[str, frozenset[str]] = {
    # hashes without a type of their own, such as `invoice_settings` or `parent.subscription_details`
    "": frozenset(
        {
            "coupon",
            "default_payment_method",
            "invoice",
            "payment_intent",
            "price",
            "product",
            "promotion_code",
            "subscription",
        }
    ),
    "balance_transaction": frozenset({"source"}),
    "billing_portal.session": frozenset({"configuration"}),
    "charge": frozenset({"balance_transaction", "customer", "failure_balance_transaction", "payment_intent", "review"}),
    "checkout.session": frozenset(
        {"customer", "invoice", "payment_intent", "payment_link", "setup_intent", "subscription"}
    ),
    "customer": frozenset({"default_source", "test_clock"}),
    "discount": frozenset({"customer", "promotion_code"}),
    "dispute": frozenset({"charge", "payment_intent"}),
    "invoice": frozenset({"customer", "default_payment_method", "discounts", "latest_revision"}),
    "invoice_payment": frozenset({"invoice"}),
    "invoiceitem": frozenset({"customer", "invoice"}),
    "item": frozenset(),
    "line_item": frozenset({"discounts", "subscription"}),
    "payment_intent": frozenset({"customer", "latest_charge", "payment_method", "review"}),
    "payment_method": frozenset({"customer"}),
    "price": frozenset({"product"}),
    "product": frozenset({"default_price", "tax_code"}),
    "promotion_code": frozenset({"customer"}),
    "refund": frozenset({"balance_transaction", "charge", "customer", "payment_intent", "payment_method"}),
    "setup_attempt": frozenset({"customer", "payment_method", "setup_intent"}),
    "setup_intent": frozenset({"customer", "latest_attempt", "payment_method"}),
    "subscription": frozenset(
        {"customer", "default_payment_method", "discounts", "latest_invoice", "pending_setup_intent", "schedule"}
    ),
    "subscription_item": frozenset({"discounts"}),
}

Include = Callable[[Store, dict[str, Any]], dict[str, Any]]

# which fields are there only when they are asked for; resources add theirs
INCLUDABLE: dict[tuple[str, str], Include] = {}


def expand(store: Store, answer: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """A copy of the answer with every path expanded. Raises StripeError for a path that cannot be."""
    expanded = snapshot(answer)
    for path in paths:
        steps = path.split(".")
        depth = len([step for step in steps if step != "data"])
        if depth > MAX_DEPTH:
            raise StripeError(
                f"You cannot expand more than {MAX_DEPTH} levels of a property. Property: {path}",
                param="expand",
            )
        _expand_path(store, expanded, steps, path=path)
    return expanded


def _expand_path(store: Store, at: dict[str, Any], steps: list[str], *, path: str) -> None:
    step, rest = steps[0], steps[1:]
    if at.get("object") == "list" and step == "data":
        for item in at["data"]:
            if rest:
                _expand_path(store, item, rest, path=path)
        return
    at[step] = _expanded_value(store, at, step, path=path, last=not rest)
    if rest and isinstance(at[step], dict):
        _expand_path(store, at[step], rest, path=path)
    elif rest and isinstance(at[step], list):
        for inner in at[step]:
            if isinstance(inner, dict):
                _expand_path(store, inner, rest, path=path)


def _expanded_value(store: Store, at: dict[str, Any], step: str, *, path: str, last: bool) -> Any:
    kind = at.get("object", "")
    if (kind, step) in INCLUDABLE:
        given = at.get(step)
        return given if isinstance(given, dict) else INCLUDABLE[kind, step](store, at)
    value = at.get(step)
    if isinstance(value, list) and not last:
        expands = step in EXPANDABLE.get(kind, frozenset())
        return [_object_of(store, one) for one in value] if expands else value
    if isinstance(value, dict) and (not last or step in EXPANDABLE.get(kind, frozenset())):
        return value
    if step not in at or step not in EXPANDABLE.get(kind, frozenset()):
        raise StripeError(f"This property cannot be expanded ({path}).", param="expand[]")
    if isinstance(value, list):
        return [_object_of(store, one) for one in value]
    return _object_of(store, value)


def _object_of(store: Store, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    stored = store.find_any(value)
    return value if stored is None else snapshot(stored.data)
