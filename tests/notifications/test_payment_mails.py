"""A renewal that could not be collected: the one who pays hears of it once, while it is still missing."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.send_mail import send_mail
from tests.billing.plan_shop import PlanShop, buyer, customer_of, on_plan, shop
from tests.billing.shop import Buyer
from tests.notifications.test_mail import files
from webapp.notifications.payment_mails import payment_failed
from webapp.outbox import OutboxRow

__all__ = ["buyer", "shop"]


@pytest.fixture
def invoice(shop: PlanShop, buyer: Buyer) -> str:
    """The id of a renewal that the bank refused, of which the events have told us."""
    on_plan(shop, buyer)
    customer = customer_of(shop, buyer)
    broken = shop.stripe.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    subscription = shop.subscription(buyer).stripe_subscription_id
    shop.stripe.v1.subscriptions.update(subscription, {"default_payment_method": broken.id})
    shop.pass_days(31.1)
    shop.hear()
    found = shop.subscription(buyer).unpaid_invoice_id
    assert found is not None
    return found


def rows(shop: PlanShop) -> list[OutboxRow]:
    def read(session: Session) -> list[OutboxRow]:
        found = session.scalars(select(OutboxRow).where(OutboxRow.job == "send_mail")).all()
        return [row for row in found if row.args["mail"] == "payment_failed"]

    return list(shop.read(read))


def written(shop: PlanShop, row: OutboxRow) -> Any:
    args = {name: value for name, value in row.args.items() if name != "mail"}
    return shop.read(lambda session: payment_failed(session, settings=shop.app.config["SETTINGS"], **args))


def test_it_is_told_once_an_invoice_with_the_place_to_pay(shop: PlanShop, buyer: Buyer, invoice: str) -> None:
    shop.pass_days(4)  # tried again, and refused again
    shop.hear()
    [row] = rows(shop)
    assert row.args == {"mail": "payment_failed", "user_id": buyer.user.id, "invoice": invoice}
    mail = written(shop, row)
    assert mail.subject == "The payment for “Pro” did not come through"
    assert "€12.00 for your plan “Pro” could not be collected" in mail.text
    url = shop.subscription(buyer).unpaid_invoice_url
    assert url is not None
    assert url in mail.text
    assert f'href="{url}"' in mail.html
    assert mail.unsubscribe is None
    with shop.app.app_context():
        send_mail(row.id)
    assert any(buyer.user.email.encode() in path.read_bytes() for path in files(shop.app.config["SETTINGS"]))


def test_what_was_paid_before_the_mail_was_written_is_not_told(shop: PlanShop, buyer: Buyer, invoice: str) -> None:
    good = shop.stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer_of(shop, buyer)})
    shop.stripe.v1.invoices.pay(invoice, {"payment_method": good.id})
    shop.hear()
    [row] = rows(shop)
    assert written(shop, row) is None


def test_the_mail_speaks_the_language_of_who_pays(shop: PlanShop, buyer: Buyer, invoice: str) -> None:
    buyer.browser.post(
        "/settings", {"name": "Ada", "locale": "de", "time_zone": "Europe/Berlin", "spend_order": "free_first"}
    )
    mail = written(shop, rows(shop)[0])
    assert mail.locale == "de"
    assert mail.subject.startswith("Die Zahlung für „Pro“")
    assert "12,00\xa0€" in mail.text
