"""What happens to subscriptions, saved cards and disputes in the course of time, once each."""

import requests

from tests.stripe_sandbox.conftest import Sandbox
from tests.stripe_sandbox.test_subscriptions import buyer, checkout, monthly, pass_days, subscribe


def live_through_a_subscription(sandbox: Sandbox) -> None:
    """Tried, paid, changed, discounted, renewed."""
    coupon = sandbox.api.coupons.create({"percent_off": 10, "duration": "repeating", "duration_in_months": 3})
    code = sandbox.api.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}})
    session = checkout(
        sandbox,
        monthly(sandbox),
        discounts=[{"promotion_code": code.id}],
        automatic_tax={"enabled": True},
        subscription_data={"trial_period_days": 7, "metadata": {"a": "b"}},
    )
    sandbox.press(session, "pay")
    pass_days(sandbox, 8)
    subscription = sandbox.api.subscriptions.list().data[0]
    item = subscription["items"].data[0]
    dearer = {"items": [{"id": item.id, "price": monthly(sandbox, amount=3_000).id}]}
    sandbox.api.subscriptions.update(subscription.id, dearer)
    sandbox.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    sandbox.api.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    pass_days(sandbox, 31)
    waiting = checkout(sandbox, monthly(sandbox))
    sandbox.press(waiting, "delay")
    sandbox.press(sandbox.open_session(invoice_creation={"enabled": True}), "pay")


def fail_and_end(sandbox: Sandbox) -> None:
    """Refused by the card, by the tax, by the bank; paused, resumed, given up, cancelled."""
    subscription = subscribe(sandbox)
    requests.post(f"{sandbox.url}/_sandbox/subscriptions/{subscription.id}/fail-next", json={}, timeout=10)
    taxed = subscribe(sandbox)
    requests.post(f"{sandbox.url}/_sandbox/subscriptions/{taxed.id}/fail-finalization", json={}, timeout=10)
    asking = subscribe(sandbox)
    asks = sandbox.api.payment_methods.attach("pm_card_authenticationRequired", {"customer": asking.customer})
    sandbox.api.subscriptions.update(asking.id, {"default_payment_method": asks.id})
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    customer = buyer(sandbox, method=None)
    paused = subscribe(sandbox, customer=customer, trial_period_days=2, trial_settings=settings)
    incomplete = subscribe(sandbox, payment_behavior="default_incomplete")
    pass_days(sandbox, 31)
    sandbox.api.subscriptions.resume(paused.id)
    pass_days(sandbox, 20)
    assert sandbox.api.subscriptions.retrieve(incomplete.id).status == "incomplete_expired"
    sandbox.api.subscriptions.cancel(taxed.id)


def save_and_dispute(sandbox: Sandbox) -> None:
    customer = sandbox.api.customers.create({"email": "ada@example.com"})
    setup = {"mode": "setup", "success_url": "http://shop.test/", "currency": "eur", "customer": customer.id}
    session = sandbox.api.checkout.sessions.create(setup)
    for action, card in (("decline", ""), ("pay", "4000002500003155"), ("authenticate", "4000002500003155")):
        sandbox.press(session, action, card=card)
    sandbox.api.checkout.sessions.expire(sandbox.api.checkout.sessions.create(setup).id)
    sandbox.set_faults(tax_percent=19)
    taxed = sandbox.open_session(
        customer=customer.id,
        automatic_tax={"enabled": True},
        customer_update={"address": "auto"},
        saved_payment_method_options={"payment_method_save": "enabled"},
    )
    sandbox.press(taxed, "pay", save_card="1")
    kept = sandbox.api.payment_methods.list({"customer": customer.id}).data[0]
    sandbox.api.payment_methods.update(kept.id, {"allow_redisplay": "limited"})
    sandbox.api.customers.update(customer.id, {"invoice_settings": {"default_payment_method": kept.id}})
    sandbox.api.payment_methods.detach(kept.id)
    asked = {"amount": 900, "currency": "eur", "payment_method": "pm_card_authenticationRequired", "confirm": True}
    sandbox.api.payment_intents.create(asked)
    asked |= {"payment_method": "pm_card_visa", "capture_method": "manual"}
    sandbox.api.payment_intents.capture(sandbox.api.payment_intents.create(asked).id)
    for won in ("winning_evidence", "losing_evidence"):
        sandbox.press(sandbox.open_session(), "pay", card="4000000000000259")
        sandbox.run_due()
        dispute = sandbox.api.disputes.list().data[0]
        sandbox.api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": won}})
    sandbox.api.invoice_items.create({"customer": customer.id, "amount": 500, "currency": "eur"})
    sandbox.api.billing_portal.configurations.create({"name": "Ours"})
    sandbox.api.webhook_endpoints.create({"url": sandbox.receiver.url, "enabled_events": ["*"]})
