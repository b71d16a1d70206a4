"""What Stripe says about the checkout of a plan now."""

from dataclasses import dataclass
from typing import Any

from webapp.billing.stripe_api import calling, client

_EXPAND = ["payment_intent"]


@dataclass(frozen=True, kw_only=True)
class OrderPayment:
    """A Checkout Session of a plan; money in minor units.

    `subtotal_minor` is before discounts and taxes: what was agreed. `paid_minor` is what came, `tax_minor` of it taxes.
    `settled` says that it is paid, or that nothing
    had to be paid; `failed` that a delayed payment did not come through.
    """

    session_id: str
    status: str
    settled: bool
    failed: bool
    mode: str
    livemode: bool
    subtotal_minor: int | None
    paid_minor: int
    tax_minor: int
    currency: str
    client_reference: str | None
    order_reference: str | None
    subscription_id: str | None
    payment_intent_id: str | None


def fetch_order_payment(session_id: str) -> OrderPayment:
    """The checkout as Stripe knows it now. Raises UnknownToStripe or PaymentsUnavailable."""
    with calling("retrieve checkout session"):
        found = client().v1.checkout.sessions.retrieve(session_id, params={"expand": _EXPAND}).to_dict()
    return read_order_payment(found)


def read_order_payment(found: dict[str, Any]) -> OrderPayment:
    """Stripe's own object as facts."""
    intent = found.get("payment_intent") if isinstance(found.get("payment_intent"), dict) else None
    subscription = found.get("subscription")
    unpaid = found.get("status") == "complete" and found["payment_status"] == "unpaid"
    return OrderPayment(
        session_id=found["id"],
        status=found.get("status") or "",
        settled=found.get("status") == "complete" and found["payment_status"] in ("paid", "no_payment_required"),
        failed=unpaid and intent is not None and intent["status"] in ("requires_payment_method", "canceled"),
        mode=found["mode"],
        livemode=found["livemode"],
        subtotal_minor=found.get("amount_subtotal"),
        paid_minor=found.get("amount_total") or 0,
        tax_minor=(found.get("total_details") or {}).get("amount_tax") or 0,
        currency=(found.get("currency") or "").upper(),
        client_reference=found.get("client_reference_id"),
        order_reference=(found.get("metadata") or {}).get("plan_order"),
        subscription_id=subscription["id"] if isinstance(subscription, dict) else subscription,
        payment_intent_id=intent["id"] if intent is not None else None,
    )
