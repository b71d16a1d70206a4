"""What Stripe says about a subscription and its invoices now: events only ever make us look here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from webapp.billing.stripe_api import UnknownToStripe, calling, client

PAGE = 100
_EXPAND = ["payments", "payments.data.payment.payment_intent"]
# Error codes that a customer mends by saying where they are: https://docs.stripe.com/error-codes
_ADDRESS_CODES = ("customer_tax_location_invalid", "tax_id_invalid")
# What we leave with a subscription that ends at our word: the code of the plan that its holder wants then.
THEN = "then"
NOTHING_FOLLOWS = "nothing"
Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class LineFacts:
    """A line of an invoice. `amount_minor` is after discounts and before taxes; negative for what is given back.

    `listed_minor` is before discounts, None where it is not known. `proration` marks a part of a period, made by a
    change in its middle.
    """

    price_id: str | None
    starts_at: datetime
    ends_at: datetime
    amount_minor: int
    proration: bool
    listed_minor: int | None = None


@dataclass(frozen=True, kw_only=True)
class InvoiceFacts:
    """An invoice of a subscription; money in minor units.

    `finalization_error` is why Stripe could not make it ready, in its words; `lacks_address` that it has to know better
    where the customer is. `wants_confirmation`: the bank asks the cardholder to confirm its payment.
    """

    id: str
    subscription_id: str | None
    billing_reason: str
    status: str
    total_minor: int
    paid_minor: int
    currency: str
    created_at: datetime
    paid_at: datetime | None
    hosted_url: str | None
    payment_intent_id: str | None
    lines: tuple[LineFacts, ...]
    finalization_error: str | None = None
    lacks_address: bool = False
    wants_confirmation: bool = False

    @property
    def is_paid(self) -> bool:
        return self.status == "paid"

    @property
    def is_waiting(self) -> bool:
        """Whether the customer could pay it now."""
        return self.status == "open"


@dataclass(frozen=True, kw_only=True)
class SubscriptionFacts:
    """A subscription with its one item, and its invoices, oldest first.

    `then` is what we told Stripe last would follow it; None where we never did.
    """

    id: str
    customer_id: str
    livemode: bool
    status: str
    item_id: str | None
    price_id: str | None
    created_at: datetime
    period_starts_at: datetime | None
    period_ends_at: datetime | None
    trial_starts_at: datetime | None
    trial_ends_at: datetime | None
    cancel_at_period_end: bool
    ended_at: datetime | None
    payment_method_id: str | None
    invoices: tuple[InvoiceFacts, ...]
    then: str | None = None


def fetch_subscription(subscription_id: str, *, invoice_id: str | None = None) -> SubscriptionFacts:
    """The subscription as Stripe knows it now, with its newest hundred invoices and `invoice_id`.

    Raises UnknownToStripe or PaymentsUnavailable.
    """
    with calling("retrieve subscription"):
        found = client().v1.subscriptions.retrieve(subscription_id).to_dict()
    with calling("list invoices"):
        listed = client().v1.invoices.list(
            params={"subscription": subscription_id, "limit": PAGE, "expand": ["data.payments"]}
        )
    invoices = {one["id"]: one for one in (invoice.to_dict() for invoice in listed.data)}
    waiting = [one["id"] for one in invoices.values() if one.get("status") == "open"]
    # Four levels are all that Stripe expands, so what a payment waits for is asked for one by one.
    for id in {*waiting[:1], *([invoice_id] if invoice_id and invoice_id not in invoices else [])}:
        invoices[id] = _fetch_invoice(id)
    return read_subscription(found, list(invoices.values()))


def subscription_of_invoice(invoice_id: str) -> str | None:
    """The subscription that an invoice is of, as Stripe knows it; None for another kind of invoice."""
    try:
        return read_invoice(_fetch_invoice(invoice_id)).subscription_id
    except UnknownToStripe:
        return None


def _fetch_invoice(invoice_id: str) -> dict[str, Any]:
    with calling("retrieve invoice"):
        return client().v1.invoices.retrieve(invoice_id, params={"expand": _EXPAND}).to_dict()


def read_subscription(found: Json, invoices: Sequence[Json]) -> SubscriptionFacts:
    """Stripe's own objects as facts."""
    items = found["items"]["data"]
    item: Json = items[0] if items else {}
    facts = [read_invoice(one) for one in invoices]
    return SubscriptionFacts(
        id=found["id"],
        customer_id=_id(found["customer"]) or "",
        livemode=found["livemode"],
        status=found["status"],
        item_id=item.get("id"),
        price_id=_id(item.get("price")),
        created_at=_moment(found["created"]),
        period_starts_at=_maybe(item.get("current_period_start")),
        period_ends_at=_maybe(item.get("current_period_end")),
        trial_starts_at=_maybe(found.get("trial_start")),
        trial_ends_at=_maybe(found.get("trial_end")),
        cancel_at_period_end=bool(found.get("cancel_at_period_end")) or found.get("cancel_at") is not None,
        ended_at=_maybe(found.get("ended_at")),
        payment_method_id=_id(found.get("default_payment_method")),
        then=(found.get("metadata") or {}).get(THEN),
        invoices=tuple(
            sorted(
                (one for one in facts if one.subscription_id == found["id"]), key=lambda one: (one.created_at, one.id)
            )
        ),
    )


def read_invoice(found: Json) -> InvoiceFacts:
    """One of Stripe's invoices as facts."""
    parent = found.get("parent") or {}
    details = parent.get("subscription_details") or {}
    return InvoiceFacts(
        id=found["id"],
        subscription_id=_id(details.get("subscription")),
        billing_reason=found.get("billing_reason") or "manual",
        status=found.get("status") or "draft",
        total_minor=found["total"],
        paid_minor=found["amount_paid"],
        currency=found["currency"].upper(),
        created_at=_moment(found["created"]),
        paid_at=_maybe((found.get("status_transitions") or {}).get("paid_at")),
        hosted_url=found.get("hosted_invoice_url"),
        payment_intent_id=_payment_intent(found),
        lines=tuple(_read_line(line) for line in found["lines"]["data"]),
        finalization_error=_finalization_error(found),
        lacks_address=_lacks_address(found),
        wants_confirmation=found.get("status") == "open" and any(map(_wants_confirmation, _intents(found))),
    )


def _finalization_error(invoice: Json) -> str | None:
    error = invoice.get("last_finalization_error")
    if invoice.get("status") != "draft" or not error:
        return None
    return f"{error.get('code') or error.get('type')}: {error.get('message')}"[:500]


def _lacks_address(invoice: Json) -> bool:
    error = invoice.get("last_finalization_error") or {}
    known = (invoice.get("automatic_tax") or {}).get("status") != "requires_location_inputs"
    return invoice.get("status") == "draft" and (not known or error.get("code") in _ADDRESS_CODES)


def _intents(invoice: Json) -> list[Any]:
    payments = (invoice.get("payments") or {}).get("data") or []
    return [(one.get("payment") or {}).get("payment_intent") for one in payments]


def _wants_confirmation(intent: Any) -> bool:
    """By the payment intent, where it was expanded. A payment without the cardholder says it by an error."""
    if not isinstance(intent, Mapping):
        return False
    error = intent.get("last_payment_error") or {}
    return intent.get("status") == "requires_action" or error.get("code") == "authentication_required"


def _read_line(line: Json) -> LineFacts:
    parent = line.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    price = ((line.get("pricing") or {}).get("price_details") or {}).get("price")
    discounts = sum(one["amount"] for one in line.get("discount_amounts") or [])
    return LineFacts(
        price_id=_id(price),
        starts_at=_moment(line["period"]["start"]),
        ends_at=_moment(line["period"]["end"]),
        amount_minor=line["amount"] - discounts,
        proration=bool(details.get("proration")),
        listed_minor=line["amount"],
    )


def _payment_intent(invoice: Json) -> str | None:
    """The one that paid it, or is to pay it."""
    payments = (invoice.get("payments") or {}).get("data") or []
    ranked = sorted(payments, key=lambda one: one.get("status") != "paid")
    for one in ranked:
        intent = _id((one.get("payment") or {}).get("payment_intent"))
        if intent is not None:
            return intent
    return None


def _id(value: Any) -> str | None:
    """The id of an object, expanded or not."""
    if value is None or isinstance(value, str):
        return value
    found: str = value["id"]
    return found


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _maybe(seconds: int | None) -> datetime | None:
    return None if seconds is None else _moment(seconds)
