"""Every parameter that the sandbox takes is one that the SDK's typed parameters know, down to the last field."""

import sys
import typing
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
import stripe
from stripe import params as sdk
from stripe.params import billing_portal, checkout

from webapp.stripe_sandbox.operations import Operation
from webapp.stripe_sandbox.operations_table import OPERATIONS
from webapp.stripe_sandbox.params import Array, Reader, Shape

NAMES = {
    "charges": "Charge",
    "coupons": "Coupon",
    "customers": "Customer",
    "disputes": "Dispute",
    "invoiceitems": "InvoiceItem",
    "invoices": "Invoice",
    "payment_intents": "PaymentIntent",
    "payment_methods": "PaymentMethod",
    "prices": "Price",
    "products": "Product",
    "promotion_codes": "PromotionCode",
    "refunds": "Refund",
    "setup_intents": "SetupIntent",
    "subscriptions": "Subscription",
    "webhook_endpoints": "WebhookEndpoint",
    "checkout/sessions": "checkout.Session",
    "billing_portal/sessions": "billing_portal.Session",
    "billing_portal/configurations": "billing_portal.Configuration",
}
VERBS = {
    "finalize": "FinalizeInvoice",
    "void": "VoidInvoice",
}
# `Any`-like names that are imported for type checkers alone
ELSEWHERE: dict[str, Any] = {"StripeContext": Any, "RequestOptions": Any}
OTHERS = {"metadata"}  # maps whose keys are the merchant's
WRITES = [operation for operation in OPERATIONS if operation.method != "GET"]


def class_of(operation: Operation) -> Any:
    """`/v1/invoices/<id>/pay` → `InvoicePayParams`"""
    parts = operation.path.removeprefix("/v1/").split("/<id>")
    name = NAMES[parts[0].removesuffix("/create_preview")]
    verb = parts[1].strip("/") if len(parts) > 1 else "create"
    if operation.path.endswith("create_preview"):
        verb = "create_preview"
    if verb == "":
        verb = "update" if operation.method == "POST" else "delete"
    if operation.method == "DELETE" and name == "Subscription":
        verb = "cancel"
    camel = VERBS.get(verb, "".join(word.capitalize() for word in verb.split("_")))
    area, _, short = name.rpartition(".")
    module = {"": sdk, "checkout": checkout, "billing_portal": billing_portal}[area]
    return getattr(module, f"{short}{camel}Params")


def hints_of(typed: Any) -> dict[str, Any]:
    module = vars(sys.modules[typed.__module__])
    hints: dict[str, Any] = get_type_hints(typed, globalns={**vars(typing), **vars(stripe), **ELSEWHERE, **module})
    return hints


def dicts_in(annotation: Any) -> Iterator[Any]:
    """The typed dicts that an annotation allows, however they are wrapped."""
    if hasattr(annotation, "__total__"):
        yield annotation
    for inner in get_args(annotation):
        yield from dicts_in(inner)


def unknown_in(reader: Reader, annotations: list[Any], *, at: str) -> Iterator[str]:
    if isinstance(reader, Array):
        yield from unknown_in(reader.item, annotations, at=f"{at}[]")
    if not isinstance(reader, Shape):
        return
    typed = [one for annotation in annotations for one in dicts_in(annotation)]
    known: dict[str, list[Any]] = {}
    for one in typed:
        for key, hint in hints_of(one).items():
            known.setdefault(key, []).append(hint)
    for key, field in reader.fields.items():
        if key not in known:
            yield f"{at}.{key}"
        elif key not in OTHERS:
            yield from unknown_in(field, known[key], at=f"{at}.{key}")


@pytest.mark.parametrize("operation", WRITES, ids=[f"{one.method} {one.path}" for one in WRITES])
def test_parameters_are_the_sdks(operation: Operation) -> None:
    typed = class_of(operation)
    assert list(unknown_in(operation.params, [typed], at=typed.__name__)) == []


def test_the_comparison_finds_what_it_is_for() -> None:
    made_up = Shape({"amount": Shape({}, ()), "colour": Shape({}, ())}, ())
    assert list(unknown_in(made_up, [sdk.RefundCreateParams], at="refund")) == ["refund.colour"]
