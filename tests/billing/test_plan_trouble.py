"""A plan that can't go on until its holder does something, over HTTP, with the real SDK against the sandbox."""

import re
from typing import Any

import requests
from sqlalchemy import text

from tests.billing.plan_shop import PlanShop, buyer, change, customer_of, on_plan, plan_grants, shop
from tests.billing.plans import assert_ledger_sound
from tests.billing.shop import Buyer

__all__ = ["buyer", "shop"]  # the fixtures of a shop whose clock can be moved


def pays_with(shop: PlanShop, buyer: Buyer, card: str) -> str:
    """The buyer's subscription is paid with this card of Stripe's from now on; its id."""
    method = shop.stripe.v1.payment_methods.attach(card, {"customer": customer_of(shop, buyer)})
    stripe_id = shop.subscription(buyer).stripe_subscription_id
    shop.stripe.v1.subscriptions.update(stripe_id, {"default_payment_method": method.id})
    return str(method.id)


def confirm(url: str, card: str) -> None:
    """The cardholder confirms the payment on Stripe's page of the invoice."""
    asked = requests.post(url, data={"action": "pay", "card": card}, timeout=20)
    assert asked.ok, asked.text
    done = requests.post(url, data={"action": "authenticate", "card": card}, allow_redirects=False, timeout=20)
    assert done.status_code == 303, done.text


def trouble_on(buyer: Buyer, path: str) -> str | None:
    """What the banner on the page is about, and that it leads somewhere."""
    page = buyer.browser.get(path).text
    found = re.search(r'<div class="alert" role="alert" id="(\w+)">', page)
    assert found is None or 'action="/plan/portal"' in page
    return found[1] if found else None


def test_an_invoice_that_cannot_be_made_ready_is_said_to_customer_and_operator(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    stripe_id = shop.subscription(buyer).stripe_subscription_id
    assert requests.post(f"{shop.sandbox_url}/_sandbox/subscriptions/{stripe_id}/fail-finalization", timeout=10).ok
    shop.pass_days(31.1)
    events = shop.every_event()
    shop.hear(events)
    subscription = shop.subscription(buyer)
    assert subscription.needs == "address"
    assert "customer_tax_location_invalid" in (subscription.reason or "")
    failed = next(event for event in events if event["type"] == "invoice.finalization_failed")
    assert shop.event(failed["id"]).state == "parked"
    assert (trouble_on(buyer, "/plan"), trouble_on(buyer, "/credits")) == ("address", "address")
    metrics = shop.app.test_client().get("/metrics").text
    assert re.search(r"^tallystick_stripe_events_parked [1-9]", metrics, re.M)
    assert plan_grants(shop, buyer) == [("subscription", 1000, 0, 1200)]
    invoice = shop.stripe.v1.invoices.finalize_invoice(failed["data"]["object"]["id"])
    if invoice.status == "open":
        shop.stripe.v1.invoices.pay(invoice.id)
    shop.hear()
    assert (shop.subscription(buyer).needs, shop.subscription(buyer).reason) == (None, None)
    assert trouble_on(buyer, "/plan") is None
    assert len(plan_grants(shop, buyer)) == 3
    assert_ledger_sound(shop.app)


def test_a_renewal_that_failed_is_said_on_the_page_of_credits_too(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    assert trouble_on(buyer, "/credits") is None
    pays_with(shop, buyer, "pm_card_chargeCustomerFail")
    shop.pass_days(31.1)
    shop.hear()
    for path in ("/credits", "/plan"):
        assert trouble_on(buyer, path) == "unpaid"
        page = buyer.browser.get(path).text.replace("&amp;", "&")
        assert (shop.subscription(buyer).unpaid_invoice_url or "-") in page


def test_a_renewal_that_wants_its_cardholder_says_so_and_leads_there(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    card = pays_with(shop, buyer, "pm_card_authenticationRequired")
    shop.pass_days(31.1)
    shop.hear()
    subscription = shop.subscription(buyer)
    assert (subscription.status, subscription.needs) == ("past_due", "confirmation")
    assert (trouble_on(buyer, "/credits"), trouble_on(buyer, "/plan")) == ("confirmation", "confirmation")
    assert plan_grants(shop, buyer) == [("subscription", 1000, 0, 1200)]
    confirm(subscription.unpaid_invoice_url or "", card)
    shop.hear()
    assert (shop.subscription(buyer).status, shop.subscription(buyer).needs) == ("active", None)
    assert len(plan_grants(shop, buyer)) == 3
    assert trouble_on(buyer, "/plan") is None
    assert_ledger_sound(shop.app)


def test_an_upgrade_that_wants_its_cardholder_is_made_when_they_have_confirmed(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    card = pays_with(shop, buyer, "pm_card_authenticationRequired")
    shop.pass_days(10)
    answer = change(buyer, "studio")
    assert answer.status_code == 402
    assert "Your bank wants you to confirm the payment" in answer.text
    assert "refused" not in answer.text
    url = _confirm_link(answer.text)
    shop.hear()
    assert shop.subscription(buyer).status == "active"
    assert len(plan_grants(shop, buyer)) == 1
    assert 'data-plan="pro"' in buyer.browser.get("/plan").text
    assert trouble_on(buyer, "/plan") == "confirmation"
    confirm(url, card)
    shop.hear()
    assert 'data-plan="studio"' in buyer.browser.get("/plan").text
    assert trouble_on(buyer, "/plan") is None
    first, second = plan_grants(shop, buyer)
    assert first == ("subscription", 1000, 1000, 1200)
    assert 2600 < second[1] < 2800
    assert_ledger_sound(shop.app)


def test_an_upgrade_that_nobody_confirms_is_forgotten_after_a_day(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    pays_with(shop, buyer, "pm_card_authenticationRequired")
    assert change(buyer, "studio").status_code == 402
    assert change(buyer, "studio").status_code == 402  # asked again, and still nothing is changed
    shop.pass_days(1.1)
    shop.hear()
    assert (shop.subscription(buyer).plan, shop.subscription(buyer).status) == ("pro", "active")
    assert trouble_on(buyer, "/plan") is None
    assert len(plan_grants(shop, buyer)) == 1


def _confirm_link(page: str) -> str:
    found = re.search(r'id="confirm" href="([^"]+)"', page)
    assert found, page
    return found[1].replace("&amp;", "&")


def test_payments_alone_lead_to_what_they_pay_for(shop: PlanShop, buyer: Buyer) -> None:
    """Whatever else is lost: an event about a payment finds its purchase, its order or its subscription."""
    package = buyer.start("starter")
    shop.press(package.stripe_session_id or "", "pay")
    _hear_payments(shop)
    assert buyer.bought() == [500]
    others = {plan: shop.new_buyer() for plan in ("lifetime", "pro")}
    for plan, other in others.items():
        answer = other.browser.post(f"/plans/{plan}/subscribe", {}, form=f"/plans/{plan}/subscribe")
        found = re.search(r"cs_\w+", answer.headers["Location"])
        assert found
        shop.press(found[0], "pay")
    _hear_payments(shop)
    assert plan_grants(shop, others["lifetime"])[0][:3] == ("plan", 300, 300)
    assert plan_grants(shop, others["pro"]) == [("subscription", 1000, 1000, 1200)]
    assert_ledger_sound(shop.app)


def test_a_payment_of_somebody_else_is_ignored(shop: PlanShop, buyer: Buyer) -> None:
    stranger = shop.stripe.v1.customers.create({"email": "stranger@example.com"})
    for more in ({}, {"customer": stranger.id}, {"metadata": {"purchase": "1"}}, {"metadata": {"plan_order": "x"}}):
        asked: Any = {"amount": 500, "currency": "eur", "confirm": True, "payment_method": "pm_card_visa", **more}
        shop.stripe.v1.payment_intents.create(asked)
    assert _hear_payments(shop) == {"ignored"}
    with shop.app.app_context():
        from webapp.extensions import db

        assert db.session().execute(text("SELECT count(*) FROM purchases")).scalar_one() == 0


def _hear_payments(shop: PlanShop) -> set[str]:
    events = [event for event in shop.every_event() if event["type"].startswith("payment_intent.")]
    assert events
    shop.hear(events)
    return {shop.event(event["id"]).state for event in events}
