"""Subscriptions: made through Checkout and directly, renewed, changed and ended, as time goes by."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.conftest import Sandbox


def monthly(sandbox: Sandbox, *, amount: int = 1_000, **more: Any) -> Any:
    product = sandbox.api.products.create({"name": more.pop("name", "Pro")})
    recurring = more.pop("recurring", {"interval": "month"})
    return sandbox.api.prices.create(
        {"product": product.id, "currency": "eur", "unit_amount": amount, "recurring": recurring, **more}
    )


def buyer(sandbox: Sandbox, *, method: str | None = "pm_card_visa") -> Any:
    """A customer whose invoices are paid with this test card."""
    customer = sandbox.api.customers.create({"email": "ada@example.com"})
    if method is not None:
        saved = sandbox.api.payment_methods.attach(method, {"customer": customer.id})
        sandbox.api.customers.update(customer.id, {"invoice_settings": {"default_payment_method": saved.id}})
    return customer


def subscribe(sandbox: Sandbox, price: Any = None, *, customer: Any = None, **more: Any) -> Any:
    customer = customer or buyer(sandbox)
    price = price or monthly(sandbox)
    params = {"customer": customer.id, "items": [{"price": price.id}], "expand": ["latest_invoice"], **more}
    return sandbox.api.subscriptions.create(params)


def checkout(sandbox: Sandbox, price: Any, **more: Any) -> Any:
    return sandbox.open_session(mode="subscription", line_items=[{"price": price.id, "quantity": 1}], **more)


def pass_days(sandbox: Sandbox, days: float) -> None:
    sandbox.clock.advance(days=days)
    sandbox.run_due()


def day_of(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")


def invoices_of(sandbox: Sandbox, subscription: Any) -> list[Any]:
    """Oldest first."""
    found: list[Any] = sandbox.api.invoices.list({"subscription": subscription.id, "limit": 100}).data
    return found[::-1]


def test_checkout_starts_a_paid_subscription_and_saves_the_card(sandbox: Sandbox) -> None:
    session = checkout(sandbox, monthly(sandbox), subscription_data={"metadata": {"account": "7"}})
    assert (session.payment_intent, session.amount_total, session.customer) == (None, 1_000, None)
    assert sandbox.press(session, "pay", email="ada@example.com").status_code == 303
    done = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["subscription.latest_invoice", "customer"]})
    assert (done.status, done.payment_status) == ("complete", "paid")
    assert done.customer.email == "ada@example.com"
    subscription = done.subscription
    assert (subscription.status, subscription.metadata["account"]) == ("active", "7")
    item = subscription["items"].data[0]
    assert (day_of(item.current_period_start), day_of(item.current_period_end)) == ("2030-01-31", "2030-02-28")
    invoice = subscription.latest_invoice
    assert (invoice.id, invoice.status, invoice.amount_paid) == (done.invoice, "paid", 1_000)
    assert invoice.billing_reason == "subscription_create"
    details = invoice.parent.subscription_details
    assert (details.subscription, details.metadata["account"]) == (subscription.id, "7")
    assert subscription.default_payment_method is not None
    told = sandbox.event_types()
    for type in ("customer.subscription.created", "invoice.finalized", "invoice.paid", "payment_method.attached"):
        assert told.count(type) == 1, type
    assert told[-1] == "checkout.session.completed"


@pytest.mark.parametrize(("action", "status"), [("delay", "paid"), ("fail_later", "unpaid")])
def test_delayed_first_payment_is_decided_later(sandbox: Sandbox, action: str, status: str) -> None:
    session = checkout(sandbox, monthly(sandbox))
    sandbox.press(session, action)
    waiting = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["subscription.latest_invoice"]})
    assert (waiting.payment_status, waiting.subscription.status) == ("unpaid", "active")
    assert waiting.subscription.latest_invoice.status == "open"
    sandbox.clock.advance(seconds=6)
    sandbox.run_due()
    after = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["subscription.latest_invoice"]})
    assert after.payment_status == status
    paid = status == "paid"
    assert after.subscription.latest_invoice.status == ("paid" if paid else "open")
    assert after.subscription.status == ("active" if paid else "past_due")
    assert sandbox.event_types()[-1] == f"checkout.session.async_payment_{'succeeded' if paid else 'failed'}"


def test_declined_card_leaves_no_subscription_behind(sandbox: Sandbox) -> None:
    session = checkout(sandbox, monthly(sandbox))
    assert sandbox.press(session, "decline").status_code == 402
    assert sandbox.api.subscriptions.list({"status": "all"}).data == []
    assert sandbox.event_types()[-1] == "payment_intent.payment_failed"
    assert sandbox.press(session, "pay").status_code == 303
    assert [one.status for one in sandbox.api.subscriptions.list().data] == ["active"]


def test_trial_asks_for_a_card_and_takes_nothing_until_it_ends(sandbox: Sandbox) -> None:
    session = checkout(sandbox, monthly(sandbox), subscription_data={"trial_period_days": 14})
    assert session.amount_total == 0
    assert sandbox.press(session, "decline").status_code == 402
    sandbox.press(session, "pay")
    done = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["subscription.latest_invoice"]})
    assert done.payment_status == "no_payment_required"
    subscription = done.subscription
    assert (subscription.status, subscription.latest_invoice.amount_paid) == ("trialing", 0)
    assert subscription.latest_invoice.lines.data[0].amount == 0
    pass_days(sandbox, 11)
    assert "customer.subscription.trial_will_end" in sandbox.event_types()
    pass_days(sandbox, 3)
    after = sandbox.api.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    assert after.status == "active"
    assert (after.latest_invoice.billing_reason, after.latest_invoice.amount_paid) == ("subscription_cycle", 1_000)
    assert day_of(after["items"].data[0].current_period_end) == "2030-03-14"


def test_a_year_of_renewals_happens_in_order_and_does_not_drift(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    pass_days(sandbox, 366)
    invoices = invoices_of(sandbox, subscription)
    assert [invoice.billing_reason for invoice in invoices] == ["subscription_create"] + ["subscription_cycle"] * 12
    assert {invoice.status for invoice in invoices} == {"paid"}
    ends = [day_of(invoice.lines.data[0].period.end) for invoice in invoices]
    assert ends[:4] == ["2030-02-28", "2030-03-31", "2030-04-30", "2030-05-31"]
    assert [day_of(invoice.created) for invoice in invoices[1:5]] == ends[:4]
    assert invoices[1].period_start == invoices[0].lines.data[0].period.start


def test_renewal_stays_a_draft_for_as_long_as_is_asked(sandbox: Sandbox) -> None:
    sandbox.set_faults(finalize_seconds=3_600)
    subscription = subscribe(sandbox)
    pass_days(sandbox, 28)
    assert [invoice.status for invoice in invoices_of(sandbox, subscription)] == ["paid", "draft"]
    pass_days(sandbox, 1 / 24)
    assert [invoice.status for invoice in invoices_of(sandbox, subscription)] == ["paid", "paid"]


@pytest.mark.parametrize(
    ("verdict", "status"), [("cancel", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")]
)
def test_failing_renewal_is_retried_and_then_given_up(sandbox: Sandbox, verdict: str, status: str) -> None:
    sandbox.set_faults(after_retries=verdict)
    subscription = subscribe(sandbox)
    declines = sandbox.api.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": subscription.customer})
    sandbox.api.subscriptions.update(subscription.id, {"default_payment_method": declines.id})
    pass_days(sandbox, 28)
    assert sandbox.api.subscriptions.retrieve(subscription.id).status == "past_due"
    invoice = invoices_of(sandbox, subscription)[-1]
    assert (invoice.status, invoice.attempt_count) == ("open", 1)
    assert invoice.next_payment_attempt - invoice.created == 3 * 86_400
    pass_days(sandbox, 15)
    invoice = sandbox.api.invoices.retrieve(invoice.id)
    assert (invoice.attempt_count, invoice.next_payment_attempt) == (4, None)
    assert sandbox.api.subscriptions.retrieve(subscription.id).status == status
    assert sandbox.event_types().count("invoice.payment_failed") == 4
    assert ("customer.subscription.deleted" in sandbox.event_types()) == (status == "canceled")


def test_past_due_is_over_once_the_invoice_is_paid(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    bad = sandbox.api.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": subscription.customer})
    sandbox.api.subscriptions.update(subscription.id, {"default_payment_method": bad.id})
    pass_days(sandbox, 28)
    invoice = invoices_of(sandbox, subscription)[-1]
    with pytest.raises(stripe.CardError) as caught:
        sandbox.api.invoices.pay(invoice.id)
    assert (caught.value.code, caught.value.http_status) == ("card_declined", 402)
    assert sandbox.api.invoices.retrieve(invoice.id).attempt_count == 2
    paid = sandbox.api.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})
    assert (paid.status, paid.amount_remaining) == ("paid", 0)
    assert sandbox.api.subscriptions.retrieve(subscription.id).status == "active"


@pytest.mark.parametrize(
    ("behavior", "status"), [("allow_incomplete", "incomplete"), ("default_incomplete", "incomplete")]
)
def test_first_payment_that_never_comes_expires_the_subscription(sandbox: Sandbox, behavior: str, status: str) -> None:
    customer = buyer(sandbox, method="pm_card_chargeCustomerFail")
    subscription = subscribe(sandbox, customer=customer, payment_behavior=behavior)
    assert (subscription.status, subscription.latest_invoice.status) == (status, "open")
    sandbox.clock.advance(hours=23)
    sandbox.run_due()
    after = sandbox.api.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    assert (after.status, after.latest_invoice.status) == ("incomplete_expired", "void")


def test_intent_of_a_first_invoice_can_be_confirmed_by_itself(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox, payment_behavior="default_incomplete")
    expand = {"expand": ["latest_invoice.payments.data.payment.payment_intent", "latest_invoice.confirmation_secret"]}
    invoice = sandbox.api.subscriptions.retrieve(subscription.id, expand).latest_invoice
    intent = invoice.payments.data[0].payment.payment_intent
    assert invoice.confirmation_secret.client_secret == intent.client_secret
    sandbox.api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert sandbox.api.subscriptions.retrieve(subscription.id).status == "active"
    assert sandbox.api.invoices.retrieve(invoice.id).status == "paid"


def test_error_if_incomplete_leaves_nothing(sandbox: Sandbox) -> None:
    customer = buyer(sandbox, method="pm_card_chargeCustomerFail")
    with pytest.raises(stripe.CardError):
        subscribe(sandbox, customer=customer, payment_behavior="error_if_incomplete")
    assert sandbox.api.subscriptions.list({"status": "all"}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        subscribe(sandbox, customer=buyer(sandbox, method=None))


def test_cancelling_at_the_end_can_be_taken_back(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    end = subscription["items"].data[0].current_period_end
    leaving = sandbox.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert (leaving.status, leaving.cancel_at, leaving.cancel_at_period_end) == ("active", end, True)
    assert leaving.cancellation_details.reason == "cancellation_requested"
    staying = sandbox.api.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    assert (staying.cancel_at, staying.canceled_at, staying.cancel_at_period_end) == (None, None, False)
    sandbox.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    pass_days(sandbox, 28)
    gone = sandbox.api.subscriptions.retrieve(subscription.id)
    assert (gone.status, gone.ended_at) == ("canceled", end)
    assert len(invoices_of(sandbox, subscription)) == 1
    assert sandbox.event_types()[-1] == "customer.subscription.deleted"


def test_cancelling_now_ends_it_once(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    gone = sandbox.api.subscriptions.cancel(subscription.id, {"cancellation_details": {"feedback": "too_complex"}})
    assert (gone.status, gone.cancellation_details.feedback) == ("canceled", "too_complex")
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.api.subscriptions.cancel(subscription.id)
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert sandbox.api.subscriptions.list().data == []
    assert [one.id for one in sandbox.api.subscriptions.list({"status": "canceled"}).data] == [gone.id]
    pass_days(sandbox, 40)
    assert len(invoices_of(sandbox, subscription)) == 1


def test_trial_without_a_card_can_pause_and_be_resumed(sandbox: Sandbox) -> None:
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    customer = buyer(sandbox, method=None)
    subscription = subscribe(sandbox, customer=customer, trial_period_days=2, trial_settings=settings)
    pass_days(sandbox, 2)
    assert sandbox.api.subscriptions.retrieve(subscription.id).status == "paused"
    saved = sandbox.api.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    sandbox.api.subscriptions.update(subscription.id, {"default_payment_method": saved.id})
    sandbox.api.subscriptions.resume(subscription.id)
    sandbox.run_due()
    assert sandbox.api.subscriptions.retrieve(subscription.id).status == "active"
    for type in ("customer.subscription.paused", "customer.subscription.resumed"):
        assert type in sandbox.event_types()


def test_renewal_that_needs_the_cardholder_waits_for_them(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    asks = sandbox.api.payment_methods.attach("pm_card_authenticationRequired", {"customer": subscription.customer})
    sandbox.api.subscriptions.update(subscription.id, {"default_payment_method": asks.id})
    pass_days(sandbox, 28)
    assert sandbox.api.subscriptions.retrieve(subscription.id).status == "past_due"
    assert "invoice.payment_action_required" in sandbox.event_types()


def test_deleting_a_customer_ends_what_it_subscribed_to(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    gone = sandbox.api.customers.delete(subscription.customer)
    assert gone.deleted is True
    assert sandbox.api.subscriptions.retrieve(subscription.id).status == "canceled"
    assert sandbox.api.customers.retrieve(subscription.customer).deleted is True
    assert sandbox.api.customers.list().data == []


def at_once(*doings: Callable[[], Any]) -> None:
    """They all start together; returns when all are done."""
    start = threading.Barrier(len(doings))

    def begin(doing: Callable[[], Any]) -> None:
        start.wait()
        doing()

    threads = [threading.Thread(target=begin, args=[doing]) for doing in doings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_subscribing_twice_at_once_subscribes_once(sandbox: Sandbox) -> None:
    session = checkout(sandbox, monthly(sandbox))
    at_once(*[lambda: sandbox.press(session, "pay")] * 4)
    assert len(sandbox.api.subscriptions.list().data) == 1
    assert len(sandbox.api.charges.list().data) == 1


def test_renewals_that_two_find_due_happen_once(sandbox: Sandbox) -> None:
    subscriptions = [subscribe(sandbox) for _ in range(3)]
    sandbox.clock.advance(days=60)
    at_once(*[sandbox.run_due] * 3)
    for subscription in subscriptions:
        assert len(invoices_of(sandbox, subscription)) == 3
    assert len(sandbox.api.charges.list({"limit": 100}).data) == 9


def test_saved_debit_pays_a_renewal_some_time_later_and_only_once(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox)
    made = sandbox.api.payment_methods.create({"type": "sepa_debit"})
    debit = sandbox.api.payment_methods.attach(made.id, {"customer": subscription.customer})
    sandbox.api.subscriptions.update(subscription.id, {"default_payment_method": debit.id})
    pass_days(sandbox, 28)
    invoice = invoices_of(sandbox, subscription)[-1]
    assert (invoice.status, sandbox.api.invoices.pay(invoice.id).status) == ("open", "open")
    sandbox.clock.advance(seconds=6)
    sandbox.run_due()
    assert sandbox.api.invoices.retrieve(invoice.id).status == "paid"
    assert len(sandbox.api.charges.list().data) == 2
