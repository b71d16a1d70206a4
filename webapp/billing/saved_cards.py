"""Cards that Stripe keeps for a customer: which there are, which one pays, another one, one less.

Nothing of a card is kept here; Stripe is asked each time.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.billing.stripe_api import UnknownToStripe, calling, client, mode
from webapp.billing.subscription import ENDED

MOST_CARDS = 100

_BRANDS = {
    "amex": "American Express",
    "cartes_bancaires": "Cartes Bancaires",
    "diners": "Diners Club",
    "discover": "Discover",
    "eftpos_au": "Eftpos",
    "jcb": "JCB",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}


class CardNotFound(Exception):
    """The customer has no such card; nothing was changed."""


class CardPays(Exception):
    """The card pays for a subscription that has not ended, so it can't be removed; nothing was changed."""


class SetupNotFound(Exception):
    """There is no such checkout by which this customer saves a card."""


@dataclass(frozen=True, kw_only=True)
class SavedCard:
    """`brand` is a name to be shown, empty where Stripe does not know it. Good until the end of that month.

    `pays_subscription`: it is charged for a subscription that has not ended. `is_default`: invoices are paid by it
    where nothing else is said. `pays_everything`: choosing it would change nothing.
    """

    id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    pays_subscription: bool
    is_default: bool
    pays_everything: bool

    def has_expired(self, now: datetime) -> bool:
        return (self.exp_year, self.exp_month) < (now.year, now.month)


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """A customer's cards, newest first; `has_subscription` when one of theirs has not ended."""

    cards: tuple[SavedCard, ...]
    has_subscription: bool


def fetch_wallet(customer_id: str) -> Wallet:
    """The customer's cards as Stripe keeps them now: none of a customer that Stripe does not know any more.

    Raises PaymentsUnavailable.
    """
    try:
        default, payers = _standing(customer_id)
        with calling("list payment methods"):
            found = client().v1.payment_methods.list(
                params={"customer": customer_id, "type": "card", "limit": MOST_CARDS}
            )
    except UnknownToStripe:
        return Wallet(cards=(), has_subscription=False)
    return Wallet(
        cards=tuple(_card(method, default=default, payers=payers) for method in found.data),
        has_subscription=bool(payers),
    )


def make_default(customer_id: str, *, card_id: str) -> None:
    """The card pays invoices from now on, and every subscription of the customer that has not ended.

    Safe to repeat, and to be repeated when Stripe went away half way. Raises CardNotFound, PaymentsUnavailable.
    """
    if _owner_of(card_id) != customer_id:
        raise CardNotFound(card_id)
    with calling("update customer"):
        client().v1.customers.update(customer_id, params={"invoice_settings": {"default_payment_method": card_id}})
    for subscription in _running(customer_id):
        with calling("update subscription"):
            client().v1.subscriptions.update(subscription.id, params={"default_payment_method": card_id})


def remove_card(customer_id: str, *, card_id: str) -> None:
    """Stripe does not keep the card for anybody; nothing happens to one that was nobody's already.

    Raises CardPays, CardNotFound, PaymentsUnavailable.
    """
    owner = _owner_of(card_id)
    if owner is None:
        return
    if owner != customer_id:
        raise CardNotFound(card_id)
    _default, payers = _standing(customer_id)
    if card_id in payers:
        raise CardPays(card_id)
    with calling("detach payment method"):
        client().v1.payment_methods.detach(card_id)


def open_setup(*, customer_id: str, intent: str, currency: str, locale: str, return_url: str, back_url: str) -> str:
    """The address of Stripe's page on which the customer saves a card; nothing is charged there.

    `intent` is the form's name for it: again the same leads to the same page. `return_url` gets the session's id.
    Raises PaymentsUnavailable.
    """
    with calling("create checkout session"):
        made = client().v1.checkout.sessions.create(
            params={
                "mode": "setup",
                "customer": customer_id,
                "currency": currency.lower(),
                "allowed_payment_method_types": ["card"],
                "locale": locale,
                "success_url": f"{return_url}?session_id={{CHECKOUT_SESSION_ID}}",
                "cancel_url": back_url,
            },
            options={"idempotency_key": f"save-card:{customer_id}:{locale}:{intent}"},
        )
    return made.url or back_url


def is_saved(customer_id: str, *, session_id: str) -> bool:
    """Whether the customer saved a card by that checkout.

    Raises SetupNotFound for any checkout but theirs, PaymentsUnavailable.
    """
    try:
        with calling("retrieve checkout session"):
            found = client().v1.checkout.sessions.retrieve(session_id, params={"expand": ["setup_intent"]})
    except UnknownToStripe:
        raise SetupNotFound(session_id) from None
    theirs = (_id(found.customer), found.mode, found.livemode) == (customer_id, "setup", mode() == "live")
    if not theirs:
        raise SetupNotFound(session_id)
    setup: Any = found.setup_intent
    return found.status == "complete" and setup is not None and setup.status == "succeeded"


def _standing(customer_id: str) -> tuple[str | None, list[str | None]]:
    """The default card, and for each subscription that has not ended the card that pays for it."""
    with calling("retrieve customer"):
        customer: Any = client().v1.customers.retrieve(customer_id)
    if getattr(customer, "deleted", False):
        raise UnknownToStripe(customer_id)
    default = _id(customer.invoice_settings.default_payment_method)
    return default, [_id(each.default_payment_method) or default for each in _running(customer_id)]


def _running(customer_id: str) -> list[Any]:
    with calling("list subscriptions"):
        found = client().v1.subscriptions.list(params={"customer": customer_id, "limit": 100})
        return [one for one in found.auto_paging_iter() if one.status not in ENDED]


def _owner_of(card_id: str) -> str | None:
    """Whose card it is. Raises CardNotFound for what is no card."""
    try:
        with calling("retrieve payment method"):
            method = client().v1.payment_methods.retrieve(card_id)
    except UnknownToStripe:
        raise CardNotFound(card_id) from None
    if method.type != "card":
        raise CardNotFound(card_id)
    return _id(method.customer)


def _card(method: Any, *, default: str | None, payers: list[str | None]) -> SavedCard:
    card, invoices = method.card, default or (payers[0] if payers else None)
    return SavedCard(
        id=method.id,
        brand=_BRANDS.get(getattr(card, "display_brand", None) or card.brand, _BRANDS.get(card.brand, "")),
        last4=card.last4,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
        pays_subscription=method.id in payers,
        is_default=method.id == default,
        pays_everything={method.id} == {invoices, *payers},
    )


def _id(value: Any) -> str | None:
    """The id of what may be expanded."""
    return value if value is None or isinstance(value, str) else str(value.id)
