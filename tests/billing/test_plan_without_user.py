"""Plans of accounts that only the product's backend knows: nobody signs in, and nobody is mailed."""

from typing import Any

import pytest
import requests
from sqlalchemy import select

from tests.api.conftest import Caller, make_secret
from tests.billing.plan_shop import PlanShop, shop
from tests.billing.plans import Member, assert_ledger_sound
from webapp import ledger
from webapp.billing.reconcile import reconcile
from webapp.billing.subscription import Subscription
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow

__all__ = ["shop"]  # a shop whose clock can be moved
URLS = {"success_url": "https://product.example/bought", "cancel_url": "https://product.example/credits"}


@pytest.fixture
def seller(shop: PlanShop) -> Caller:
    return Caller(shop.app.test_client(), make_secret(shop.app))


def get_on(shop: PlanShop, seller: Caller, plan: str) -> Member:
    """A new account is on the plan."""
    name = seller.new_account()
    answer = seller.post("/checkout-sessions", {"account": name, "plan": plan, **URLS})
    assert answer.status_code == 200, answer.text
    if plan != "free":
        url = answer.get_json()["url"]
        paid = requests.post(url, data={"action": "pay", "email": "x@example.com"}, allow_redirects=False, timeout=20)
        assert (paid.status_code, paid.headers["Location"]) == (303, URLS["success_url"])
        shop.hear()
    with shop.app.app_context(), unit_of_work() as session:
        account = ledger.find_account(session, external_id=name)
        assert account is not None
        return Member(app=shop.app, user_id=0, account_id=account.account_id, customer_id="")


def mails(shop: PlanShop) -> list[Any]:
    rows: list[Any] = shop.read(lambda s: s.scalars(select(OutboxRow).where(OutboxRow.job == "send_mail")).all())
    return rows


def test_its_months_are_granted_like_anybody_s_and_nobody_is_mailed(shop: PlanShop, seller: Caller) -> None:
    accounts = {plan: get_on(shop, seller, plan) for plan in ("free", "lifetime", "pro", "pro-yearly")}
    for _ in range(2):
        shop.pass_days(31)
        shop.hear()
    granted = {plan: [row.credits for row in one.periods()] for plan, one in accounts.items()}
    assert granted == {"free": [100] * 3, "lifetime": [300] * 3, "pro": [1000] * 3, "pro-yearly": [1000] * 3}
    assert [grant[0] for grant in accounts["pro"].grants()].count("rollover") == 2
    assert mails(shop) == []
    assert_ledger_sound(shop.app)


def test_a_failed_renewal_and_an_end_survive_that_there_is_nobody(shop: PlanShop, seller: Caller) -> None:
    account = get_on(shop, seller, "pro")
    subscription = shop.read(lambda s: s.scalars(select(Subscription)).one())
    broken = shop.stripe.v1.payment_methods.attach(
        "pm_card_chargeCustomerFail", {"customer": subscription.stripe_customer_id}
    )
    shop.stripe.v1.subscriptions.update(subscription.stripe_subscription_id, {"default_payment_method": broken.id})
    shop.pass_days(31.1)
    shop.hear()
    assert shop.read(lambda s: s.scalars(select(Subscription)).one()).status == "past_due"
    assert len(account.periods()) == 1
    shop.stripe.v1.subscriptions.cancel(subscription.stripe_subscription_id)
    shop.hear()
    assert shop.read(lambda s: s.scalars(select(Subscription)).one()).status == "canceled"
    assert mails(shop) == []
    assert_ledger_sound(shop.app)


def test_a_payment_that_nobody_told_us_of_is_found_by_reconciliation(shop: PlanShop, seller: Caller) -> None:
    name = seller.new_account()
    answer = seller.post("/checkout-sessions", {"account": name, "plan": "pro", **URLS})
    url = answer.get_json()["url"]
    assert requests.post(url, data={"action": "pay", "email": "x@example.com"}, timeout=20, allow_redirects=False)
    with shop.app.app_context():
        from datetime import timedelta

        from webapp import clock

        lines = list(reconcile(since=clock.now() - timedelta(days=1), closely=True))
    assert "repaired" in {line.outcome for line in lines}
    assert seller.balance(name) == 1000
