"""What subscriptions may be made and changed with. https://docs.stripe.com/api/subscriptions"""

from webapp.stripe_sandbox.discounts import ASKED
from webapp.stripe_sandbox.errors import invalid
from webapp.stripe_sandbox.form import Nested
from webapp.stripe_sandbox.params import (
    Reader,
    array,
    boolean,
    currency,
    integer,
    metadata,
    one_of,
    shape,
    text,
    timestamp,
)
from webapp.stripe_sandbox.price_amounts import AMOUNTS, EVERY, TAX_BEHAVIOR

ID = text(max_length=255)


def now_or(other: Reader) -> Reader:
    """`now`, or what the other reader takes."""

    def read(raw: Nested, name: str) -> object:
        return "now" if raw == "now" else other(raw, name)

    return read


def _cancel_at(raw: Nested, name: str) -> object:
    return None if raw == "" else timestamp()(raw, name)


def _only(value: str) -> Reader:
    def read(raw: Nested, name: str) -> str:
        if raw != value:
            raise invalid(f"The sandbox covers only `{value}` here.", param=name)
        return value

    return read


PRICE_DATA = shape(
    {
        **AMOUNTS,
        "currency": currency(),
        "product": ID,
        "recurring": EVERY,
        "tax_behavior": TAX_BEHAVIOR,
    },
    required=("currency", "product", "recurring"),
)
ITEM = {
    "metadata": metadata(),
    "price": ID,
    "price_data": PRICE_DATA,
    "quantity": integer(minimum=0, maximum=999_999),
}
CHANGED_ITEM = {**ITEM, "clear_usage": boolean(), "deleted": boolean(), "id": ID}
MISSING_METHOD = one_of("cancel", "create_invoice", "pause")
TRIAL_SETTINGS = shape(
    {"end_behavior": shape({"missing_payment_method": MISSING_METHOD}, required=("missing_payment_method",))}
)
PRORATION = one_of("always_invoice", "create_prorations", "none")
AUTOMATIC_TAX = shape({"enabled": boolean()}, required=("enabled",))
BEHAVIOR = one_of("allow_incomplete", "default_incomplete", "error_if_incomplete")
CHANGE_BEHAVIOR = one_of("allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete")
CANCELLATION = shape(
    {
        "comment": text(blank=True),
        "feedback": one_of(
            "customer_service",
            "low_quality",
            "missing_features",
            "other",
            "switched_service",
            "too_complex",
            "too_expensive",
            "unused",
        ),
    }
)
SHARED: dict[str, Reader] = {
    "automatic_tax": AUTOMATIC_TAX,
    "cancel_at": _cancel_at,
    "cancel_at_period_end": boolean(),
    "collection_method": _only("charge_automatically"),
    "default_payment_method": ID,
    "description": text(max_length=500, blank=True),
    "discounts": ASKED,
    "metadata": metadata(),
    "off_session": boolean(),
    "payment_behavior": BEHAVIOR,
    "payment_settings": shape(
        {
            "payment_method_types": array(text(max_length=100)),
            "save_default_payment_method": one_of("off", "on_subscription"),
        }
    ),
    "proration_behavior": PRORATION,
    "trial_settings": TRIAL_SETTINGS,
}
CREATE: dict[str, Reader] = {
    **SHARED,
    "currency": text(max_length=3),
    "customer": ID,
    "items": array(shape(ITEM), max_length=20),
    "trial_end": now_or(timestamp()),
    "trial_period_days": integer(minimum=1, maximum=730),
}
UPDATE: dict[str, Reader] = {
    **SHARED,
    "billing_cycle_anchor": one_of("now", "unchanged"),
    "cancellation_details": CANCELLATION,
    "items": array(shape(CHANGED_ITEM), max_length=20),
    "payment_behavior": CHANGE_BEHAVIOR,
    "proration_date": timestamp(),
    "trial_end": now_or(timestamp()),
}
CANCEL: dict[str, Reader] = {
    "cancellation_details": CANCELLATION,
    "invoice_now": boolean(),
    "prorate": boolean(),
}
PREVIEW: dict[str, Reader] = {
    "automatic_tax": AUTOMATIC_TAX,
    "currency": text(max_length=3),
    "customer": ID,
    "discounts": ASKED,
    "preview_mode": one_of("next"),
    "subscription": ID,
    "subscription_details": shape(
        {
            "billing_cycle_anchor": one_of("now", "unchanged"),
            "cancel_at_period_end": boolean(),
            "cancel_now": boolean(),
            "items": array(shape(CHANGED_ITEM), max_length=20),
            "proration_behavior": PRORATION,
            "proration_date": timestamp(),
            "trial_end": now_or(timestamp()),
        }
    ),
}
