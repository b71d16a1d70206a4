"""The billing portal and the hosted invoice: what a payer can change without the merchant."""

from typing import Any

import pytest
import requests
import stripe

from tests.stripe_sandbox.conftest import Sandbox
from tests.stripe_sandbox.test_subscriptions import buyer, invoices_of, monthly, pass_days, subscribe


def open_portal(sandbox: Sandbox, customer: str, **more: Any) -> Any:
    params = {"customer": customer, "return_url": "http://shop.test/plan", **more}
    return sandbox.api.billing_portal.sessions.create(params)


def press(session: Any, action: str, **fields: str) -> requests.Response:
    return requests.post(session.url, data={"action": action, **fields}, allow_redirects=False, timeout=10)


def test_portal_shows_the_plan_and_leads_back(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    session = open_portal(sandbox, subscription.customer, locale="de")
    page = requests.get(session.url, timeout=10).text
    for shown in ("Pro", "10,00\N{NO-BREAK SPACE}€ pro Monat", "http://shop.test/plan", "Tarif", "aktiv"):
        assert shown in page
    assert invoices_of(sandbox, subscription)[0].number in page


def test_plan_is_left_and_kept(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    session = open_portal(sandbox, subscription.customer)
    assert press(session, "cancel", subscription=subscription.id).status_code == 303
    assert sandbox.api.subscriptions.retrieve(subscription.id).cancel_at_period_end is True
    assert 'value="resume"' in requests.get(session.url, timeout=10).text
    press(session, "resume", subscription=subscription.id)
    assert sandbox.api.subscriptions.retrieve(subscription.id).cancel_at is None


def test_plan_is_switched_with_proration(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    dearer = monthly(sandbox, amount=3_000, name="Max")
    pass_days(sandbox, 14)
    press(open_portal(sandbox, subscription.customer), "switch", subscription=subscription.id, price=dearer.id)
    changed = sandbox.api.subscriptions.retrieve(subscription.id)
    assert changed["items"].data[0].price.id == dearer.id
    pass_days(sandbox, 14)
    assert invoices_of(sandbox, subscription)[-1].amount_paid == 4_000


def test_new_card_pays_the_next_renewal(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    session = open_portal(sandbox, subscription.customer)
    assert press(session, "card", card="4000000000000002").status_code == 422
    assert press(session, "card", card="5555555555554444").status_code == 303
    pass_days(sandbox, 28)
    charge = sandbox.api.charges.list().data[0]
    assert charge.payment_method_details.card.brand == "mastercard"


def test_flow_leads_back_to_the_merchant_when_it_is_done(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    back = {"type": "redirect", "redirect": {"return_url": "http://shop.test/left"}}
    flow = {
        "type": "subscription_cancel",
        "subscription_cancel": {"subscription": subscription.id},
        "after_completion": back,
    }
    session = open_portal(sandbox, subscription.customer, flow_data=flow)
    answer = press(session, "cancel", subscription=subscription.id)
    assert (answer.status_code, answer.headers["Location"]) == (303, "http://shop.test/left")


def test_configuration_takes_buttons_away(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    off = {"subscription_cancel": {"enabled": False}, "payment_method_update": {"enabled": False}}
    configuration = sandbox.api.billing_portal.configurations.create({"features": off})
    session = open_portal(sandbox, subscription.customer, configuration=configuration.id)
    page = requests.get(session.url, timeout=10).text
    assert 'value="cancel"' not in page
    assert 'value="card"' not in page
    assert press(session, "cancel", subscription=subscription.id).status_code == 422
    assert sandbox.api.subscriptions.retrieve(subscription.id).cancel_at is None
    assert len(sandbox.api.billing_portal.configurations.list().data) == 1


def test_portal_reaches_nobody_elses_subscription(sandbox: Sandbox) -> None:
    mine, other = subscribe(sandbox), subscribe(sandbox)
    session = open_portal(sandbox, mine.customer)
    assert press(session, "cancel", subscription=other.id).status_code == 422
    assert press(session, "switch", subscription=mine.id, price="price_none").status_code == 400
    assert press(session, "dance", subscription=mine.id).status_code == 422
    assert sandbox.api.subscriptions.retrieve(other.id).cancel_at is None
    assert requests.get(f"{sandbox.url}/p/session/bps_none", timeout=10).status_code == 404
    foreign = {"Origin": "https://evil.example"}
    assert requests.post(session.url, data={"action": "cancel"}, headers=foreign, timeout=10).status_code == 403
    with pytest.raises(stripe.InvalidRequestError):
        open_portal(sandbox, "cus_none")


def test_open_invoice_is_paid_on_its_own_page(sandbox: Sandbox) -> None:
    customer = buyer(sandbox, method="pm_card_chargeCustomerFail")
    subscription = subscribe(sandbox, customer=customer)
    invoice = subscription.latest_invoice
    page = requests.get(invoice.hosted_invoice_url, timeout=10).text
    assert ("€10.00" in page, 'value="pay"' in page) == (True, True)
    pay = {"action": "pay", "card": "4000000000000002"}
    assert requests.post(invoice.hosted_invoice_url, data=pay, timeout=10).status_code == 402
    asked = requests.post(invoice.hosted_invoice_url, data={"card": "4000002500003155"}, timeout=10)
    assert 'value="authenticate"' in asked.text
    pay = {"action": "authenticate", "card": "4000002500003155"}
    assert requests.post(invoice.hosted_invoice_url, data=pay, timeout=10).status_code == 200
    assert sandbox.api.subscriptions.retrieve(subscription.id).status == "active"
    assert 'value="pay"' not in requests.get(invoice.hosted_invoice_url, timeout=10).text
    assert requests.get(f"{sandbox.url}/i/in_none", timeout=10).status_code == 404
