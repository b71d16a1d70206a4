"""Stripe as far as one payment goes, behind the real SDK and without HTTP: for tests of thousands of deliveries.

`Payments` is the SDK's way to the network. It answers from payments whose facts happen one after the other; each fact
gives the events that Stripe would send for it. What a handler reads is always the state of that moment.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import stripe

PRICE = 900


@dataclass
class Payment:
    """One payment in the making: `happen("paid")` and so on change it and return the events."""

    purchase_id: int
    external_id: str
    paid: bool = False
    refunds: list[dict[str, Any]] = field(default_factory=list)
    disputes: list[dict[str, Any]] = field(default_factory=list)
    events: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def session_id(self) -> str:
        return f"cs_test_double{self.purchase_id}"

    @property
    def intent_id(self) -> str:
        return f"pi_double{self.purchase_id}"

    def happen(self, fact: str) -> list[dict[str, Any]]:
        """The fact is true from now on; the events that say so, with the object as it is now."""
        name, _, amount = fact.partition(":")
        with self.lock:
            types, thing = getattr(self, f"_{name}")(*([int(amount)] if amount else []))
            return [self._event(type, json.loads(json.dumps(thing))) for type in types]

    def _completed_unpaid(self) -> tuple[list[str], dict[str, Any]]:
        return ["checkout.session.completed"], self.session()

    def _async_success(self) -> tuple[list[str], dict[str, Any]]:
        self.paid = True
        return ["checkout.session.async_payment_succeeded"], self.session()

    def _refund(self, amount: int) -> tuple[list[str], dict[str, Any]]:
        refund = {"id": f"re_{self.purchase_id}_{len(self.refunds)}", "object": "refund", "amount": amount}
        refund |= {"currency": "eur", "status": "succeeded", "created": 1_700_000_000 + len(self.refunds)}
        refund |= {"payment_intent": self.intent_id, "metadata": {}, "failure_reason": None}
        self.refunds.append(refund)
        return ["refund.created", "charge.refunded"], refund

    def _refund_fails(self) -> tuple[list[str], dict[str, Any]]:
        self.refunds[-1] |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
        return ["refund.updated", "refund.failed"], self.refunds[-1]

    def _dispute(self, amount: int) -> tuple[list[str], dict[str, Any]]:
        dispute = {"id": f"du_{self.purchase_id}_{len(self.disputes)}", "object": "dispute", "amount": amount}
        dispute |= {"currency": "eur", "status": "needs_response", "reason": "fraudulent"}
        dispute |= {"created": 1_700_000_000 + len(self.disputes), "payment_intent": self.intent_id}
        dispute |= {"evidence_details": {"due_by": 1_800_000_000}, "balance_transactions": [{"amount": -amount}]}
        self.disputes.append(dispute)
        return ["charge.dispute.created", "charge.dispute.funds_withdrawn"], dispute

    def _won(self) -> tuple[list[str], dict[str, Any]]:
        dispute = self.disputes[-1]
        dispute["status"] = "won"
        dispute["balance_transactions"].append({"amount": dispute["amount"]})
        return ["charge.dispute.funds_reinstated", "charge.dispute.closed"], dispute

    def _lost(self) -> tuple[list[str], dict[str, Any]]:
        self.disputes[-1]["status"] = "lost"
        return ["charge.dispute.closed"], self.disputes[-1]

    def session(self) -> dict[str, Any]:
        """The Checkout Session, with intent and charge expanded."""
        refunded = sum(each["amount"] for each in self.refunds if each["status"] != "failed")
        charge = {
            "id": f"ch_double{self.purchase_id}",
            "object": "charge",
            "amount_refunded": refunded,
            "disputed": bool(self.disputes),
            "receipt_url": None,
        }
        intent = {
            "id": self.intent_id,
            "object": "payment_intent",
            "status": "succeeded" if self.paid else "processing",
            "amount_received": PRICE if self.paid else 0,
            "latest_charge": charge,
        }
        return {
            "id": self.session_id,
            "object": "checkout.session",
            "status": "complete",
            "payment_status": "paid" if self.paid else "unpaid",
            "mode": "payment",
            "livemode": False,
            "amount_subtotal": PRICE,
            "amount_total": PRICE,
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
            "automatic_tax": {"enabled": False},
            "currency": "eur",
            "client_reference_id": self.external_id,
            "metadata": {"purchase": str(self.purchase_id)},
            "payment_intent": intent,
        }

    def _event(self, type: str, thing: dict[str, Any]) -> dict[str, Any]:
        self.events += 1
        return {
            "id": f"evt_{self.purchase_id}_{self.events}",
            "object": "event",
            "type": type,
            "livemode": False,
            "created": 1_700_000_000,
            "api_version": None,
            "data": {"object": thing},
        }


class Payments(stripe.HTTPClient):
    """Answers the SDK's GETs about sessions, refunds and disputes.

    `meanwhile`, when set, is called once: after an answer about `meanwhile_asked` (sessions, refunds or disputes) was
    made, and before it arrives.
    """

    name = "payments"

    def __init__(self) -> None:
        super().__init__()
        self.payments: dict[str, Payment] = {}
        self.meanwhile: Callable[[], None] | None = None
        self.meanwhile_asked = ""

    def add(self, payment: Payment) -> None:
        self.payments[payment.session_id] = self.payments[payment.intent_id] = payment

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        assert method == "get", url
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        *_rest, noun, last = parts.path.split("/")
        if last == "sessions":
            payment = self.payments[query["payment_intent"][0]]
        else:
            payment = self.payments[last if noun == "sessions" else query["payment_intent"][0]]
        with payment.lock:
            found: Any = payment.session()
            if noun != "sessions":
                data = [found] if last == "sessions" else getattr(payment, last)[::-1]
                found = {"object": "list", "url": parts.path, "has_more": False, "data": data}
            answer = json.dumps(found)
        if self.meanwhile is not None and self.meanwhile_asked in (noun, last):
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return answer, 200, {}
