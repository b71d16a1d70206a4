"""Stripe as far as subscriptions go, behind the real SDK and without HTTP: for tests of thousands of deliveries.

`Subscriptions` is the SDK's way to the network. It answers from stories that grow while events about them are on their
way: what a handler reads is always the state of that moment.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import stripe

from tests.billing.plans import Story
from webapp.billing.subscription_facts import InvoiceFacts, LineFacts


class Subscriptions(stripe.HTTPClient):
    """Answers the SDK's GETs about subscriptions, invoices and their refunds."""

    name = "subscriptions"

    def __init__(self) -> None:
        super().__init__()
        self.stories: dict[str, Story] = {}
        self.lock = threading.Lock()

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        assert method == "get", url
        parts = urlsplit(url)
        *_rest, noun, last = parts.path.split("/")
        query = parse_qs(parts.query)
        with self.lock:
            if noun == "subscriptions":
                answer = subscription_object(self.stories[last])
            elif noun == "invoices":
                answer = invoice_object(self._invoice(lambda one: one.id == last))
            else:
                answer = {"object": "list", "data": self._list(last, query), "has_more": False, "url": parts.path}
        return json.dumps(answer), 200, {}

    def _list(self, what: str, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """Newest first."""
        if what == "invoices":
            return [invoice_object(one) for one in self.stories[query["subscription"][0]].invoices[::-1]]
        if what == "invoice_payments":
            intent = query["payment[payment_intent]"][0]
            found = self._invoice(lambda one: one.payment_intent_id == intent)
            return [{"id": "inpay_1", "object": "invoice_payment", "invoice": found.id}]
        if what == "refunds":
            made = [one for story in self.stories.values() for one in story.refunds[::-1]]
            return [one for one in made if one["payment_intent"] == query["payment_intent"][0]]
        assert what in ("disputes", "sessions"), what
        return []

    def _invoice(self, wanted: Callable[[InvoiceFacts], bool]) -> InvoiceFacts:
        return next(one for story in self.stories.values() for one in story.invoices if wanted(one))

    def close(self) -> None:
        """Nothing is open."""


def subscription_object(story: Story) -> dict[str, Any]:
    facts = story.facts()
    item = {
        "id": facts.item_id,
        "object": "subscription_item",
        "price": {"id": facts.price_id, "object": "price"},
        "current_period_start": _seconds(facts.period_starts_at),
        "current_period_end": _seconds(facts.period_ends_at),
    }
    return {
        "id": story.id,
        "object": "subscription",
        "customer": facts.customer_id,
        "livemode": False,
        "status": facts.status,
        "items": {"object": "list", "data": [item], "has_more": False},
        "created": _seconds(facts.created_at),
        "trial_start": None,
        "trial_end": None,
        "cancel_at_period_end": facts.cancel_at_period_end,
        "cancel_at": None,
        "ended_at": _seconds(facts.ended_at),
        "default_payment_method": None,
    }


def invoice_object(invoice: InvoiceFacts) -> dict[str, Any]:
    payment = {"status": "paid", "payment": {"payment_intent": invoice.payment_intent_id, "type": "payment_intent"}}
    return {
        "id": invoice.id,
        "object": "invoice",
        "parent": {"subscription_details": {"subscription": invoice.subscription_id}},
        "billing_reason": invoice.billing_reason,
        "status": invoice.status,
        "total": invoice.total_minor,
        "amount_paid": invoice.paid_minor,
        "currency": "eur",
        "created": _seconds(invoice.created_at),
        "status_transitions": {"paid_at": _seconds(invoice.paid_at)},
        "hosted_invoice_url": invoice.hosted_url,
        "payments": {"object": "list", "data": [payment] if invoice.is_paid else []},
        "lines": {"object": "list", "data": [_line(one) for one in invoice.lines]},
    }


def _line(line: LineFacts) -> dict[str, Any]:
    return {
        "object": "line_item",
        "amount": line.amount_minor,
        "period": {"start": _seconds(line.starts_at), "end": _seconds(line.ends_at)},
        "parent": {"subscription_item_details": {"proration": line.proration}},
        "pricing": {"price_details": {"price": line.price_id}},
        "discount_amounts": [],
    }


def _seconds(moment: Any) -> int | None:
    return None if moment is None else int(moment.timestamp())
