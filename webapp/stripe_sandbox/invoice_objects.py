"""Invoices as objects: how one is put together from its lines. https://docs.stripe.com/api/invoices/object"""

from typing import Any

from webapp.stripe_sandbox.discounts import running, spread
from webapp.stripe_sandbox.page import list_object
from webapp.stripe_sandbox.store import Store, new_id

TYPE = "invoice"
ADDRESS_KEYS = ("city", "country", "line1", "line2", "postal_code", "state")


def compose_invoice(
    store: Store,
    *,
    customer: dict[str, Any],
    currency: str,
    lines: list[dict[str, Any]],
    billing_reason: str,
    subscription: dict[str, Any] | None = None,
    discounts: list[str] | None = None,
    period: tuple[int, int] | None = None,
    asked: dict[str, Any] | None = None,
    prefix: str = "in",
) -> dict[str, Any]:
    """A draft with these lines, discounted, and what would be due on it; nothing is written."""
    asked = asked or {}
    id = new_id(prefix)
    subtotal = sum(line["amount"] for line in lines)
    taken = _take_discounts(store, lines, discounts or [], currency=currency)
    for line in lines:
        line["invoice"] = id
    total = subtotal - sum(one["amount"] for one in taken)
    start, end = period or (store.timestamp, store.timestamp)
    address = customer["address"] or dict.fromkeys(ADDRESS_KEYS)
    invoice = {
        "id": id,
        "object": TYPE,
        "account_country": "US",
        "account_name": "Stripe sandbox",
        "account_tax_ids": None,
        "amount_overpaid": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": asked.get("auto_advance", billing_reason != "manual"),
        "automatic_tax": _automatic_tax(subscription, asked),
        "automatically_finalizes_at": None,
        "billing_reason": billing_reason,
        "collection_method": "charge_automatically",
        "created": store.timestamp,
        "currency": currency,
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "customer_address": address if customer["address"] else None,
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": None,
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        "default_payment_method": asked.get("default_payment_method"),
        "default_source": None,
        "default_tax_rates": [],
        "description": asked.get("description"),
        "discounts": list(discounts or []),
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": asked.get("footer"),
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": list_object(lines, url=f"/v1/invoices/{id}/lines"),
        "livemode": False,
        "metadata": asked.get("metadata", {}),
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": _parent(subscription),
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": end,
        "period_start": start,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": customer["balance"],
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
        "subscription": None,
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "test_clock": None,
        "total": total,
        "total_discount_amounts": taken,
        "total_excluding_tax": total,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
    }
    due, _balance = apply_balance(total, customer["balance"])
    return invoice | {"amount_due": due, "amount_paid": 0, "amount_remaining": due}


def apply_balance(total: int, balance: int) -> tuple[int, int]:
    """What is due after the customer's balance (negative: credit), and the balance then."""
    both = total + balance
    return (0, both) if total <= 0 else (max(0, both), min(0, both))


def _take_discounts(
    store: Store, lines: list[dict[str, Any]], ids: list[str], *, currency: str
) -> list[dict[str, Any]]:
    """`total_discount_amounts`; the lines tell their shares."""
    active = running(store, ids, at=store.timestamp)
    open_lines = [line for line in lines if line["discountable"]]
    amounts = [line["amount"] for line in open_lines]
    taken = []
    for (id, _chosen), shares in zip(
        active, spread(store, [one for _id, one in active], amounts, currency=currency), strict=True
    ):
        for line, share in zip(open_lines, shares, strict=True):
            line["discount_amounts"].append({"amount": share, "discount": id})
        taken.append({"amount": sum(shares), "discount": id})
    return taken


def _automatic_tax(subscription: dict[str, Any] | None, asked: dict[str, Any]) -> dict[str, Any]:
    on = bool((subscription or asked).get("automatic_tax", {}).get("enabled"))
    return {
        "disabled_reason": None,
        "enabled": on,
        "liability": {"type": "self"} if on else None,
        "provider": "stripe" if on else None,
        "status": "complete" if on else None,
    }


def _parent(subscription: dict[str, Any] | None) -> dict[str, Any] | None:
    if subscription is None:
        return None
    details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    return {"quote_details": None, "subscription_details": details, "type": "subscription_details"}


def subscription_of(invoice: dict[str, Any]) -> str | None:
    """The subscription's id, from where the API has it since 2025-03-31."""
    parent = invoice["parent"]
    return parent["subscription_details"]["subscription"] if parent else None


def payments_of(store: Store, invoice: dict[str, Any]) -> dict[str, Any]:
    """The included list `payments`."""
    found = store.match("invoice_payment", {"invoice": invoice["id"]}, limit=10)
    return list_object([one.data for one in found], url=f"/v1/invoices/{invoice['id']}/payments")


def secret_of(store: Store, invoice: dict[str, Any]) -> dict[str, Any] | None:
    """The included `confirmation_secret`: with it the first payment is confirmed in the browser."""
    for payment in store.match("invoice_payment", {"invoice": invoice["id"]}, limit=1):
        intent = store.find("payment_intent", payment.data["payment"]["payment_intent"])
        if intent:
            return {"client_secret": intent.data["client_secret"], "type": "payment_intent"}
    return None
