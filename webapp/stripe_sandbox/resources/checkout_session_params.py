"""What a Checkout Session may be created with, and the rules between its parameters.

https://docs.stripe.com/api/checkout/sessions/create
"""

from typing import Any

from webapp.stripe_sandbox.discounts import ASKED
from webapp.stripe_sandbox.errors import (
    StripeError,
    exclusive_params,
    invalid,
    missing_param,
)
from webapp.stripe_sandbox.params import (
    Reader,
    array,
    boolean,
    currency,
    email,
    integer,
    metadata,
    one_of,
    shape,
    text,
    timestamp,
    url,
)
from webapp.stripe_sandbox.resources.payment_methods import REDISPLAY
from webapp.stripe_sandbox.resources.prices import PRICE_DATA
from webapp.stripe_sandbox.resources.subscription_params import AUTOMATIC_TAX, TRIAL_SETTINGS

# Stripe's own list; Arabic and Hebrew are not in it
LOCALE_TAGS = """
    auto bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hr hu id it ja ko lt lv ms mt nb nl pl pt
    pt-BR ro ru sk sl sv th tr vi zh zh-HK zh-TW
"""

SHORTEST_SECONDS = 30 * 60
LONGEST_SECONDS = 24 * 3_600

LINE_ITEM = shape(
    {
        "adjustable_quantity": shape({"enabled": boolean()}),
        "metadata": metadata(),
        "price": text(max_length=255),
        "price_data": PRICE_DATA,
        "quantity": integer(minimum=1, maximum=999_999),
    }
)

FIELDS: dict[str, Reader] = {
    "allow_promotion_codes": boolean(),
    "allowed_payment_method_types": array(text(max_length=100)),
    "automatic_tax": AUTOMATIC_TAX,
    "billing_address_collection": one_of("auto", "required"),
    "cancel_url": url(),
    "client_reference_id": text(max_length=200),
    "consent_collection": shape({"promotions": one_of("auto", "none"), "terms_of_service": one_of("none", "required")}),
    "currency": currency(),
    "customer": text(max_length=255),
    "customer_creation": one_of("always", "if_required"),
    "customer_email": email(),
    "customer_update": shape({key: one_of("auto", "never") for key in ("address", "name", "shipping")}),
    "discounts": ASKED,
    "expires_at": timestamp(),
    "integration_identifier": text(max_length=255),
    "invoice_creation": shape(
        {
            "enabled": boolean(),
            "invoice_data": shape({"description": text(max_length=1_500), "footer": text(), "metadata": metadata()}),
        },
        required=("enabled",),
    ),
    "line_items": array(LINE_ITEM),
    "locale": one_of(*LOCALE_TAGS.split()),
    "metadata": metadata(),
    "mode": one_of("payment", "setup", "subscription"),
    "payment_intent_data": shape(
        {
            "capture_method": one_of("automatic", "automatic_async"),
            "description": text(max_length=1_000),
            "metadata": metadata(),
            "receipt_email": email(),
            "setup_future_usage": one_of("off_session", "on_session"),
            "statement_descriptor": text(max_length=22),
            "statement_descriptor_suffix": text(max_length=22),
        }
    ),
    "payment_method_collection": one_of("always", "if_required"),
    "payment_method_data": shape({"allow_redisplay": REDISPLAY}),
    "phone_number_collection": shape({"enabled": boolean()}, required=("enabled",)),
    "saved_payment_method_options": shape(
        {
            "allow_redisplay_filters": array(REDISPLAY),
            "payment_method_remove": one_of("disabled", "enabled"),
            "payment_method_save": one_of("disabled", "enabled"),
        }
    ),
    "setup_intent_data": shape({"description": text(max_length=1_000), "metadata": metadata()}),
    "submit_type": one_of("auto", "book", "donate", "pay", "subscribe"),
    "subscription_data": shape(
        {
            "description": text(max_length=500),
            "metadata": metadata(),
            "proration_behavior": one_of("create_prorations", "none"),
            "trial_end": timestamp(),
            "trial_period_days": integer(minimum=1, maximum=730),
            "trial_settings": TRIAL_SETTINGS,
        }
    ),
    "success_url": url(),
    "tax_id_collection": shape({"enabled": boolean()}, required=("enabled",)),
    "ui_mode": one_of("hosted_page"),
}


ONLY_IN = {
    "customer_creation": ("payment", "setup"),
    "discounts": ("payment", "subscription"),
    "invoice_creation": ("payment",),
    "line_items": ("payment", "subscription"),
    "payment_intent_data": ("payment",),
    "payment_method_collection": ("subscription",),
    "setup_intent_data": ("setup",),
    "submit_type": ("payment",),
    "subscription_data": ("subscription",),
}


def require_consistent(params: dict[str, Any], *, now: int) -> None:
    """Raises StripeError for the first rule between parameters that is broken."""
    mode = params.get("mode")
    if mode is None:
        raise missing_param("mode")
    if "success_url" not in params:
        raise missing_param("success_url")
    _require_fitting(mode, params)
    if mode != "setup" and not params.get("line_items"):
        raise StripeError(
            f"You must provide `line_items` in `{mode}` mode.", code="parameter_missing", param="line_items"
        )
    if mode == "setup" and not {"currency", "allowed_payment_method_types"} & params.keys():
        raise missing_param("currency")
    if params.get("discounts") and "allow_promotion_codes" in params:
        raise exclusive_params("allow_promotion_codes", "discounts")
    if "customer" in params and "customer_email" in params:
        raise exclusive_params("customer", "customer_email")
    if "customer" in params and "customer_creation" in params:
        raise exclusive_params("customer", "customer_creation")
    if "customer_update" in params and "customer" not in params:
        raise invalid("`customer_update` can only be used with `customer`.", param="customer_update")
    saving = params.get("saved_payment_method_options", {}).get("payment_method_save") == "enabled"
    if saving and "customer" not in params and params.get("customer_creation") != "always":
        raise invalid(
            "`saved_payment_method_options[payment_method_save]` can only be used with a customer.",
            param="saved_payment_method_options[payment_method_save]",
        )
    _require_line_items(params.get("line_items", []), mode=mode)
    _require_expiry(params.get("expires_at"), now=now)


def require_tax_location(params: dict[str, Any], customer: dict[str, Any] | None) -> None:
    """Raises StripeError where taxes cannot be told because nobody will say where the customer lives."""
    taxed = params.get("automatic_tax", {}).get("enabled", False)
    asks = params.get("customer_update", {}).get("address") == "auto"
    if not taxed or customer is None or customer["address"] is not None or asks:
        return
    raise invalid(
        "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to the"
        " Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to 'auto' to"
        " save the address entered in Checkout to the Customer.",
        param="automatic_tax",
        code="customer_tax_location_invalid",
    )


def _require_fitting(mode: str, params: dict[str, Any]) -> None:
    for name, modes in ONLY_IN.items():
        if name in params and mode not in modes:
            raise invalid(f"You can not pass `{name}` in `{mode}` mode.", param=name)


def _require_line_items(items: list[dict[str, Any]], *, mode: str) -> None:
    for place, item in enumerate(items):
        name = f"line_items[{place}]"
        if "price" in item and "price_data" in item:
            raise exclusive_params(f"{name}[price]", f"{name}[price_data]")
        if "price" not in item and "price_data" not in item:
            raise missing_param(f"{name}[price]")
        if "quantity" not in item:
            raise StripeError(f"Quantity is required. Add `quantity` to `{name}`", param=name, code="parameter_missing")
        if mode == "payment" and "recurring" in item.get("price_data", {}):
            raise recurring_price(name)


def _require_expiry(expires_at: int | None, *, now: int) -> None:
    if expires_at is None:
        return
    if expires_at < now + SHORTEST_SECONDS:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
            param="expires_at",
        )
    if expires_at > now + LONGEST_SECONDS:
        raise invalid(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
            param="expires_at",
        )


def recurring_price(name: str) -> StripeError:
    return invalid(
        "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or "
        "use only one-time prices.",
        param=name,
    )
