"""Lists of what Stripe has: events that it could not deliver, sessions and invoices that were paid."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.billing.stripe_api import calling, client, mode

PAGE = 100


@dataclass(frozen=True, kw_only=True)
class PaidThing:
    """A paid Checkout Session or invoice; `claims_us` when its metadata names something that we sold."""

    id: str
    event_type: str
    data: dict[str, Any]
    claims_us: bool


def list_undelivered_events(*, since: datetime) -> Iterator[tuple[str, str]]:
    """Id and type of each event since then that an endpoint has not taken, newest first. Stripe keeps 30 days.

    Raises PaymentsUnavailable.
    """
    params: dict[str, Any] = {"delivery_success": False, "created": {"gte": int(since.timestamp())}, "limit": PAGE}
    with calling("list events"):
        for event in client().v1.events.list(params=params).auto_paging_iter():  # type: ignore[arg-type]
            if event.livemode is (mode() == "live"):
                yield event.id, event.type


def list_paid_sessions(*, since: datetime) -> Iterator[list[PaidThing]]:
    """The Checkout Sessions made since then that are complete and paid, in pages. Raises PaymentsUnavailable."""
    params = {"status": "complete", "created": {"gte": int(since.timestamp())}, "limit": PAGE}
    for page in _pages("list checkout sessions", lambda: client().v1.checkout.sessions.list(params=params)):  # type: ignore[arg-type]
        yield [_session(found) for found in page if found["payment_status"] != "unpaid"]


def list_paid_invoices(*, since: datetime) -> Iterator[list[PaidThing]]:
    """The invoices made since then that are paid, in pages. Raises PaymentsUnavailable."""
    params = {"status": "paid", "created": {"gte": int(since.timestamp())}, "limit": PAGE}
    for page in _pages("list invoices", lambda: client().v1.invoices.list(params=params)):  # type: ignore[arg-type]
        yield [PaidThing(id=each["id"], event_type="invoice.paid", data=each, claims_us=False) for each in page]


def _session(found: dict[str, Any]) -> PaidThing:
    return PaidThing(
        id=found["id"],
        event_type="checkout.session.completed",
        data=found,
        claims_us="purchase" in (found["metadata"] or {}),
    )


def _pages(what: str, ask: Any) -> Iterator[list[dict[str, Any]]]:
    with calling(what):
        page = ask()
        while True:
            yield [found.to_dict(for_json=True) for found in page.data]
            if not page.has_more:
                return
            page = page.next_page()
