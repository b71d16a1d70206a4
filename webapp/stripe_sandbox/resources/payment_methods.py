"""Payment methods: https://docs.stripe.com/api/payment_methods"""

from typing import Any

from webapp.stripe_sandbox.operations import Operation, retrieve
from webapp.stripe_sandbox.store import Store, new_id, snapshot

TYPE = "payment_method"

CHECKS = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}
GOOD_CARD = {"last4": "4242", "brand": "visa", "fingerprint": "Xt5EWLLDS7FJjR1c"}
DECLINED_CARD = {"last4": "0002", "brand": "visa", "fingerprint": "OVUnAhdoTQ2B7rFk"}

# what a buyer would use in this currency when the money takes days
DELAYED_TYPES = {"eur": "sepa_debit", "gbp": "bacs_debit", "usd": "us_bank_account", "cad": "acss_debit"}
OTHER_DELAYED_TYPE = "customer_balance"


def delayed_type(currency: str) -> str:
    return DELAYED_TYPES.get(currency, OTHER_DELAYED_TYPE)


def make_payment_method(
    store: Store, *, type: str, card: dict[str, str] | None, billing: dict[str, Any], customer: str | None
) -> dict[str, Any]:
    """A payment method exists; `card` for the type "card" alone."""
    method: dict[str, Any] = {
        "id": new_id("pm"),
        "object": TYPE,
        "allow_redisplay": "limited",
        "billing_details": snapshot(billing),
        "created": store.timestamp,
        "customer": customer,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": type,
    }
    if card is not None:
        method["card"] = {
            **card,
            "checks": dict(CHECKS),
            "country": "US",
            "display_brand": card["brand"],
            "exp_month": 12,
            "exp_year": 2034,
            "funding": "credit",
            "generated_from": None,
            "networks": {"available": [card["brand"]], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }
    store.insert(method)
    return method


def method_details(type: str, card: dict[str, str] | None, *, amount: int) -> dict[str, Any]:
    """`payment_method_details` of a charge; types other than card tell their name only."""
    if card is None:
        return {"type": type}
    return {
        "type": "card",
        "card": {
            **card,
            "amount_authorized": amount,
            "authorization_code": None,
            "checks": dict(CHECKS),
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "extended_authorization": {"status": "disabled"},
            "funding": "credit",
            "incremental_authorization": {"status": "unavailable"},
            "installments": None,
            "mandate": None,
            "multicapture": {"status": "unavailable"},
            "network": card["brand"],
            "network_token": {"used": False},
            "network_transaction_id": "103060017401620",
            "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
            "regulated_status": "unregulated",
            "three_d_secure": None,
            "transaction_link_id": None,
            "wallet": None,
        },
    }


OPERATIONS: tuple[Operation, ...] = (retrieve("/v1/payment_methods/<id>", type=TYPE, param="payment_method"),)
