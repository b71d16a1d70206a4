"""What Checkout Sessions do besides taking a payment: start subscriptions, save cards, write invoices."""

from typing import Any

from webapp.stripe_sandbox.buyers import (
    Buyer,
    Outcome,
    close_intent,
    delayed_method,
    identify_buyer,
    intent_of,
    method_of,
)
from webapp.stripe_sandbox.charging import asks_cardholder, attempt, settle_intent
from webapp.stripe_sandbox.collecting import collect, finish_by, settle_invoice
from webapp.stripe_sandbox.collecting import intent_of as intent_of_invoice
from webapp.stripe_sandbox.discounts import start_discounts
from webapp.stripe_sandbox.invoice_lines import make_line
from webapp.stripe_sandbox.invoice_objects import compose_invoice
from webapp.stripe_sandbox.invoicing import add_invoice, finalize
from webapp.stripe_sandbox.resources.payment_methods import attach, card_of
from webapp.stripe_sandbox.resources.setup_intents import NOT_AUTHENTICATED, attempt_setup, make_setup_intent
from webapp.stripe_sandbox.resources.subscriptions import trial_end_of
from webapp.stripe_sandbox.store import Store, Stored
from webapp.stripe_sandbox.subscribing import open_subscription
from webapp.stripe_sandbox.subscription_objects import change_subscription


def subscribe(store: Store, session: Stored, buyer: Buyer) -> Outcome:
    """The subscription exists with its paid first invoice, and the card is saved for the next ones."""
    data = session.data
    identify_buyer(store, session, buyer, final=False)
    free = data["amount_total"] == 0
    if free and data["payment_method_collection"] == "if_required":
        identify_buyer(store, session, buyer, always=True)
        _open(store, session, method=None)
        return Outcome("complete", payment_status="no_payment_required")
    delayed = buyer.delayed and not free
    method = delayed_method(store, session) if delayed else method_of(store, session, buyer)
    stopped = None if delayed else _try_card(store, session, method, buyer, free=free)
    if stopped:
        return stopped
    identify_buyer(store, session, buyer, always=True)
    attach(store, method, customer=data["customer"], set_up=True)
    invoice = _open(store, session, method=method)
    if free or invoice.data["status"] == "paid":
        return Outcome("complete", payment_status="no_payment_required" if free else "paid")
    status = collect(store, invoice, method=method, off_session=False, authenticated=buyer.authenticated)
    if status == "processing":
        change_subscription(store, store.require("subscription", data["subscription"]), {"status": "active"})
        return Outcome("complete", payment_status="unpaid")
    return Outcome("complete", payment_status="paid")


def _try_card(store: Store, session: Stored, method: Stored, buyer: Buyer, *, free: bool) -> Outcome | None:
    """Why the session stays open with this card; None when it will do. What comes of it is on record."""
    card = card_of(method)
    if card is None:  # a saved method whose money takes days
        return None
    asks = asks_cardholder(card, method) and not buyer.authenticated
    if not asks and buyer.refused is None and (card.decline is None or (free and card.attachable)):
        if session.data["setup_intent"] is None:
            close_intent(store, session, reason="abandoned")
        return None
    if free:
        setup = make_setup_intent(store, customer=session.data["customer"])
        status = attempt_setup(store, setup, method, authenticated=buyer.authenticated, failure=_failure(buyer))
        error = setup.data["last_setup_error"]
    else:
        intent = intent_of(store, session)
        status = attempt(store, intent, method, authenticated=buyer.authenticated, refused=buyer.refused)
        error = intent.data["last_payment_error"]
    if status == "requires_action":
        return Outcome("authenticate")
    return Outcome("declined", message=error["message"]) if status == "requires_payment_method" else None


def _failure(buyer: Buyer) -> tuple[str, str, str] | None:
    return NOT_AUTHENTICATED if buyer.refused else None


def _open(store: Store, session: Stored, *, method: Stored | None) -> Stored:
    """The session's subscription is made; its first invoice."""
    asked = session.private["subscription_data"] | {"automatic_tax": session.data["automatic_tax"]}
    asked["default_payment_method"] = method.id if method else None
    items = session.private["items"]
    subscription, invoice = open_subscription(
        store,
        customer=session.data["customer"],
        prices=_priced(items, recurring=True),
        asked=asked,
        trial_end=trial_end_of(store, asked),
        discounts=session.data["discounts"],
        once=_priced(items, recurring=False),
        session=session.id,
    )
    session.data |= {"subscription": subscription.id, "invoice": invoice.id}
    return invoice


def _priced(items: list[dict[str, Any]], *, recurring: bool) -> list[tuple[dict[str, Any], int]]:
    return [
        (item["price"], item["quantity"]) for item in items if (item["price"]["recurring"] is not None) == recurring
    ]


def settle_subscription(store: Store, session: Stored, *, succeeds: bool) -> None:
    """The delayed first payment of a session's subscription has come, or bounced."""
    store.require("subscription", session.data["subscription"])
    invoice = store.require("invoice", session.data["invoice"])
    settle_intent(store, intent_of_invoice(store, invoice), succeeds=succeeds)
    settle_invoice(store, invoice, succeeds=succeeds)


def save_card(store: Store, session: Stored, buyer: Buyer) -> Outcome:
    """The card of a session in setup mode is saved."""
    identify_buyer(store, session, buyer, final=False)
    setup = store.require("setup_intent", session.data["setup_intent"])
    setup.data["customer"] = session.data["customer"]
    method = method_of(store, session, buyer)
    status = attempt_setup(store, setup, method, authenticated=buyer.authenticated, failure=_failure(buyer))
    if status == "requires_action":
        return Outcome("authenticate")
    if status == "requires_payment_method":
        return Outcome("declined", message=setup.data["last_setup_error"]["message"])
    identify_buyer(store, session, buyer)
    if session.data["customer"] and setup.data["customer"] is None:
        setup.data["customer"] = session.data["customer"]
        store.save(setup)
        attach(store, method, customer=session.data["customer"], set_up=True)
    return Outcome("complete", payment_status="no_payment_required")


def invoice_session(store: Store, session: Stored) -> None:
    """A paid session that asked for `invoice_creation` has its paid invoice; nothing for others."""
    data = session.data
    if not data["invoice_creation"] or not data["invoice_creation"]["enabled"] or data["customer"] is None:
        return
    lines = [
        make_line(
            amount=item["amount_subtotal"],
            currency=item["currency"],
            description=item["description"],
            period=(store.timestamp, store.timestamp),
            quantity=item["quantity"],
            price=item["price"],
        )
        for item in session.private["items"]
    ]
    customer = store.require("customer", data["customer"])
    composed = compose_invoice(
        store,
        customer=customer.data,
        currency=data["currency"],
        lines=lines,
        billing_reason="manual",
        discounts=start_discounts(
            store, data["discounts"], customer=customer.id, subscription=None, session=session.id
        ),
        asked={"metadata": data["invoice_creation"]["invoice_data"]["metadata"]},
    )
    invoice = add_invoice(store, composed)
    data["invoice"] = invoice.id
    if finalize(store, invoice) and invoice.data["status"] == "open":
        finish_by(store, invoice, store.require("payment_intent", data["payment_intent"]))
