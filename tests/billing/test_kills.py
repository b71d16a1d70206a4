"""A real kill -9 between Stripe's answer and our commit, at each call that moves money or makes a subscription.

Whoever tries again finds what was made and adopts it: one object at Stripe, one grant here. The event alone is enough,
too, where there is one.
"""

import json
import signal
from typing import Any

import pytest
import stripe
from sqlalchemy import select

from jobs.begin_successor import begin_successor as successor_job
from jobs.refund_purchase import refund_purchase as refund_job
from tests.billing.dying import ACTS
from tests.billing.plan_shop import PlanShop, buyer, change, on_plan, outcome, plan_grants, shop
from tests.billing.plans import assert_ledger_sound
from tests.billing.shop import Buyer
from tests.forks import Forks
from webapp import ledger
from webapp.billing.checkout import choose_package, start_purchase
from webapp.billing.plan_change import note_wish, preview_change
from webapp.billing.plan_order import PlanOrder
from webapp.billing.purchase import Purchase
from webapp.billing.refunding import outbox_key, refund_purchase
from webapp.billing.subscribing import start_order
from webapp.billing.subscription import Subscription
from webapp.catalog.plan import Plan
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow
from webapp.people.user import User

__all__ = ["buyer", "shop"]  # the fixtures of a shop whose clock can be moved

SIGN_UP = 100


@pytest.fixture(autouse=True)
def processes_of_the_shop(shop: PlanShop, forks: Forks) -> None:
    shop.forks = forks


def die(shop: PlanShop, act: str, *, after: str, **arguments: Any) -> None:
    """Another process begins it, and is gone when Stripe has done it."""
    settings = shop.app.config["SETTINGS"]
    output = settings.data_dir / f"{act}.log"
    environment = {
        "DATABASE_URL": settings.database_url,
        "DATABASE_OWNER_URL": settings.database_owner_url,
        "REDIS_URL": settings.redis_url,
        "DATA_DIR": str(settings.data_dir),
        "STRIPE_API_BASE": shop.sandbox_url,
        "DIES_AFTER": after,
    }
    assert shop.forks is not None
    process = shop.forks.start(
        "tests.billing.dying", act, json.dumps(arguments), environment=environment, output=output
    )
    assert process.wait(120) == -signal.SIGKILL, output.read_text()


def again(shop: PlanShop, act: str, **arguments: Any) -> None:
    """The same in this process, which lives."""
    with shop.app.app_context(), unit_of_work() as session:
        ACTS[act](session, **arguments)


def sessions_of(shop: PlanShop, reference: str, number: int) -> list[stripe.checkout.Session]:
    found = shop.stripe.v1.checkout.sessions.list(params={"limit": 100}).data
    return [one for one in found if one.metadata and dict(one.metadata.to_dict()).get(reference) == str(number)]


def new_purchase(shop: PlanShop, buyer: Buyer) -> int:
    user = buyer.user
    with shop.app.app_context(), unit_of_work() as session:
        return start_purchase(
            session,
            package=choose_package(session, code="starter", subscriber=False),
            price_minor=900,
            currency="EUR",
            user_id=user.id,
            account_id=user.account_id,
            external_id=user.external_id,
            intent="killed-in-between",
            mode="sandbox",
            shown_name="Starter",
            locale="en",
        ).id


def new_order(shop: PlanShop, buyer: Buyer, plan: str) -> int:
    with shop.app.app_context(), unit_of_work() as session:
        found = session.get_one(Plan, plan)
        return start_order(
            session,
            plan=found,
            price_minor=found.price_minor("EUR") or 0,
            currency="EUR",
            user=session.get_one(User, buyer.user.id),
            intent="killed-in-between",
            mode="sandbox",
            shown_name=found.name,
            locale="en",
        ).id


@pytest.mark.parametrize("after", ["POST /v1/customers", "POST /v1/checkout/sessions"])
@pytest.mark.parametrize("tells", ["again", "event"])
def test_the_checkout_of_a_package_is_made_once(shop: PlanShop, buyer: Buyer, after: str, tells: str) -> None:
    purchase_id = new_purchase(shop, buyer)
    asked = {"purchase_id": purchase_id, "email": buyer.user.email}
    die(shop, "buy", after=after, **asked)
    assert shop.purchase(purchase_id).stripe_session_id is None
    if tells == "again" or after.endswith("customers"):
        again(shop, "buy", **asked)
    (made,) = sessions_of(shop, "purchase", purchase_id)
    assert len(shop.stripe.v1.customers.list().data) == 1
    shop.press(made.id, "pay")
    if tells == "event":
        shop.hear(shop.events(made.id))
    else:
        assert buyer.outcome(shop.purchase(purchase_id)) == "success"
    assert shop.purchase(purchase_id).stripe_session_id == made.id
    again(shop, "buy", **asked)
    assert len(sessions_of(shop, "purchase", purchase_id)) == 1
    assert buyer.bought() == [500]
    shop.assert_sound()


@pytest.mark.parametrize(
    ("plan", "after"),
    [
        ("pro", "POST /v1/customers"),
        ("pro", "POST /v1/products"),
        ("pro", "POST /v1/prices"),
        ("pro", "POST /v1/checkout/sessions"),
        ("lifetime", "POST /v1/checkout/sessions"),
    ],
)
def test_the_checkout_of_a_plan_is_made_once(shop: PlanShop, buyer: Buyer, plan: str, after: str) -> None:
    order_id = new_order(shop, buyer, plan)
    asked = {"order_id": order_id, "email": buyer.user.email}
    die(shop, "subscribe", after=after, **asked)
    assert shop.read(lambda session: session.get_one(PlanOrder, order_id)).stripe_session_id is None
    again(shop, "subscribe", **asked)
    (made,) = sessions_of(shop, "plan_order", order_id)
    assert len(shop.stripe.v1.customers.list().data) == 1
    assert len(shop.stripe.v1.prices.list(params={"type": "recurring"}).data) == (plan == "pro")
    shop.press(made.id, "pay")
    assert outcome(buyer, made.id) == "success"
    shop.hear()
    assert len(plan_grants(shop, buyer)) == 1
    assert_ledger_sound(shop.app)


def test_a_plan_that_was_paid_on_a_page_whose_making_was_forgotten_begins_by_its_event(
    shop: PlanShop, buyer: Buyer
) -> None:
    order_id = new_order(shop, buyer, "pro")
    die(shop, "subscribe", after="POST /v1/checkout/sessions", order_id=order_id, email=buyer.user.email)
    (made,) = sessions_of(shop, "plan_order", order_id)
    shop.press(made.id, "pay")
    shop.hear()
    order = shop.read(lambda session: session.get_one(PlanOrder, order_id))
    assert (order.stripe_session_id, order.state) == (made.id, "fulfilled")
    assert plan_grants(shop, buyer) == [("subscription", 1000, 1000, 1200)]
    assert_ledger_sound(shop.app)


@pytest.mark.parametrize("tells", ["again", "event"])
def test_an_upgrade_is_paid_and_granted_once(shop: PlanShop, buyer: Buyer, tells: str) -> None:
    on_plan(shop, buyer)
    shop.hear()
    shop.pass_days(10)
    subscription = shop.subscription(buyer)
    moment = shop.read(ledger.now).replace(microsecond=0)
    asked = {"subscription_id": subscription.id, "plan": "studio", "moment": moment.isoformat()}
    die(shop, "alter", after=f"POST /v1/subscriptions/{subscription.stripe_subscription_id}", **asked)
    assert len(plan_grants(shop, buyer)) == 1
    if tells == "again":
        again(shop, "alter", **asked)
    shop.hear()
    assert len(plan_grants(shop, buyer)) == 2
    paid = shop.stripe.v1.invoices.list(params={"subscription": subscription.stripe_subscription_id}).data
    assert [one.billing_reason for one in paid] == ["subscription_update", "subscription_create"]
    assert 'data-plan="studio"' in buyer.browser.get("/plan").text
    assert_ledger_sound(shop.app)


def test_a_downgrade_that_was_asked_for_and_forgotten_begins_all_the_same(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer, "studio")
    shop.hear()
    subscription = shop.subscription(buyer)
    moment = shop.read(ledger.now).replace(microsecond=0)
    asked = {"subscription_id": subscription.id, "plan": "pro", "moment": moment.isoformat()}
    die(shop, "alter", after=f"POST /v1/subscriptions/{subscription.stripe_subscription_id}", **asked)
    shop.hear()
    assert "Pro begins on" in buyer.browser.get("/plan").text
    shop.pass_days(31.1)
    shop.hear()
    assert [grant[1] for grant in plan_grants(shop, buyer) if grant[0] == "subscription"] == [5000, 1000]
    assert_ledger_sound(shop.app)


@pytest.mark.parametrize("plan", ["pro", "free"])
def test_a_plan_of_another_rhythm_that_was_asked_for_and_forgotten_follows_all_the_same(
    shop: PlanShop, buyer: Buyer, plan: str
) -> None:
    on_plan(shop, buyer, "pro-yearly" if plan == "pro" else "pro")
    shop.hear()
    subscription = shop.subscription(buyer)
    moment = shop.read(ledger.now).replace(microsecond=0)
    asked = {"subscription_id": subscription.id, "plan": plan, "moment": moment.isoformat()}
    die(shop, "alter", after=f"POST /v1/subscriptions/{subscription.stripe_subscription_id}", **asked)
    assert not shop.subscription(buyer).cancel_at_period_end
    shop.hear()
    assert shop.subscription(buyer).pending_plan == plan
    assert f"{plan.title()} begins on" in buyer.browser.get("/plan").text
    shop.pass_days(366.5 if plan == "pro" else 31.1)
    shop.hear()
    row_id = shop.read(lambda s: s.scalars(select(OutboxRow.id).where(OutboxRow.job == "begin_successor")).one())
    with shop.app.app_context():
        successor_job(row_id)
    assert f'data-plan="{plan}"' in buyer.browser.get("/plan").text
    assert_ledger_sound(shop.app)


def test_nothing_follows_for_a_wish_that_stripe_never_heard_of(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer, "pro-yearly")
    shop.hear()
    with shop.app.app_context(), unit_of_work() as session:
        subscription = session.scalars(select(Subscription)).one()
        asked = preview_change(session, subscription=subscription, plan=session.get_one(Plan, "pro"))
        note_wish(session, subscription=subscription, change=asked)
        stripe_id = subscription.stripe_subscription_id
    assert shop.subscription(buyer).pending_plan == "pro"
    assert "begins on" not in buyer.browser.get("/plan").text
    shop.stripe.v1.subscriptions.update(stripe_id, {"cancel_at_period_end": True})  # as in the portal
    shop.hear()
    assert shop.subscription(buyer).pending_plan is None
    assert "ends on" in buyer.browser.get("/plan").text


def test_a_wish_that_was_undone_at_stripe_is_forgotten(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer, "pro-yearly")
    assert change(buyer, "pro").status_code == 303
    stripe_id = shop.subscription(buyer).stripe_subscription_id
    shop.hear()
    assert shop.subscription(buyer).pending_plan == "pro"
    for ends in (False, True):
        shop.stripe.v1.subscriptions.update(stripe_id, {"cancel_at_period_end": ends})
        shop.hear()
        assert shop.subscription(buyer).pending_plan is None


def bought(shop: PlanShop, buyer: Buyer) -> Purchase:
    purchase = buyer.start()
    shop.press(purchase.stripe_session_id or "", "pay")
    assert buyer.outcome(purchase) == "success"
    return shop.purchase(purchase.id)


@pytest.mark.parametrize("late", [False, True], ids=["at once", "when Stripe has forgotten its key"])
def test_a_refund_is_made_once(shop: PlanShop, buyer: Buyer, late: bool) -> None:
    purchase = bought(shop, buyer)
    with shop.app.app_context(), unit_of_work() as session:
        asked = refund_purchase(
            session, purchase_id=purchase.id, amount_minor=270, reason="test", actor="admin:test", intent="one"
        )
        session.flush()
        refund_id = asked.id
    die(shop, "refund", after="POST /v1/refunds", refund_id=refund_id)
    assert buyer.balance() == SIGN_UP + 500
    if late:
        shop.pass_days(2)
    with shop.app.app_context():
        refund_job(shop.outbox_row(outbox_key(refund_id)).id)
    made = shop.stripe.v1.refunds.list(params={"payment_intent": purchase.stripe_payment_intent_id or ""}).data
    assert [one.amount for one in made] == [270]
    assert buyer.balance() == SIGN_UP + 350
    assert shop.purchase(purchase.id).refunded_minor == 270


@pytest.mark.parametrize("late", [False, True], ids=["at once", "when Stripe has forgotten its key"])
def test_the_subscription_that_follows_another_is_made_and_paid_once(shop: PlanShop, buyer: Buyer, late: bool) -> None:
    """Off-session: nobody is there who could notice that it is paid twice."""
    on_plan(shop, buyer, "pro-yearly")
    shop.hear()
    assert change(buyer, "pro").headers["Location"] == "/plan"
    ended = shop.subscription(buyer)
    shop.stripe.v1.subscriptions.cancel(ended.stripe_subscription_id)
    shop.hear()
    with_key = select(OutboxRow.id).where(OutboxRow.job == "begin_successor")
    row_id = shop.read(lambda session: session.scalars(with_key).one())
    die(shop, "succeed", after="POST /v1/subscriptions", subscription_id=ended.id)
    assert shop.read(lambda session: session.get_one(Subscription, ended.id)).successor_id is None
    if late:
        shop.pass_days(2)
    with shop.app.app_context():
        successor_job(row_id)
    shop.hear()
    customer = shop.member(buyer).customer_id
    made = shop.stripe.v1.subscriptions.list(params={"customer": customer, "status": "all"}).data
    assert [one.status for one in made] == ["active", "canceled"]
    assert shop.read(lambda session: session.get_one(Subscription, ended.id)).successor_id == made[0].id
    charges = shop.stripe.v1.charges.list(params={"customer": customer}).data
    assert sorted(charge.amount for charge in charges) == [1200, 12000]
    assert [grant[:2] for grant in plan_grants(shop, buyer)].count(("subscription", 1000)) == 2
    assert_ledger_sound(shop.app)
