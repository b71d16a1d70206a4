"""The events of a subscription's year in any order, each twice and at once, while it goes on: the same final state.

The facts are those of tests/billing/year.py: twelve renewals, an upgrade, a downgrade at the period's end, a payment
that failed and was made good, a refund of 30 %, a cancellation that was undone. They happen at Stripe in their order;
the events arrive in random orders. Two hands deliver all of them at the same time, each in an order of its own.
"""

import os
import random
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest
import stripe
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from jobs.handle_stripe_event import handle_stripe_event
from tests.billing.plans import STUDIO, Member, assert_ledger_sound, make_member, now_of, offer
from tests.billing.shop import at_once
from tests.billing.subscriptions_double import Subscriptions
from tests.billing.year import DAY, MONTHS, Event, Year
from tests.people.browser import Browser
from webapp import ledger
from webapp.billing.events import handle_event, store_event
from webapp.billing.plan_reversals import PlanReversal
from webapp.billing.stripe_event import StripeEvent
from webapp.billing.subscription import Subscription
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.validity import add_months
from webapp.database import asks_for_repetition, sqlstate, try_again, unit_of_work
from webapp.outbox import OutboxRow
from webapp.people.user import User

# In parts, so that the processes of `pytest -n` share them: together 24 orders, and 208 in `make test-nightly`.
ORDERS = 26 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 3
YEARS = {
    # The credits of the refunded month are there yet; or they are over, and some were carried over.
    "runs-on": {"refunded": MONTHS},
    "refunded-late": {"refunded": MONTHS - 1},
    "ended": {"refunded": MONTHS, "ends": True},
    "ended-refunded-long-ago": {"refunded": 5, "ends": True},
}
LOCK_NOT_AVAILABLE = "55P03"
PAGES_EVERY = 9  # a page costs as much as ten events


@pytest.fixture(scope="module")
def network() -> Subscriptions:
    return Subscriptions()


@pytest.fixture(scope="module")
def app(make_app: Callable[..., Flask], servers_of_doubles: Any, network: Subscriptions) -> Flask:
    app = make_app(servers_of_doubles)
    app.extensions["stripe"] = stripe.StripeClient("sk_test_sandbox", http_client=network)
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
        offer(session, STUDIO)
    return app


def deliver(app: Flask, chance: random.Random | None, events: list[Event], *, harder: bool = False) -> None:
    """Each twice, by two workers at once that have shuffled them; without `chance` once and in order.

    A worker leaves alone what another is at or has done. Working `harder` it does not, and handles it all the same.
    """
    keys = [f"stripe-event:{event['id']}" for event in events]
    with app.app_context(), unit_of_work() as session:
        for event in events * 2:
            store_event(session, payload=event)
        rows = session.execute(select(OutboxRow.id, OutboxRow.args).where(OutboxRow.key.in_(keys))).all()
    row_of = {args["event_id"]: row_id for row_id, args in rows}

    def work(share: list[Event]) -> None:
        with app.app_context():
            for event in share:
                if harder:
                    _handle(event["id"])
                else:
                    handle_stripe_event(row_of[event["id"]])

    if chance is None:
        work(events)
    else:
        at_once([partial(work, chance.sample(events, len(events))) for _ in range(2)])
    with app.app_context():  # what waited too long for the other, on a busy machine, is tried later
        for event in events:
            if _state_of(event["id"]) == "received":
                _handle(event["id"])


def _handle(event_id: str) -> None:
    """Handle the event, whoever is at it or has done it."""

    def attempt() -> None:
        with unit_of_work() as session:
            handle_event(session, event_id=event_id)

    try_again(attempt, when=lambda error: asks_for_repetition(error) or sqlstate(error) == LOCK_NOT_AVAILABLE)


def _state_of(event_id: str) -> str:
    with unit_of_work() as session:
        return session.get_one(StripeEvent, event_id).state


def live(
    app: Flask, network: Subscriptions, start: datetime, chance: random.Random | None, **about: Any
) -> tuple[Member, Any]:
    """A year is lived and its events come; who lived it, and how it ends. Without `chance` all come at once, in order.

    Of each fact one of the events arrives, which one is chance, and the rest is lost. In every third year all has
    happened before the first of them comes; in every fifth the workers work harder.
    """
    member = make_member(app)
    year = Year(member, start, **about)
    network.stories[year.story.id] = year.story
    waiting: list[Event] = []
    told: list[str] = []
    late, harder = (chance.random() < 1 / 3, chance.random() < 1 / 5) if chance is not None else (False, False)
    for fact in year.facts:
        with network.lock:
            events = fact()
        waiting += events if chance is None else [chance.choice(events)]
        due = waiting if chance is None else [one for one in waiting if not late and chance.random() < 0.15]
        waiting = [event for event in waiting if event not in due]
        told += [event["id"] for event in due]
        if due:
            deliver(app, chance, due, harder=harder)
    if waiting:
        deliver(app, chance, waiting, harder=harder)
    told += [event["id"] for event in waiting]
    del network.stories[year.story.id]
    return member, member.do(lambda session: _state(session, member, told))


_GRANTS = text(
    "SELECT source, source_key, amount, remaining, held, effective_at, expires_at, frozen, expired, revoked,"
    " revoked_taken, revoked_as_debt, cost_minor, cost_currency, description"
    " FROM ledger.grants_v WHERE account_id = :account"
)
_MOVED = text(
    "SELECT e.kind, g.source_key, sum(d.amount)::bigint, min(e.occurred_at) FROM ledger.entries_v e"
    " JOIN ledger.draws_v d USING (account_id, seq) JOIN ledger.grants_v g USING (account_id, grant_id)"
    " WHERE account_id = :account AND e.occurred_at < :since GROUP BY 1, 2"
)
_BROKEN = text("SELECT * FROM ledger.violations_v WHERE account_id = :account")
_STRETCHES = text(
    "SELECT id, plan, plan_name, kind, anchor_at, starts_at, ends_at, paused, next_period, next_at"
    " FROM entitlements WHERE account_id = :account ORDER BY starts_at, id"
)
_PERIODS = text(
    "SELECT entitlement_id, number, starts_at, ends_at, credits, cost_minor, currency, rollover_cap,"
    " rolled_into IS NOT NULL FROM entitlement_periods WHERE account_id = :account"
)


def _state(session: Session, member: Member, told: list[str]) -> dict[str, Any]:
    """All that must not depend on the order: who was given what when, what became of it, and what is left."""
    account = {"account": member.account_id}
    assert session.execute(_BROKEN, account).all() == []
    states = session.scalars(select(StripeEvent.state).where(StripeEvent.id.in_(told)))
    subscription = session.scalars(select(Subscription).where(Subscription.user_id == member.user_id)).one()
    stretches = session.execute(_STRETCHES, account).all()
    names = {row[0]: f"{place}" for place, row in enumerate(stretches)}

    def named(source_key: str | None) -> str:
        """Stretches by their place, for their numbers are new each time."""
        what, *rest = (source_key or "").split(":")
        if what in ("grant", "rollover"):
            rest[0] = names[int(rest[0])]
        return ":".join([what, *rest]) if what != "sign-up" else what

    balance = ledger.balance(session, account_id=member.account_id)
    since = ledger.get_account(session, account_id=member.account_id).created_at
    reversals = session.scalars(select(PlanReversal).where(PlanReversal.account_id == member.account_id))
    return {
        "events": set(states),
        "subscription": (
            subscription.status,
            subscription.plan,
            subscription.price_minor,
            subscription.period_ends_at,
            subscription.ended_at,
            subscription.cancel_at_period_end,
            subscription.pending_plan,
            subscription.unpaid_invoice_id,
            subscription.reason,
        ),
        "stretches": [tuple(row[1:]) for row in stretches],
        "periods": sorted((names[row[0]], *row[1:]) for row in session.execute(_PERIODS, account)),
        "grants": sorted(
            (row[0], named(row[1]), *row[2:])
            for row in session.execute(_GRANTS, account)
            if not named(row[1]).startswith("sign-up") and row[0] != "sign-up"
        ),
        "moved": sorted((row[0], named(row[1]), row[2]) for row in session.execute(_MOVED, account | {"since": since})),
        "balance": (balance.balance, balance.available, balance.debt, balance.held),
        "reversals": [(one.price_minor, one.refunded_minor, one.lost_minor) for one in reversals],
    }


def pages(app: Flask, member: Member) -> dict[str, list[str]]:
    """What the person reads; lines of the history sorted, for it shows them in the order in which they were booked."""
    email = member.do(lambda session: session.get_one(User, member.user_id).email)
    browser = Browser(app)
    assert browser.log_in(email).status_code == 303
    history = browser.get("/credits/history").text
    lines = re.findall(r'<tr[^>]*data-entry[^>]*data-amount="(-?\d+)".*?<th[^>]*>(.*?)</th>', history, re.S)
    assert lines
    return {
        "/credits/history": sorted(f"{amount} {_words(title)}" for amount, title in lines),
        "/plan": _words(browser.get("/plan").text.partition("<main")[2].partition("</main>")[0]).splitlines(),
        "/credits": re.findall(r'data-available="(-?\d+)"', browser.get("/credits").text),
    }


def _words(html: str) -> str:
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"<[^>]*>", "\n", html)).strip()


@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("name", YEARS)
def test_a_year_of_events_in_any_order_twice_and_at_once_ends_alike(
    app: Flask, network: Subscriptions, name: str, part: int
) -> None:
    about = YEARS[name]
    start = add_months(now_of(app).replace(microsecond=0) - 10 * DAY, -MONTHS)
    member, expected = live(app, network, start, None, **about)
    shown = pages(app, member)
    assert_year_is_right(expected, start, **about)
    for number in range(ORDERS):
        member, found = live(app, network, start, random.Random(f"{name}-{part}-{number}"), **about)
        assert found == expected, number
        if number % PAGES_EVERY == 0:
            assert pages(app, member) == shown, number
    assert_ledger_sound(app)


def assert_year_is_right(state: dict[str, Any], start: datetime, *, refunded: int, ends: bool = False) -> None:
    """The year in order ended as the rules say."""
    assert state["subscription"][0] == ("canceled" if ends else "active")
    assert [stretch[0] for stretch in state["stretches"]] == ["pro", "studio", "pro"]
    whole = add_months(start, 4) - add_months(start, 3)
    upgrade = round(4000 * (whole - 10 * DAY) / whole)
    credits = {(row[0], row[1]): row[4] for row in state["periods"]}
    assert credits == {
        **{("0", month): 1000 for month in range(4)},
        ("1", 3): upgrade,
        **{("1", month): 5000 for month in range(4, 9)},
        **{("2", month): 1000 for month in range(9, MONTHS + 1)},
    }
    price = 4900 if 4 <= refunded <= 8 else 1200
    assert state["reversals"] == [(price, price * 3 // 10, 0)]
    assert state["events"] == {"handled"}
