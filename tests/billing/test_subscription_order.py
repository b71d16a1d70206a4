"""The events of a subscription's year in any order, each twice and at once, while it goes on: the same final state."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
import stripe
from flask import Flask
from sqlalchemy import select, text

from tests.billing.plans import STUDIO, Member, Story, assert_ledger_sound, make_member, now_of, offer, paid_late
from tests.billing.shop import at_once
from tests.billing.subscriptions_double import Subscriptions
from webapp.billing.events import handle_event, store_event
from webapp.billing.stripe_event import StripeEvent
from webapp.billing.subscription import Subscription
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.validity import add_months
from webapp.database import retried, unit_of_work

HANDS = 4
DAY = timedelta(days=1)
_numbers = count(1)


@pytest.fixture(scope="module")
def network() -> Subscriptions:
    return Subscriptions()


@pytest.fixture(scope="module")
def app(make_app: Callable[..., Flask], servers: Any, network: Subscriptions) -> Flask:
    app = make_app(servers)
    app.extensions["stripe"] = stripe.StripeClient("sk_test_sandbox", http_client=network)
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
        offer(session, STUDIO)
    return app


class Year:
    """A year at Stripe, fact by fact; each fact gives the events about it."""

    def __init__(self, member: Member, start: datetime) -> None:
        self.story = Story(member, start, status="incomplete")
        self.start = start
        self.facts: list[Callable[[], list[dict[str, Any]]]] = [
            self._begin,
            *[self._renewed("pro", month, 1200) for month in range(1, 5)],
            self._upgraded,
            *[self._renewed("studio", month, 4900) for month in range(5, 8)],
            self._failed,
            self._paid_late,
            *[self._renewed("studio", month, 4900) for month in range(9, 12)],
            self._ended,
        ]

    def _begin(self) -> list[dict[str, Any]]:
        invoice = self.story.pay("pro", self.start)
        self.story.status = "active"
        return [self._about("customer.subscription.created"), self._of(invoice.id, "invoice.paid")]

    def _renewed(self, plan: str, month: int, amount: int) -> Callable[[], list[dict[str, Any]]]:
        def happen() -> list[dict[str, Any]]:
            invoice = self.story.pay(plan, add_months(self.start, month), amount=amount)
            return [self._of(invoice.id, "invoice.paid"), self._about("customer.subscription.updated")]

        return happen

    def _upgraded(self) -> list[dict[str, Any]]:
        moment, until = add_months(self.start, 4) + 10 * DAY, add_months(self.start, 5)
        invoice = self.story.change("pro", "studio", moment, until, back=800, rest=3200)
        return [self._about("customer.subscription.updated"), self._of(invoice.id, "invoice.paid")]

    def _failed(self) -> list[dict[str, Any]]:
        invoice = self.story.pay("studio", add_months(self.start, 8), amount=4900, status="open")
        self.story.status = "past_due"
        return [self._of(invoice.id, "invoice.payment_failed"), self._about("customer.subscription.updated")]

    def _paid_late(self) -> list[dict[str, Any]]:
        waiting = self.story.invoices[-1]
        self.story.invoices[-1] = paid_late(waiting, waiting.created_at + 4 * DAY)
        self.story.status = "active"
        return [self._of(waiting.id, "invoice.paid")]

    def _ended(self) -> list[dict[str, Any]]:
        self.story.status, self.story.ended_at = "canceled", add_months(self.start, 11) + 15 * DAY
        return [self._about("customer.subscription.deleted")]

    def _about(self, type: str) -> dict[str, Any]:
        return _event(type, {"id": self.story.id, "object": "subscription"})

    def _of(self, invoice_id: str, type: str) -> dict[str, Any]:
        return _event(type, {"id": invoice_id, "object": "invoice"})


def _event(type: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"evt_year_{next(_numbers)}",
        "object": "event",
        "type": type,
        "livemode": False,
        "created": 1_700_000_000,
        "api_version": None,
        "data": {"object": thing},
    }


def deliver(app: Flask, chance: random.Random, events: list[dict[str, Any]]) -> None:
    """Each twice, shuffled, from several threads at once."""
    twice = events * 2
    chance.shuffle(twice)
    with app.app_context(), unit_of_work() as session:
        for event in twice:
            store_event(session, payload=event)

    def hand(share: list[dict[str, Any]]) -> None:
        with app.app_context():
            for event in share:
                event_id = event["id"]
                retried(lambda session, event_id=event_id: handle_event(session, event_id=event_id).state)  # type: ignore[misc]

    at_once([lambda share=twice[first::HANDS]: hand(share) for first in range(HANDS)])  # type: ignore[misc]


def live(app: Flask, network: Subscriptions, start: datetime, chance: random.Random | None) -> Any:
    """A year is lived and its events come; how it ends. Without `chance` each comes at once and in order."""
    member = make_member(app)
    year = Year(member, start)
    network.stories[year.story.id] = year.story
    waiting: list[dict[str, Any]] = []
    told: list[str] = []
    for fact in year.facts:
        with network.lock:
            waiting += fact()
        due = waiting if chance is None else [event for event in waiting if chance.random() < 0.15]
        waiting = [event for event in waiting if event not in due]
        told += [event["id"] for event in due]
        if due:
            deliver(app, chance or random.Random(1), due)
    if waiting:
        deliver(app, chance or random.Random(1), waiting)
    told += [event["id"] for event in waiting]
    del network.stories[year.story.id]

    def read(session: Any) -> Any:
        subscription = session.scalars(select(Subscription).where(Subscription.user_id == member.user_id)).one()
        states = set(session.scalars(select(StripeEvent.state).where(StripeEvent.id.in_(told))))
        broken = text("SELECT * FROM ledger.violations_v WHERE account_id = :id")
        assert session.execute(broken, {"id": member.account_id}).all() == []
        return (subscription.status, subscription.plan, subscription.ended_at, states)

    return (
        member.do(read),
        sorted(member.grants()),
        [(row.number, row.starts_at, row.credits, row.cost_minor) for row in member.periods()],
        [(one.plan, one.starts_at, one.ends_at, one.paused) for one in member.stretches()],
    )


def lived_alike(app: Flask, network: Subscriptions, orders: int, seed: int) -> None:
    start = add_months(now_of(app).replace(microsecond=0) - 16 * DAY, -11)
    expected = live(app, network, start, None)
    assert expected[0][0] == "canceled"
    assert [credits for _, _, credits, _ in expected[2]] == [1000] * 5 + [_upgrade(start)] + [5000] * 7
    for number in range(orders):
        assert live(app, network, start, random.Random(f"{seed}-{number}")) == expected, number
    assert_ledger_sound(app)


def _upgrade(start: datetime) -> int:
    whole = add_months(start, 5) - add_months(start, 4)
    return round(4000 * (whole - 10 * DAY) / whole)


def test_a_year_of_events_in_any_order_twice_and_at_once_ends_alike(app: Flask, network: Subscriptions) -> None:
    lived_alike(app, network, orders=12, seed=1)


@pytest.mark.nightly
def test_two_hundred_years_of_events_end_alike(app: Flask, network: Subscriptions) -> None:
    lived_alike(app, network, orders=200, seed=2)
