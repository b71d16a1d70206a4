"""What Stripe says about a payment now: events only ever make us look here."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import stripe

from webapp.billing.reversals import Reversals, fetch_reversals
from webapp.billing.stripe_api import calling, client

_EXPAND = ["payment_intent", "payment_intent.latest_charge"]


@dataclass(frozen=True, kw_only=True)
class Payment:
    """A Checkout Session with its payment intent and charge; money in minor units.

    `status` is open, complete or expired. `paid` says that the money is here; `free` that it is complete and nothing
    had to be paid; `failed` that a delayed payment did not come through. `subtotal_minor` is before discounts and
    taxes: what was agreed. `total_minor` is after both; `tax_minor` of it are taxes, which only count where `taxed`
    says that Stripe was asked to reckon them. `reversals` are its refunds and disputes.
    """

    session_id: str
    status: str
    paid: bool
    free: bool
    failed: bool
    mode: str
    livemode: bool
    subtotal_minor: int | None
    discount_minor: int
    tax_minor: int
    total_minor: int
    taxed: bool
    currency: str
    client_reference: str | None
    purchase_reference: str | None
    payment_intent_id: str | None
    received_minor: int
    reversals: Reversals
    receipt_url: str | None

    @property
    def settled(self) -> bool:
        """Whether nothing more is owed."""
        return self.paid or self.free


def fetch_payment(session_id: str, *, look_for: Collection[str] = ()) -> Payment:
    """The payment as Stripe knows it now. Raises UnknownToStripe or PaymentsUnavailable.

    "refunds" and "disputes" are asked for where the charge says that there are any, and where `look_for` names them:
    failed refunds and inquiries may leave no trace on the charge.
    """
    with calling("retrieve checkout session"):
        found = client().v1.checkout.sessions.retrieve(session_id, params={"expand": _EXPAND})
    intent = _expanded(found.payment_intent)
    charge = _expanded(intent.latest_charge) if intent is not None else None
    details = found.total_details
    return Payment(
        session_id=found.id,
        status=found.status or "",
        paid=found.payment_status == "paid",
        free=found.status == "complete" and found.payment_status == "no_payment_required",
        failed=_delayed_payment_failed(found.status, found.payment_status, intent),
        mode=found.mode,
        livemode=found.livemode,
        subtotal_minor=found.amount_subtotal,
        discount_minor=details.amount_discount if details else 0,
        tax_minor=details.amount_tax if details else 0,
        total_minor=found.amount_total or 0,
        taxed=found.automatic_tax.enabled,
        currency=(found.currency or "").upper(),
        client_reference=found.client_reference_id,
        purchase_reference=_metadata(found.metadata, "purchase"),
        payment_intent_id=intent.id if intent is not None else None,
        received_minor=intent.amount_received if intent is not None else 0,
        reversals=_reversals(intent, charge, look_for),
        receipt_url=charge.receipt_url if charge is not None else None,
    )


def find_session_of(payment_intent_id: str) -> str | None:
    """The Checkout Session that a payment intent belongs to; None when it came about in another way."""
    with calling("list checkout sessions"):
        found = client().v1.checkout.sessions.list(params={"payment_intent": payment_intent_id, "limit": 1})
    return found.data[0].id if found.data else None


def _reversals(
    intent: stripe.PaymentIntent | None, charge: stripe.Charge | None, look_for: Collection[str]
) -> Reversals:
    if intent is None or charge is None:
        return Reversals()
    return fetch_reversals(
        intent.id,
        refunded="refunds" in look_for or charge.amount_refunded > 0,
        disputed="disputes" in look_for or charge.disputed,
    )


def _delayed_payment_failed(status: str | None, payment_status: str, intent: stripe.PaymentIntent | None) -> bool:
    """Stripe: after a failed delayed payment the session stays complete and unpaid; its intent wants another method."""
    return (
        status == "complete"
        and payment_status == "unpaid"
        and intent is not None
        and intent.status in ("requires_payment_method", "canceled")
    )


def _metadata(values: Any, name: str) -> str | None:
    return values[name] if values and name in values else None


def _expanded(value: Any) -> Any:
    """An expanded object; None where there is none."""
    return value if value is not None and not isinstance(value, str) else None
