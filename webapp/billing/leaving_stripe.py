"""Stripe's part of leaving: nothing is charged any more, and who the customer was is forgotten there and here."""

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from webapp.billing.following import follow_subscription
from webapp.billing.fulfilment import settle_purchase
from webapp.billing.leaving import unended_subscriptions
from webapp.billing.plan_order import open_orders
from webapp.billing.purchase import Purchase
from webapp.billing.settling_order import settle_order
from webapp.billing.stripe_api import UnknownToStripe, calling, client
from webapp.billing.stripe_api import mode as mode_of_application
from webapp.billing.stripe_customer import StripeCustomer, customer_id_of
from webapp.billing.subscription import Subscription

# Where Stripe's objects hold who somebody is. What is left says what was paid, when, and by which of Stripe's ids.
PERSONAL = (
    "address",
    "billing_details",
    "collected_information",
    "custom_fields",
    "customer_address",
    "customer_details",
    "customer_email",
    "customer_name",
    "customer_phone",
    "customer_shipping",
    "description",
    "email",
    "name",
    "payment_method_details",
    "phone",
    "receipt_email",
    "shipping",
    "shipping_details",
)
# About the customer, or the customer itself: stripe_events_customer_idx finds both.
_FORGET = text("""
UPDATE stripe_events
SET payload = jsonb_set(
    payload #- '{data,previous_attributes}', '{data,object}', (payload #> '{data,object}') - CAST(:names AS text[]))
WHERE coalesce(payload #>> '{data,object,customer}', payload #>> '{data,object,id}') = :customer
""")


class AnotherMode(Exception):
    """The customer is known in another mode (sandbox, test, live) than this application runs in."""


def leave_stripe(session: Session, *, account_id: int, mode: str) -> None:
    """The account's subscriptions are cancelled at once, its pay pages closed, and its customer deleted at Stripe.

    Stripe keeps the charges of a deleted customer, so refunds and disputes of them go on
    (https://docs.stripe.com/api/customers/delete). Safe to repeat. Raises PaymentsUnavailable, AnotherMode.
    """
    if mode != mode_of_application():
        raise AnotherMode(mode)
    for subscription in unended_subscriptions(session, account_id=account_id, mode=mode):
        _cancel(session, subscription)
    _close_pay_pages(session, account_id=account_id, mode=mode)
    customer_id = customer_id_of(session, account_id=account_id, mode=mode)
    if customer_id is None:
        return
    try:
        with calling("delete customer"):
            client().v1.customers.delete(customer_id)
    except UnknownToStripe:  # an earlier attempt has done it
        pass
    session.execute(_FORGET, {"customer": customer_id, "names": list(PERSONAL)})
    session.execute(delete(StripeCustomer).where(StripeCustomer.stripe_customer_id == customer_id))


def _cancel(session: Session, subscription: Subscription) -> None:
    try:
        with calling("cancel subscription"):
            client().v1.subscriptions.cancel(subscription.stripe_subscription_id)
    except UnknownToStripe:  # an earlier attempt has done it
        pass
    follow_subscription(session, stripe_id=subscription.stripe_subscription_id)


def _close_pay_pages(session: Session, *, account_id: int, mode: str) -> None:
    """Nobody pays for a closed account any more; what was paid a moment ago is settled as ever."""
    purchases = session.execute(
        select(Purchase.id, Purchase.stripe_session_id).where(
            Purchase.account_id == account_id, Purchase.mode == mode, Purchase.state == "open"
        )
    ).all()
    for purchase_id, stripe_session_id in purchases:
        _close_pay_page(stripe_session_id)
        settle_purchase(session, purchase_id=purchase_id)
    for order in open_orders(session, account_id=account_id, mode=mode):
        _close_pay_page(order.stripe_session_id)
        settle_order(session, order_id=order.id)


def _close_pay_page(stripe_session_id: str | None) -> None:
    if stripe_session_id is None:
        return
    try:
        with calling("retrieve checkout session"):
            found = client().v1.checkout.sessions.retrieve(stripe_session_id)
        if found.status == "open":
            with calling("expire checkout session"):
                client().v1.checkout.sessions.expire(stripe_session_id)
    except UnknownToStripe:
        pass
