"""The shop and its buyers, for tests."""

import json
import re
import threading
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import requests
import stripe
from flask import Flask
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from jobs.handle_stripe_event import handle_stripe_event
from tests.people.browser import Browser
from webapp import clock, ledger
from webapp.billing.purchase import Purchase
from webapp.billing.stripe_event import StripeEvent
from webapp.database import unit_of_work
from webapp.extensions import db
from webapp.outbox import OutboxRow

SECRET = "whsec_sandbox"


@dataclass
class Shop:
    app: Flask
    sandbox_url: str

    @property
    def stripe(self) -> stripe.StripeClient:
        return stripe.StripeClient("sk_test_sandbox", base_addresses={"api": self.sandbox_url}, max_network_retries=0)

    def new_buyer(self) -> "Buyer":
        browser = Browser(self.app)
        assert browser.sign_up(name="Buyer").status_code == 303
        return Buyer(shop=self, browser=browser)

    def press(self, session_id: str, action: str, **fields: str) -> requests.Response:
        """A button of the pay page, with whatever was typed into its fields."""
        url = f"{self.sandbox_url}/c/pay/{session_id}"
        return requests.post(url, data={"action": action, **fields}, allow_redirects=False, timeout=10)

    def settle_delayed_payments(self) -> None:
        assert requests.post(f"{self.sandbox_url}/_sandbox/settle", timeout=10).ok

    def events(self, session_id: str) -> list[dict[str, Any]]:
        """Stripe's events about a Checkout Session, oldest first."""
        found = self.stripe.v1.events.list(params={"limit": 100}).data[::-1]
        return [event.to_dict(for_json=True) for event in found if event.data.object["id"] == session_id]

    def all_events(self) -> list[dict[str, Any]]:
        return [event.to_dict(for_json=True) for event in self.stripe.v1.events.list(params={"limit": 100}).data[::-1]]

    def deliver(self, event: dict[str, Any], **fault: Any) -> TestResponse:
        return self.deliver_body(json.dumps(event).encode(), **fault)

    def deliver_body(
        self, body: bytes, *, secret: str = SECRET, timestamp: int | None = None, signature: str | None = None
    ) -> TestResponse:
        """Post it to the webhook, signed as Stripe signs, unless the caller forges something."""
        if signature is None:
            moment = timestamp if timestamp is not None else int(time.time())
            signed = body.decode("utf-8", "surrogateescape")
            signature = sign(signed, secret, moment)
        client = self.app.test_client()
        headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
        return Context().run(client.post, "/stripe/webhook", data=body, headers=headers)

    def work(self, *event_ids: str) -> None:
        """Do what a worker would do about these events."""
        for event_id in event_ids:
            row_id = self.outbox_row(f"stripe-event:{event_id}").id
            with self.app.app_context():
                handle_stripe_event(row_id)

    def outbox_row(self, key: str) -> OutboxRow:
        return self.read(lambda session: session.scalars(select(OutboxRow).where(OutboxRow.key == key)).one())

    def event(self, event_id: str) -> StripeEvent:
        return self.read(lambda session: session.get_one(StripeEvent, event_id))

    def purchase(self, purchase_id: int) -> Purchase:
        return self.read(lambda session: session.get_one(Purchase, purchase_id))

    def read(self, what: Any) -> Any:
        with self.app.app_context():
            found = what(db.session())
            db.session.expunge_all()
            db.session.remove()
            return found

    def assert_sound(self) -> None:
        """Every invariant holds."""
        from webapp.billing.proof import violations

        with self.app.app_context(), unit_of_work() as session:
            assert session.execute(text("SELECT * FROM ledger.violations_v")).all() == []
            found = violations(session, undone_since=clock.now() - timedelta(days=1))
            assert found == [], found


@dataclass
class Buyer:
    shop: Shop
    browser: Browser

    def buy(self, package: str = "starter", **fields: str) -> TestResponse:
        return self.browser.post(f"/packages/{package}/buy", fields, form=f"/packages/{package}/buy")

    def start(self, package: str = "starter", **fields: str) -> Purchase:
        """Press "Buy" and stand on the pay page; the purchase."""
        answer = self.buy(package, **fields)
        assert answer.status_code == 303, answer.text
        session_id = re.search(r"cs_\w+", answer.headers["Location"])
        assert session_id, answer.headers["Location"]
        return self.purchase_of(session_id[0])

    def purchase_of(self, session_id: str) -> Purchase:
        return self.shop.read(
            lambda session: session.scalars(select(Purchase).where(Purchase.stripe_session_id == session_id)).one()
        )

    def purchases(self) -> list[Purchase]:
        user_id = self.user.id
        return self.shop.read(
            lambda session: list(session.scalars(select(Purchase).where(Purchase.user_id == user_id)))
        )

    @property
    def user(self) -> Any:
        from webapp.people.user import User

        email = self.browser.email
        return self.shop.read(lambda session: session.scalars(select(User).where(User.email == email)).one())

    def come_back(self, purchase: Purchase, **query: str) -> TestResponse:
        return self.browser.get(
            "/checkout/return", query_string={"session_id": purchase.stripe_session_id or "", **query}
        )

    def outcome(self, purchase: Purchase) -> str:
        answer = self.come_back(purchase)
        assert answer.status_code == 200
        found = re.search(r'data-outcome="(\w+)"', answer.text)
        assert found
        return found[1]

    def bought(self) -> list[int]:
        """The amounts of the grants that this buyer paid for."""
        account_id = self.user.account_id
        return self.shop.read(
            lambda session: [
                entry.amount
                for entry in ledger.entries(session, account_id=account_id, kinds=["purchase"], limit=100).entries
            ]
        )

    def balance(self) -> int:
        account_id = self.user.account_id
        return self.shop.read(lambda session: ledger.balance(session, account_id=account_id).balance)


def sign(body: str, secret: str, timestamp: int) -> str:
    import hashlib
    import hmac

    signed = f"{timestamp}.".encode() + body.encode("utf-8", "surrogateescape")
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def at_once(acts: list[Callable[[], None]]) -> None:
    """All of them in threads that start together; fails with whatever one of them raised."""
    barrier = threading.Barrier(len(acts))
    trouble: list[BaseException] = []

    def run(act: Callable[[], None]) -> None:
        try:
            barrier.wait(10)
            act()
        except BaseException as error:
            trouble.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if trouble:
        raise trouble[0]
