"""What an id of Stripe's is of here: each kind is asked for by an index, whatever the shop has sold."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.billing.dispute import Dispute
from webapp.billing.events_about import events_about
from webapp.billing.plan_order import PlanOrder
from webapp.billing.purchase import Purchase
from webapp.billing.refund import Refund
from webapp.billing.stripe_customer import StripeCustomer
from webapp.billing.stripe_event import StripeEvent
from webapp.billing.subscription import Subscription, SubscriptionInvoice

MOST = 20


@dataclass(frozen=True, kw_only=True)
class Named:
    """Something of ours that an id of Stripe's names.

    `kind` and its `key`: account, purchase, subscription and order (of a plan) and their numbers; payment (for a plan),
    dispute and event and their ids at Stripe.
    """

    kind: str
    key: str
    account_id: int | None = None


def named_by(session: Session, *, stripe_id: str) -> list[Named]:
    """Everything but events that this id names, or belongs to; nothing for an id of nobody's."""
    found = list(dict.fromkeys(_directly(session, stripe_id)))
    if found:
        return found
    for related in _related(session, stripe_id):
        found = list(dict.fromkeys(_directly(session, related)))
        if found:
            return found
    return []


def _directly(session: Session, stripe_id: str) -> Iterator[Named]:
    kind = stripe_id.partition("_")[0]
    if kind == "cus":
        yield from _of_customer(session, stripe_id)
    elif kind in ("cs", "pi"):
        yield from _of_payment(session, stripe_id, session_id=kind == "cs")
    elif kind == "sub":
        for number, account_id in session.execute(
            select(Subscription.id, Subscription.account_id).where(Subscription.stripe_subscription_id == stripe_id)
        ):
            yield Named(kind="subscription", key=str(number), account_id=account_id)
    elif kind == "in":
        yield from _of_invoice(session, stripe_id)
    elif kind in ("re", "pyr"):
        refund = session.scalars(select(Refund).where(Refund.stripe_refund_id == stripe_id)).one_or_none()
        if refund is not None:
            yield from _of_refund(session, refund)
    elif kind in ("dp", "du"):
        dispute = session.get(Dispute, stripe_id)
        if dispute is not None:
            paid = list(_of_payment(session, dispute.stripe_payment_intent_id, session_id=False))
            yield from paid or [Named(kind="dispute", key=stripe_id)]
    elif kind == "evt" and session.get(StripeEvent, stripe_id) is not None:
        yield Named(kind="event", key=stripe_id)


def _of_customer(session: Session, stripe_id: str) -> Iterator[Named]:
    customers = select(StripeCustomer.account_id).where(StripeCustomer.stripe_customer_id == stripe_id)
    for account_id in session.scalars(customers.limit(MOST)):
        yield Named(kind="account", key=str(account_id), account_id=account_id)
    subscriptions = select(Subscription.id, Subscription.account_id).where(Subscription.stripe_customer_id == stripe_id)
    for number, account_id in session.execute(subscriptions.order_by(Subscription.id.desc()).limit(MOST)):
        yield Named(kind="subscription", key=str(number), account_id=account_id)


def _of_invoice(session: Session, stripe_id: str) -> Iterator[Named]:
    invoice = session.get(SubscriptionInvoice, stripe_id)
    if invoice is None:
        return
    if invoice.paid_minor and invoice.stripe_payment_intent_id:
        yield Named(kind="payment", key=invoice.stripe_payment_intent_id, account_id=invoice.account_id)
    else:
        yield Named(kind="subscription", key=str(invoice.subscription_id), account_id=invoice.account_id)


def _of_refund(session: Session, refund: Refund) -> Iterator[Named]:
    if refund.purchase_id is not None:
        purchase = session.get_one(Purchase, refund.purchase_id)
        yield Named(kind="purchase", key=str(purchase.id), account_id=purchase.account_id)
    elif refund.stripe_payment_intent_id:
        yield from _of_payment(session, refund.stripe_payment_intent_id, session_id=False)


def _of_payment(session: Session, stripe_id: str, *, session_id: bool) -> Iterator[Named]:
    column = Purchase.stripe_session_id if session_id else Purchase.stripe_payment_intent_id
    for number, account_id in session.execute(select(Purchase.id, Purchase.account_id).where(column == stripe_id)):
        yield Named(kind="purchase", key=str(number), account_id=account_id)
    ordered = PlanOrder.stripe_session_id if session_id else PlanOrder.stripe_payment_intent_id
    for order in session.scalars(select(PlanOrder).where(ordered == stripe_id)):
        if order.stripe_payment_intent_id:
            yield Named(kind="payment", key=order.stripe_payment_intent_id, account_id=order.account_id)
        else:
            yield Named(kind="order", key=str(order.id), account_id=order.account_id)
        if order.stripe_subscription_id:
            yield from _directly(session, order.stripe_subscription_id)
    if not session_id:
        paid = select(SubscriptionInvoice.account_id).where(SubscriptionInvoice.stripe_payment_intent_id == stripe_id)
        for account_id in session.scalars(paid.limit(1)):
            yield Named(kind="payment", key=stripe_id, account_id=account_id)


def _related(session: Session, stripe_id: str) -> list[str]:
    """What events say that it belongs to, the nearest first: for charges, which nobody here keeps, and refunds."""
    things = [event.thing for event in events_about(session, ids=[stripe_id], limit=MOST)]
    names = ("payment_intent", "invoice", "subscription", "customer")
    found = [thing.get(name) for name in names for thing in things]
    own = [thing.get("id") for thing in things if thing.get("latest_charge") == stripe_id]
    ids = [one for one in (*own, *found) if isinstance(one, str) and one != stripe_id]
    return list(dict.fromkeys(ids))[:4]
