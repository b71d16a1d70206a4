"""A year of a subscription at Stripe, fact by fact, for tests; each fact gives the events that tell of it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from tests.billing.plans import Member, Story, paid_late
from webapp.catalog.validity import add_months

DAY = timedelta(days=1)
MONTHS = 12
_numbers = count(1)

Event = dict[str, Any]


class Year:
    """Pro for 1,200 cents a month, and for some months of it Studio for 4,900; twelve renewals, the last one running.

    `refunded` is the renewal of which 30 % go back at the end; `ends` says that the subscription then ends at once.
    """

    def __init__(self, member: Member, start: datetime, *, refunded: int, ends: bool = False) -> None:
        self.story = Story(member, start, status="incomplete")
        self.start = start
        self.refunded = refunded
        self.facts: list[Callable[[], list[Event]]] = [
            self._begin,
            *[self._renewed("pro", month) for month in range(1, 4)],
            self._upgraded,
            *[self._renewed("studio", month) for month in range(4, 7)],
            self._failed,
            self._recovered,
            self._renewed("studio", 8),
            self._downgraded,
            self._renewed("pro", 9),
            self._cancelled,
            self._kept,
            *[self._renewed("pro", month) for month in range(10, MONTHS + 1)],
            self._refunded,
            *([self._ended] if ends else []),
        ]

    def _begin(self) -> list[Event]:
        invoice = self.story.pay("pro", self.start)
        self.story.status = "active"
        return [self._about("customer.subscription.created"), _of(invoice.id, "invoice.paid")]

    def _renewed(self, plan: str, month: int) -> Callable[[], list[Event]]:
        def happen() -> list[Event]:
            amount = 1200 if plan == "pro" else 4900
            invoice = self.story.pay(plan, add_months(self.start, month), amount=amount)
            return [_of(invoice.id, "invoice.paid"), self._about("customer.subscription.updated")]

        return happen

    def _upgraded(self) -> list[Event]:
        moment, until = add_months(self.start, 3) + 10 * DAY, add_months(self.start, 4)
        invoice = self.story.change("pro", "studio", moment, until, back=800, rest=3200)
        return [self._about("customer.subscription.updated"), _of(invoice.id, "invoice.paid")]

    def _failed(self) -> list[Event]:
        invoice = self.story.pay("studio", add_months(self.start, 7), amount=4900, status="open")
        self.story.status = "past_due"
        return [_of(invoice.id, "invoice.payment_failed"), self._about("customer.subscription.updated")]

    def _recovered(self) -> list[Event]:
        waiting = self.story.invoices[-1]
        self.story.invoices[-1] = paid_late(waiting, waiting.created_at + 4 * DAY)
        self.story.status = "active"
        return [_of(waiting.id, "invoice.paid"), self._about("customer.subscription.updated")]

    def _downgraded(self) -> list[Event]:
        """Another price without proration; it is paid with the next renewal."""
        self.story.subscribe_to("pro")
        return [self._about("customer.subscription.updated")]

    def _cancelled(self) -> list[Event]:
        self.story.cancel_at_period_end = True
        return [self._about("customer.subscription.updated")]

    def _kept(self) -> list[Event]:
        self.story.cancel_at_period_end = False
        return [self._about("customer.subscription.updated")]

    def _refunded(self) -> list[Event]:
        starts_at = add_months(self.start, self.refunded)
        (invoice,) = [one for one in self.story.invoices if one.lines[-1].starts_at == starts_at]
        refund = self.story.refund(invoice, invoice.paid_minor * 3 // 10)
        charge = {"id": "ch_year", "object": "charge", "payment_intent": refund["payment_intent"]}
        return [_event("refund.created", dict(refund)), _event("charge.refunded", charge)]

    def _ended(self) -> list[Event]:
        self.story.status, self.story.ended_at = "canceled", add_months(self.start, MONTHS) + 5 * DAY
        return [self._about("customer.subscription.deleted")]

    def _about(self, type: str) -> Event:
        return _event(type, {"id": self.story.id, "object": "subscription"})


def _of(invoice_id: str, type: str) -> Event:
    return _event(type, {"id": invoice_id, "object": "invoice"})


def _event(type: str, thing: dict[str, Any]) -> Event:
    return {
        "id": f"evt_year_{next(_numbers)}",
        "object": "event",
        "type": type,
        "livemode": False,
        "created": 1_700_000_000,
        "api_version": None,
        "data": {"object": thing},
    }
