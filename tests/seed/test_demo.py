"""The demo's people: made once, by the paths that buyers take, with a past in which nothing is out of order."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select, text

from tests.billing.plans import assert_ledger_sound
from tests.conftest import TestServers
from tests.stripe_sandbox.conftest import serve
from webapp import clock, ledger
from webapp.billing.entitlement import Entitlement, EntitlementPeriod
from webapp.billing.purchase import Purchase
from webapp.billing.stripe_api import client
from webapp.billing.subscription import Subscription, SubscriptionInvoice
from webapp.catalog.package import list_packages
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow
from webapp.people.user import User
from webapp.seed import ADA, ADMIN, FREE, LEE, NotASandbox, seed_demo
from webapp.stripe_sandbox import create_sandbox, install


@pytest.fixture
def shop(make_app: Callable[..., Flask], fresh_database: TestServers) -> Iterator[Flask]:
    """An application on a database of its own with a Stripe sandbox beside it."""
    install(fresh_database.owner_url)

    def sandbox(url: str) -> Flask:
        return create_sandbox(
            dsn=fresh_database.database_url, base_url=url, webhook_url=None, webhook_secret="x", background=False
        )

    with serve(sandbox) as url:
        yield make_app(fresh_database, STRIPE_API_BASE=url)


def account_of(app: Flask, email: str) -> int:
    with app.app_context(), unit_of_work() as session:
        return session.scalars(select(User.account_id).where(User.email_key == email)).one()


def story_of(app: Flask, email: str) -> list[ledger.Entry]:
    account_id = account_of(app, email)
    with app.app_context(), unit_of_work() as session:
        page = ledger.entries(session, account_id=account_id, limit=200)
        found = list(page.entries)
        while page.next_before is not None:
            page = ledger.entries(session, account_id=account_id, limit=200, before=page.next_before)
            found += page.entries
        return found[::-1]


def test_the_demo_is_seeded_once(shop: Flask) -> None:
    assert sorted(seed_demo(shop)) == sorted([ADMIN, ADA, FREE, LEE])

    def picture() -> list[tuple[str, str | None, int, int]]:
        with shop.app_context(), unit_of_work() as session:
            people = session.scalars(select(User).order_by(User.id)).all()
            balances = [ledger.balance(session, account_id=person.account_id) for person in people]
            return [(p.email, p.role, b.balance, b.seq) for p, b in zip(people, balances, strict=True)]

    before = picture()
    found = {email: (role, balance, entries) for email, role, balance, entries in before}
    assert found[ADMIN] == ("owner", 0, 0)
    assert found[FREE] == (None, 100, 1)  # the free plan's first month, and nothing spent
    assert found[ADA][2] > 200
    assert found[LEE][2] > 30
    assert seed_demo(shop) == []
    assert picture() == before
    with shop.app_context(), unit_of_work() as session:
        assert len(list_packages(session)) == 4


def test_ada_has_paid_for_all_that_she_has_and_her_card_is_saved(shop: Flask) -> None:
    seed_demo(shop)
    account_id = account_of(shop, ADA)
    with shop.app_context(), unit_of_work() as session:
        now = ledger.now(session)
        subscription = session.scalars(select(Subscription)).one()
        assert (subscription.status, subscription.plan, subscription.reason) == ("active", "pro", None)
        assert subscription.period_ends_at is not None
        assert timedelta(days=11) < subscription.period_ends_at - now <= timedelta(days=12)
        invoices = session.scalars(select(SubscriptionInvoice).order_by(SubscriptionInvoice.created_at)).all()
        assert [(one.status, one.paid_minor) for one in invoices] == [("paid", 1200)] * 5
        assert all(one.applied_at is not None for one in invoices)
        purchase = session.scalars(select(Purchase)).one()
        assert (purchase.state, purchase.package, purchase.reason) == ("fulfilled", "standard", None)
        periods = session.scalars(
            select(EntitlementPeriod)
            .join(Entitlement, Entitlement.id == EntitlementPeriod.entitlement_id)
            .where(Entitlement.account_id == account_id, Entitlement.plan == "pro")
            .order_by(EntitlementPeriod.number)
        ).all()
        assert [one.number for one in periods] == [0, 1, 2, 3, 4]
        assert all(one.rolled_into for one in periods[:3])  # in the fourth month she used up all
        # The sandbox that runs beside it knows all of this, and will renew it.
        at_stripe = client().v1.subscriptions.retrieve(subscription.stripe_subscription_id)
        assert at_stripe.status == "active"
        saved = client().v1.customers.payment_methods.list(subscription.stripe_customer_id)
        assert [one.card.last4 for one in saved.data if one.card] == ["4242"]
        undone = select(func.count()).select_from(OutboxRow).where(OutboxRow.done_at.is_(None))
        assert session.scalar(undone) == 0  # nobody is mailed about what happened months ago
    assert_ledger_sound(shop)


@pytest.mark.parametrize("email", [ADA, LEE, FREE])
def test_a_past_is_told_in_its_order_and_was_never_short(shop: Flask, email: str) -> None:
    seed_demo(shop)
    account_id, story = account_of(shop, email), story_of(shop, email)
    assert story == sorted(story, key=lambda entry: entry.occurred_at)
    assert all(entry.occurred_at <= entry.booked_at for entry in story)
    assert min(entry.balance_after for entry in story) >= 0
    with shop.app_context(), unit_of_work() as session:
        now, since = ledger.now(session), story[0].occurred_at
        moments = [since + timedelta(days=day) for day in range((now - since).days + 1)]
        assert min(ledger.balance_at(session, account_id=account_id, at=moment) for moment in moments) >= 0
    for entry in story:
        if entry.kind in ("grant", "purchase", "spend"):
            assert entry.booked_at - entry.occurred_at < timedelta(hours=1), entry


def test_the_demo_is_there_without_a_sandbox_too(fresh_app: Flask) -> None:
    """STRIPE_API_BASE may lead to another double, of which nobody can say what happened in the past."""
    assert sorted(seed_demo(fresh_app)) == sorted([ADMIN, ADA, FREE, LEE])
    story = story_of(fresh_app, ADA)
    assert len(story) > 40
    assert min(entry.balance_after for entry in story) >= 0
    with fresh_app.app_context(), unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Purchase)) == 0
    assert_ledger_sound(fresh_app)


def test_a_past_that_fails_leaves_nothing_and_the_present(shop: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("the machine was switched off")

    from webapp.seed.past import Past

    monkeypatch.setattr(Past, "buy", fail)
    with pytest.raises(RuntimeError):
        seed_demo(shop)
    with shop.app_context(), unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(User).where(User.email_key == ADA)) == 0
        assert session.scalar(text("SELECT count(*) FROM stripe_sandbox.objects WHERE type = 'customer'")) == 0
        assert abs(clock.now() - ledger.now(session)) < timedelta(seconds=2)
    monkeypatch.undo()
    assert seed_demo(shop) == [ADA, LEE]


def test_the_demo_is_refused_where_money_is_real(make_app: Callable[..., Flask], servers: TestServers) -> None:
    app = make_app(
        servers,
        STRIPE_SECRET_KEY="sk_test_x",
        STRIPE_WEBHOOK_SECRET="whsec_x",
        SECRET_KEY="s" * 40,
        LEDGER_SEAL_KEY="l" * 40,
    )
    with pytest.raises(NotASandbox):
        seed_demo(app)


def test_the_demo_is_refused_where_the_database_says_that_money_is_real(
    fresh_app: Flask, fresh_database: TestServers
) -> None:
    """A shell without STRIPE_SECRET_KEY looks like sandbox mode to itself."""
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("SELECT ledger.let_clock_move(false)")
    with pytest.raises(NotASandbox):
        seed_demo(fresh_app)
    with fresh_app.app_context(), unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 0


# ---------------------------------------------------------------- time that is turned back


def test_nobody_else_sees_that_time_is_turned_back(fresh_app: Flask, fresh_database: TestServers) -> None:
    with fresh_app.app_context(), unit_of_work() as session:
        present = ledger.now(session)
        past = ledger.turn_back(session, to=present - timedelta(days=100))
        assert abs(present - timedelta(days=100) - past) < timedelta(seconds=5)
        account, _ = ledger.open_account(session, external_id=uuid4().hex)
        assert account.created_at < present - timedelta(days=99)
        with psycopg.connect(fresh_database.database_url) as other:
            row = other.execute("SELECT ledger.now()").fetchone()
            assert row is not None
            assert row[0] >= present
        ledger.turn_back(session, to=None)
        assert ledger.now(session) >= present


def test_time_that_stays_turned_back_is_never_committed(fresh_app: Flask) -> None:
    with fresh_app.app_context():
        with pytest.raises(Exception, match="must not stay turned back"), unit_of_work() as session:
            ledger.turn_back(session, to=ledger.now(session) - timedelta(days=1))
        with unit_of_work() as session, pytest.raises(ledger.InvalidRequest, match="future"):
            ledger.turn_back(session, to=ledger.now(session) + timedelta(days=1))


def test_real_money_has_no_past_to_go_back_to(fresh_app: Flask, fresh_database: TestServers) -> None:
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("SELECT ledger.let_clock_move(false)")
    with fresh_app.app_context(), unit_of_work() as session, pytest.raises(ledger.InvalidRequest, match="sandbox"):
        ledger.turn_back(session, to=ledger.now(session) - timedelta(days=1))
