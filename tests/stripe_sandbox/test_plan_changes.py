"""Changes in the middle of a period: what they cost, when they are billed, and what a preview says before."""

from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.conftest import Sandbox
from tests.stripe_sandbox.test_subscriptions import day_of, invoices_of, monthly, pass_days, subscribe


@pytest.fixture
def half_used(sandbox: Sandbox) -> Any:
    """A subscription of €10 a month, of whose 28 days 14 are over."""
    subscription = subscribe(sandbox)
    pass_days(sandbox, 14)
    return subscription


def change(subscription: Any, price: Any) -> dict[str, Any]:
    return {"items": [{"id": subscription["items"].data[0].id, "price": price.id}]}


def amounts(invoice: Any) -> list[int]:
    return [line.amount for line in invoice.lines.data]


def test_upgrade_is_prorated_to_the_second_and_billed_with_the_next_period(sandbox: Sandbox, half_used: Any) -> None:
    dearer = monthly(sandbox, amount=3_000, name="Max")
    changed = sandbox.api.subscriptions.update(half_used.id, change(half_used, dearer))
    assert changed["items"].data[0].price.id == dearer.id
    assert len(invoices_of(sandbox, half_used)) == 1
    pass_days(sandbox, 14)
    renewal = invoices_of(sandbox, half_used)[-1]
    assert amounts(renewal) == [-500, 1_500, 3_000]
    details = renewal.lines.data[0].parent.subscription_item_details
    assert (details.proration, details.subscription) == (True, half_used.id)
    assert renewal.lines.data[0].description == "Unused time on Pro after 14 Feb 2030"
    assert (renewal.billing_reason, renewal.amount_paid) == ("subscription_cycle", 4_000)


def test_upgrade_can_be_billed_at_once(sandbox: Sandbox, half_used: Any) -> None:
    dearer = monthly(sandbox, amount=3_000)
    asked = {**change(half_used, dearer), "proration_behavior": "always_invoice"}
    sandbox.api.subscriptions.update(half_used.id, asked)
    latest = invoices_of(sandbox, half_used)[-1]
    assert (latest.billing_reason, latest.status, amounts(latest)) == ("subscription_update", "paid", [-500, 1_500])
    pass_days(sandbox, 14)
    assert amounts(invoices_of(sandbox, half_used)[-1]) == [3_000]


def test_three_decimals_are_prorated_in_tens(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox, monthly(sandbox, amount=3_700, currency="kwd"))
    pass_days(sandbox, 10)
    dearer = monthly(sandbox, amount=15_000, currency="kwd")
    asked = {**change(subscription, dearer), "proration_behavior": "always_invoice"}
    sandbox.api.subscriptions.update(subscription.id, asked)
    latest = invoices_of(sandbox, subscription)[-1]
    assert amounts(latest) == [-2_380, 9_640]  # of 28 days 18 are left: 2.3786 and 9.6429 dinars
    assert latest.amount_paid == 7_260


def test_change_without_proration_costs_nothing_now(sandbox: Sandbox, half_used: Any) -> None:
    asked = {**change(half_used, monthly(sandbox, amount=3_000)), "proration_behavior": "none"}
    sandbox.api.subscriptions.update(half_used.id, asked)
    pass_days(sandbox, 14)
    assert amounts(invoices_of(sandbox, half_used)[-1]) == [3_000]


def test_downgrade_at_once_leaves_credit_that_later_invoices_use_up(sandbox: Sandbox, half_used: Any) -> None:
    cheaper = monthly(sandbox, amount=400)
    asked = {**change(half_used, cheaper), "proration_behavior": "always_invoice"}
    sandbox.api.subscriptions.update(half_used.id, asked)
    credit = invoices_of(sandbox, half_used)[-1]
    assert (credit.total, credit.amount_due, credit.status, credit.ending_balance) == (-300, 0, "paid", -300)
    assert sandbox.api.customers.retrieve(half_used.customer).balance == -300
    pass_days(sandbox, 14)
    renewal = invoices_of(sandbox, half_used)[-1]
    assert (renewal.total, renewal.amount_due, renewal.amount_paid) == (400, 100, 100)
    assert sandbox.api.customers.retrieve(half_used.customer).balance == 0


def test_going_yearly_starts_a_new_period_and_is_billed_at_once(sandbox: Sandbox, half_used: Any) -> None:
    yearly = monthly(sandbox, amount=10_000, recurring={"interval": "year"})
    sandbox.api.subscriptions.update(half_used.id, change(half_used, yearly))
    latest = invoices_of(sandbox, half_used)[-1]
    assert (amounts(latest), latest.amount_paid) == ([-500, 10_000], 9_500)
    after = sandbox.api.subscriptions.retrieve(half_used.id)
    assert day_of(after["items"].data[0].current_period_end) == "2031-02-14"
    assert after.billing_cycle_anchor == int(sandbox.clock().timestamp())


def test_from_free_to_paid_is_paid_at_once(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox, monthly(sandbox, amount=0))
    assert (subscription.status, subscription.latest_invoice.amount_paid) == ("active", 0)
    sandbox.api.subscriptions.update(subscription.id, change(subscription, monthly(sandbox)))
    assert invoices_of(sandbox, subscription)[-1].amount_paid == 1_000


def test_quantities_are_prorated_too(sandbox: Sandbox, half_used: Any) -> None:
    item = half_used["items"].data[0]
    sandbox.api.subscriptions.update(half_used.id, {"items": [{"id": item.id, "quantity": 3}]})
    pass_days(sandbox, 14)
    assert amounts(invoices_of(sandbox, half_used)[-1]) == [-500, 1_500, 3_000]


def test_item_without_id_is_one_more_item(sandbox: Sandbox, half_used: Any) -> None:
    extra = monthly(sandbox, amount=200)
    changed = sandbox.api.subscriptions.update(half_used.id, {"items": [{"price": extra.id}]})
    assert len(changed["items"].data) == 2
    listed = sandbox.api.subscription_items.list({"subscription": half_used.id})
    assert [item.price.unit_amount for item in listed.data] == [1_000, 200]


def test_ending_a_trial_now_is_paid_now(sandbox: Sandbox) -> None:
    subscription = subscribe(sandbox, trial_period_days=10)
    pass_days(sandbox, 2)
    ended = sandbox.api.subscriptions.update(subscription.id, {"trial_end": "now"})
    assert (ended.status, ended.trial_end) == ("active", int(sandbox.clock().timestamp()))
    assert invoices_of(sandbox, subscription)[-1].amount_paid == 1_000


@pytest.mark.parametrize("behavior", ["always_invoice", "create_prorations", "none"])
def test_preview_says_what_the_next_invoice_will_be(sandbox: Sandbox, half_used: Any, behavior: str) -> None:
    asked = {**change(half_used, monthly(sandbox, amount=3_000)), "proration_behavior": behavior}
    before = sandbox.event_types()
    preview = sandbox.api.invoices.create_preview({"subscription": half_used.id, "subscription_details": asked})
    assert sandbox.event_types() == before
    assert sandbox.api.invoices.list().data[0].id != preview.id
    sandbox.api.subscriptions.update(half_used.id, asked)
    if behavior != "always_invoice":
        pass_days(sandbox, 14)
    made = invoices_of(sandbox, half_used)[-1]
    assert (amounts(preview), preview.total) == (amounts(made), made.total)


def test_preview_counts_from_the_asked_moment(sandbox: Sandbox, half_used: Any) -> None:
    details = change(half_used, monthly(sandbox, amount=3_000)) | {
        "proration_behavior": "always_invoice",
        "proration_date": int(sandbox.clock().timestamp()) + 7 * 86_400,
    }
    preview = sandbox.api.invoices.create_preview({"subscription": half_used.id, "subscription_details": details})
    assert amounts(preview) == [-250, 750]


def test_preview_of_a_subscription_that_is_not_there_yet(sandbox: Sandbox, half_used: Any) -> None:
    items = [{"price": monthly(sandbox, amount=3_000).id, "quantity": 2}]
    asked = {"customer": half_used.customer, "subscription_details": {"items": items}}
    assert sandbox.api.invoices.create_preview(asked).amount_due == 6_000
    assert len(sandbox.api.subscriptions.list().data) == 1
    sandbox.api.subscriptions.cancel(half_used.id)
    with pytest.raises(stripe.InvalidRequestError, match="canceled subscription"):
        sandbox.api.invoices.create_preview({"subscription": half_used.id})


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("pm_card_chargeCustomerFail", "card_declined"),
        ("pm_card_authenticationRequired", "subscription_payment_intent_requires_action"),
    ],
)
def test_failed_payment_of_an_upgrade_can_be_refused_whole(
    sandbox: Sandbox, half_used: Any, method: str, code: str
) -> None:
    bad = sandbox.api.payment_methods.attach(method, {"customer": half_used.customer})
    asked = {
        **change(half_used, monthly(sandbox, amount=3_000)),
        "default_payment_method": bad.id,
        "proration_behavior": "always_invoice",
        "payment_behavior": "error_if_incomplete",
    }
    with pytest.raises(stripe.CardError) as refused:
        sandbox.api.subscriptions.update(half_used.id, asked)
    assert refused.value.code == code
    after = sandbox.api.subscriptions.retrieve(half_used.id)
    assert (after.status, after["items"].data[0].price.unit_amount) == ("active", 1_000)
    assert len(invoices_of(sandbox, half_used)) == 1


@pytest.mark.parametrize(
    "item",
    [{"price": "price_none"}, {"id": "si_none", "quantity": 1}, {}],
)
def test_impossible_items_are_refused(sandbox: Sandbox, half_used: Any, item: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.api.subscriptions.update(half_used.id, {"items": [item or {"metadata": {"a": "b"}}]})


def test_last_item_cannot_be_deleted(sandbox: Sandbox, half_used: Any) -> None:
    item = half_used["items"].data[0]
    with pytest.raises(stripe.InvalidRequestError, match="at least one"):
        sandbox.api.subscriptions.update(half_used.id, {"items": [{"id": item.id, "deleted": True}]})
