"""Whatever the order of Stripe's events, however often and simultaneously they come: the same final state.

One purchase's facts happen at Stripe in their order; the events about them arrive in random orders, each twice, from
several threads at once, some while later facts are still to come. What counts in the end is what stands at Stripe.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import stripe
from flask import Flask
from sqlalchemy import text

from tests.billing.payments_double import PRICE, Payment, Payments
from tests.billing.shop import at_once
from webapp import ledger
from webapp.account_words.entry_rows import rows_of
from webapp.billing.checkout import start_purchase
from webapp.billing.events import handle_event, store_event
from webapp.billing.fulfilment import settle_purchase
from webapp.billing.proof import violations
from webapp.billing.purchase import Purchase
from webapp.billing.stripe_event import StripeEvent
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.package import Package, find_package
from webapp.clock import now
from webapp.database import retried, unit_of_work

CREDITS = 500
ORDERS = 216
HANDS = 4

_people = count(7_000_000)


@dataclass(frozen=True)
class Story:
    """What happens at Stripe, in order, and how the purchase ends: money gone, credits revoked, still frozen."""

    facts: tuple[str, ...]
    refunded: int
    lost: int
    revoked: int
    frozen: bool
    disputes: tuple[str, ...]


PAID = ("completed_unpaid", "async_success")
STORIES = {
    "all": Story((*PAID, "refund:270", "dispute:630", "won", "refund:630"), 900, 0, 500, False, ("over",)),
    "lost": Story((*PAID, "refund:270", "dispute:900", "lost"), 270, 630, 500, False, ("lost",)),
    "open": Story((*PAID, "refund:270", "dispute:630"), 270, 0, 150, True, ("open",)),
    "won": Story((*PAID, "dispute:900", "won"), 0, 0, 0, False, ("over",)),
    "partly": Story((*PAID, "dispute:360", "lost", "refund:270"), 270, 360, 350, False, ("lost",)),
    "failed": Story((*PAID, "refund:270", "refund:630", "refund_fails"), 270, 0, 150, False, ()),
    "twice": Story(
        (*PAID, "dispute:100", "won", "refund:270", "dispute:300", "lost"), 270, 300, 317, False, ("over", "lost")
    ),
    "refunded": Story((*PAID, "refund:270", "refund:630"), 900, 0, 500, False, ()),
    "every": Story(
        (*PAID, "refund:270", "dispute:300", "won", "dispute:330", "lost", "refund:300"),
        *(570, 330, 500, False, ("over", "lost")),
    ),
}


# What the history says beside such a line, whichever of the events came first.
WORDS = re.compile(
    r"Refund of (\d+% of )?“Starter”|The refund for “Starter” did not arrive"
    r"|The bank gave the payment for “Starter” back|The payment for “Starter” stands after all"
)


@pytest.fixture(scope="module")
def payments() -> Payments:
    return Payments()


@pytest.fixture(scope="module")
def app(make_app: Callable[..., Flask], servers: Any, payments: Payments) -> Flask:
    app = make_app(servers)
    app.extensions["stripe"] = stripe.StripeClient("sk_test_sandbox", http_client=payments)
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    return app


def buy(app: Flask, payments: Payments) -> Payment:
    """Somebody stands on the pay page."""
    number = next(_people)
    with app.app_context(), unit_of_work() as session:
        account, _ = ledger.open_account(session, external_id=f"order-{number}")
        package: Package = find_package(session, code="starter")  # type: ignore[assignment]
        purchase = start_purchase(
            session,
            package=package,
            price_minor=PRICE,
            currency="EUR",
            user_id=number,
            account_id=account.account_id,
            external_id=f"order-{number}",
            intent="one",
            mode="sandbox",
            shown_name="Starter",
            locale="en",
        )
        assert purchase.credits == CREDITS
        payment = Payment(purchase_id=purchase.id, external_id=purchase.external_id)
        purchase.stripe_session_id, purchase.state = payment.session_id, "open"
    payments.add(payment)
    return payment


def deliver(app: Flask, *events: dict[str, Any]) -> None:
    """What the webhook does, and then a worker."""
    store(app, events)
    for event in events:
        handle(app, event)


def store(app: Flask, events: Sequence[dict[str, Any]]) -> None:
    with app.app_context(), unit_of_work() as session:
        for event in events:
            store_event(session, payload=event)


def handle(app: Flask, event: dict[str, Any]) -> None:
    with app.app_context():
        retried(lambda session: handle_event(session, event_id=event["id"]).state)


def deliver_all(app: Flask, chance: random.Random, events: list[dict[str, Any]]) -> None:
    """Each twice, shuffled, from several threads at once."""
    store(app, events * 2)
    twice = events * 2
    chance.shuffle(twice)

    def hand(share: list[dict[str, Any]]) -> None:
        for event in share:
            handle(app, event)

    at_once([lambda share=twice[start::HANDS]: hand(share) for start in range(HANDS)])  # type: ignore[misc]


def assert_ended(app: Flask, payment: Payment, story: Story, *, spent: int) -> None:
    """Everything that anybody can see of the purchase is as its story says."""
    with app.app_context(), unit_of_work() as session:
        purchase = session.get_one(Purchase, payment.purchase_id)
        assert (purchase.state, purchase.refunded_minor, purchase.lost_minor) == (
            "fulfilled",
            story.refunded,
            story.lost,
        )
        grant = ledger.get_grant(session, account_id=purchase.account_id, grant_id=purchase.grant_id or 0)
        assert (grant.amount, grant.revoked, grant.frozen) == (CREDITS, story.revoked, story.frozen)
        taken = min(story.revoked, CREDITS - spent)
        balance = ledger.balance(session, account_id=purchase.account_id)
        assert (balance.balance, balance.debt) == (CREDITS - spent - story.revoked, story.revoked - taken)
        assert grant.remaining == CREDITS - spent - taken
        moved = ledger.entries(session, account_id=purchase.account_id, kinds=["revoke", "restore"], limit=50).entries
        assert sum(entry.amount for entry in moved) == -story.revoked
        with app.test_request_context("/"):
            assert [row.detail for row in rows_of(session, moved) if not WORDS.fullmatch(row.detail)] == []
        bought = ledger.entries(session, account_id=purchase.account_id, kinds=["purchase"], limit=10).entries
        assert [entry.amount for entry in bought] == [CREDITS]
        states = text("SELECT state FROM disputes WHERE purchase_id = :id ORDER BY opened_at")
        assert tuple(session.execute(states, {"id": purchase.id}).scalars()) == story.disputes
        assert violations(session, undone_since=now(), account_id=purchase.account_id) == []
        broken = text("SELECT * FROM ledger.violations_v WHERE account_id = :id")
        assert session.execute(broken, {"id": purchase.account_id}).all() == []
        unhandled = text("SELECT id, state FROM stripe_events WHERE id LIKE :mine AND state <> 'handled'")
        assert session.execute(unhandled, {"mine": rf"evt\_{purchase.id}\_%"}).all() == []


def settle_and_spend(app: Flask, payment: Payment, amount: int) -> None:
    with app.app_context(), unit_of_work() as session:
        purchase = settle_purchase(session, purchase_id=payment.purchase_id)
        ledger.spend(session, account_id=purchase.account_id, amount=amount, idempotency_key="spent", actor="test")


@pytest.mark.parametrize("name", STORIES)
def test_events_in_any_order_twice_and_at_once_end_in_the_same_state(app: Flask, payments: Payments, name: str) -> None:
    story = STORIES[name]

    def happen(fact: str) -> list[dict[str, Any]]:
        """One of the events about it arrives (as one of each pair is as good as the other), the rest is lost."""
        return [chance.choice(payment.happen(fact))]

    for seed in range(ORDERS // len(STORIES)):
        chance = random.Random(f"{name}-{seed}")
        payment = buy(app, payments)
        spent = 0
        if seed % 3 == 0:  # all has happened before the first event arrives
            deliver_all(app, chance, [event for fact in story.facts for event in happen(fact)])
        else:  # it goes on happening while events arrive, some of them late
            waiting: list[dict[str, Any]] = []
            for fact in story.facts:
                waiting += happen(fact)
                if fact == PAID[-1] and seed % 3 == 1:
                    spent = chance.choice([200, 300, CREDITS])
                    settle_and_spend(app, payment, spent)
                now_due = [event for event in waiting if chance.random() < 0.4]
                waiting = [event for event in waiting if event not in now_due]
                if now_due:
                    deliver_all(app, chance, now_due)
            deliver_all(app, chance, waiting)
        assert_ended(app, payment, story, spent=spent)


@pytest.mark.parametrize(
    ("early", "asked", "late", "end"),
    [
        (PAID[:1], "sessions", PAID[1:], Story((), 0, 0, 0, False, ())),
        (PAID, "sessions", ("refund:270",), Story((), 270, 0, 150, False, ())),
        ((*PAID, "refund:270"), "refunds", ("refund:630",), Story((), 900, 0, 500, False, ())),
        ((*PAID, "refund:270"), "refunds", ("refund_fails",), Story((), 0, 0, 0, False, ())),
        ((*PAID, "dispute:900"), "disputes", ("won",), Story((), 0, 0, 0, False, ("over",))),
        ((*PAID, "dispute:900"), "disputes", ("lost",), Story((), 0, 900, 500, False, ("lost",))),
    ],
)
def test_who_read_an_older_state_than_others_does_not_have_the_last_word(
    app: Flask, payments: Payments, early: tuple[str, ...], asked: str, late: tuple[str, ...], end: Story
) -> None:
    """One asks Stripe; before the answer arrives Stripe moves on, and somebody else has handled that."""
    payment = buy(app, payments)
    events = [event for fact in early for event in payment.happen(fact)]
    deliver(app, *events[:-1])

    def move_on() -> None:
        news = [event for fact in late for event in payment.happen(fact)]
        at_once([lambda: deliver(app, *news)])

    payments.meanwhile, payments.meanwhile_asked = move_on, asked
    deliver(app, events[-1])
    assert payments.meanwhile is None
    assert_ended(app, payment, end, spent=0)


def test_what_an_event_says_is_never_believed(app: Flask, payments: Payments) -> None:
    """Inflated amounts, another status, other metadata: only the object's id is taken from an event."""
    payment = buy(app, payments)
    events = [event for fact in (*PAID, "refund:270", "dispute:100") for event in payment.happen(fact)]
    for event in events:
        thing = event["data"]["object"]
        thing |= {"amount": 10**12, "amount_refunded": 10**12, "status": "lost", "currency": "usd"}
        thing["metadata"] = {"purchase": str(payment.purchase_id), "credits": "999999", "refund": "1"}
        deliver(app, event)
    assert_ended(app, payment, Story((), 270, 0, 150, True, ("open",)), spent=0)
    with app.app_context(), unit_of_work() as session:
        assert session.get_one(StripeEvent, events[-1]["id"]).state == "handled"
