"""A shop whose clock can be moved, and buyers who get on plans in it, for tests."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.billing.plans import STUDIO, Member, advance, offer
from tests.billing.shop import Buyer, Shop
from tests.forks import Forks
from tests.stripe_sandbox.conftest import serve
from webapp.billing.stripe_customer import StripeCustomer
from webapp.billing.subscription import Subscription
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work
from webapp.stripe_sandbox import create_sandbox, install


@dataclass
class PlanShop(Shop):
    """A shop of its own, so that its clock can be moved; `forks` where processes of it are killed."""

    forks: Forks | None = None

    def pass_days(self, days: float) -> None:
        """Time passes; Stripe renews, the calendar grants. Nobody tells us of events yet."""
        advance(self.app, timedelta(days=days))
        assert requests.post(f"{self.sandbox_url}/_sandbox/run", timeout=60).ok

    def every_event(self) -> list[dict[str, Any]]:
        """All of Stripe's events, oldest first."""
        found = self.stripe.v1.events.list(params={"limit": 100}).auto_paging_iter()
        return [event.to_dict(for_json=True) for event in found][::-1]

    def hear(self, events: list[dict[str, Any]] | None = None) -> None:
        """Those events are delivered and handled, by default all that are not yet."""
        for event in self.every_event() if events is None else events:
            assert self.deliver(event).status_code == 200
            self.work(event["id"])

    def subscription(self, buyer: Buyer) -> Subscription:
        user_id = buyer.user.id
        return self.read(
            lambda session: session.scalars(
                select(Subscription).where(Subscription.user_id == user_id).order_by(Subscription.id.desc())
            ).first()
        )

    def member(self, buyer: Buyer) -> Member:
        user = buyer.user
        customer = self.read(lambda session: session.get(StripeCustomer, (user.account_id, "sandbox")))
        return Member(
            app=self.app,
            user_id=user.id,
            account_id=user.account_id,
            customer_id=customer.stripe_customer_id if customer else "",
        )


@pytest.fixture
def shop(fresh_database: Any, make_app: Callable[..., Flask]) -> Iterator[PlanShop]:
    install(fresh_database.owner_url)

    def make(url: str) -> Flask:
        return create_sandbox(
            dsn=fresh_database.database_url,
            base_url=url,
            webhook_url=None,
            webhook_secret="whsec_sandbox",
            background=False,
        )

    with serve(make) as url:
        app = make_app(fresh_database, STRIPE_API_BASE=url)
        with app.app_context(), unit_of_work() as session:
            install_shipped_catalog(session)
            offer(session, STUDIO)
        yield PlanShop(app=app, sandbox_url=url)


@pytest.fixture
def buyer(shop: PlanShop) -> Buyer:
    return shop.new_buyer()


def subscribe(buyer: Buyer, plan: str = "pro", **fields: str) -> TestResponse:
    return buyer.browser.post(f"/plans/{plan}/subscribe", fields, form=f"/plans/{plan}/subscribe")


def start(buyer: Buyer, plan: str = "pro", **fields: str) -> str:
    """Press the button and stand on the pay page; the session's id."""
    answer = subscribe(buyer, plan, **fields)
    assert answer.status_code == 303, answer.text
    found = re.search(r"cs_\w+", answer.headers["Location"])
    assert found, answer.headers["Location"]
    return found[0]


def outcome(buyer: Buyer, session_id: str) -> str:
    answer = buyer.browser.get("/checkout/return", query_string={"session_id": session_id})
    assert answer.status_code == 200, answer.text
    found = re.search(r'data-outcome="(\w+)"', answer.text)
    assert found
    return found[1]


def on_plan(shop: PlanShop, buyer: Buyer, plan: str = "pro") -> str:
    session_id = start(buyer, plan)
    assert shop.press(session_id, "pay").status_code == 303
    assert outcome(buyer, session_id) == "success"
    return session_id


def change(buyer: Buyer, plan: str) -> TestResponse:
    """See the preview of a change, and agree to it."""
    page = buyer.browser.get(f"/plan/change/{plan}")
    assert page.status_code == 200, page.text
    return buyer.browser.post(f"/plan/change/{plan}", hidden_field(page.text, "moment"), form=f"/plan/change/{plan}")


def hidden_field(page: str, name: str) -> dict[str, str]:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found
    return {name: found[1]}


def plan_grants(shop: PlanShop, buyer: Buyer) -> list[tuple[str, int, int, int]]:
    return [grant for grant in shop.member(buyer).grants() if grant[0] != "sign-up"]


def customer_of(shop: PlanShop, buyer: Buyer) -> str:
    return shop.member(buyer).customer_id


def about(event: dict[str, Any], customer: str) -> bool:
    """Whether it is about that customer."""
    thing = event["data"]["object"]
    return customer in (thing.get("customer"), thing.get("id"))
