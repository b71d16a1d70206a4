"""From "Buy" to Stripe's pay page: the purchase is written first, then Stripe is asked, once for each intent."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import clock
from webapp.billing.purchase import Purchase, lock_purchase, next_check
from webapp.billing.stripe_api import calling, client
from webapp.billing.stripe_customer import ensure_customer
from webapp.catalog.package import Package, find_package

# Stripe Checkout has no Arabic and no Hebrew; where it lacks a language it goes by the browser's.
STRIPE_LOCALES = ("de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "pt-BR", "ru", "tr", "zh")


class CheckoutRefusal(Exception):
    """The package can't be bought like that; nothing was written."""


class PackageNotFound(CheckoutRefusal):
    """There is no package of that code."""


class PackageNotOnSale(CheckoutRefusal):
    """The package exists but isn't sold any more."""


class SubscribersOnly(CheckoutRefusal):
    """The package is for subscribers, and this person is none."""

    def __init__(self, package: Package) -> None:
        self.package = package
        super().__init__(package.code)


class CurrencyNotOffered(CheckoutRefusal):
    """The package has no price in `currency`; `offered` are those that it has one in."""

    def __init__(self, currency: str, offered: list[str]) -> None:
        self.currency = currency
        self.offered = offered
        super().__init__(currency)


def choose_package(session: Session, *, code: str, subscriber: bool) -> Package:
    """The package, if this person may buy it. Raises PackageNotFound, PackageNotOnSale or SubscribersOnly."""
    package = find_package(session, code=code)
    if package is None:
        raise PackageNotFound(code)
    if not package.active:
        raise PackageNotOnSale(code)
    if package.for_subscribers and not subscriber:
        raise SubscribersOnly(package)
    return package


def price_in(package: Package, *, currency: str, accepted: tuple[str, ...]) -> int:
    """The price in minor units of an `accepted` currency. Raises CurrencyNotOffered."""
    price_minor = package.price_minor(currency) if currency in accepted else None
    if price_minor is None:
        offered = [price.currency for price in package.prices if price.currency in accepted]
        raise CurrencyNotOffered(currency, offered)
    return price_minor


def start_purchase(
    session: Session,
    *,
    package: Package,
    price_minor: int,
    currency: str,
    user_id: int | None,
    account_id: int,
    external_id: str,
    intent: str,
    mode: str,
    shown_name: str,
    locale: str,
    return_to: str | None = None,
    success_url: str | None = None,
    cancel_url: str | None = None,
) -> Purchase:
    """A purchase exists that says what is bought, for how much and by whom; nobody can change that any more.

    The same `intent` of the same account for the same package and currency is the same purchase, however often and
    however simultaneously it is submitted, even if the price changed meanwhile. Without a user, `success_url` and
    `cancel_url` say where Stripe leads back to; else both may be left out. Commit before `open_checkout`.
    """
    moment = clock.now()
    session.execute(
        insert(Purchase)
        .values(
            user_id=user_id,
            account_id=account_id,
            external_id=external_id,
            intent=intent,
            mode=mode,
            package=package.code,
            package_name=package.name,
            shown_name=shown_name,
            credits=package.credits,
            price_minor=price_minor,
            currency=currency,
            valid_months=package.valid_months,
            valid_days=package.valid_days,
            locale=locale,
            return_to=return_to,
            success_url=success_url,
            cancel_url=cancel_url,
            created_at=moment,
            check_at=next_check(now=moment, checks=0),
        )
        .on_conflict_do_nothing(constraint="purchases_intent_key")
    )
    return session.scalars(
        select(Purchase).where(
            Purchase.account_id == account_id,
            Purchase.intent == intent,
            Purchase.package == package.code,
            Purchase.currency == currency,
        )
    ).one()


def open_checkout(
    session: Session, *, purchase_id: int, email: str | None, base_url: str, tax: bool = False
) -> Purchase:
    """The purchase has its Checkout Session: `checkout_url` is where to pay.

    Repeated or simultaneous calls lead to the same session: Stripe replays its answer under the purchase's
    idempotency key. `email` is the user's; Stripe asks the buyer for it when there is no user. With `tax` Stripe
    reckons taxes. Asks Stripe first, then locks the purchase. Raises PaymentsUnavailable; the purchase stays as it
    was then, to be tried again.
    """
    purchase = session.get_one(Purchase, purchase_id)
    if purchase.stripe_session_id is not None:
        return purchase
    customer_id = None
    if purchase.user_id is not None and email is not None:
        customer_id = ensure_customer(
            session,
            account_id=purchase.account_id,
            external_id=purchase.external_id,
            email=email,
            mode=purchase.mode,
        )
    with calling("create checkout session"):
        made = client().v1.checkout.sessions.create(
            params=_session_params(purchase, customer_id=customer_id, base_url=base_url, tax=tax),  # type: ignore[arg-type]
            options={"idempotency_key": f"purchase:{purchase.id}:{purchase.external_id}"},
        )
    purchase = lock_purchase(session, purchase_id=purchase_id)
    purchase.note_session(made.id, url=made.url)
    return purchase


def _session_params(purchase: Purchase, *, customer_id: str | None, base_url: str, tax: bool) -> dict[str, Any]:
    """All from the snapshot: a retry has to ask for the very same, or Stripe refuses its key."""
    reference = {"purchase": str(purchase.id)}
    return {
        "mode": "payment",
        **(_of_customer(customer_id) if customer_id else {}),
        **tax_params(customer_id=customer_id, tax=tax),
        "allow_promotion_codes": True,
        "client_reference_id": purchase.external_id,
        "metadata": reference,
        "payment_intent_data": {"metadata": reference, "description": purchase.shown_name},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": purchase.currency.lower(),
                    "unit_amount": purchase.price_minor,
                    "product_data": {"name": purchase.shown_name},
                },
            }
        ],
        "locale": stripe_locale(purchase.locale),
        "success_url": purchase.success_url or f"{base_url}/checkout/return?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": purchase.cancel_url or f"{base_url}/checkout/cancelled/{purchase.id}",
    }


def _of_customer(customer_id: str) -> dict[str, Any]:
    """Who has bought before is known, and may keep the card: a box that is ticked makes `allow_redisplay` always.

    https://docs.stripe.com/payments/checkout/save-during-payment
    """
    return {"customer": customer_id, "saved_payment_method_options": {"payment_method_save": "enabled"}}


def tax_params(*, customer_id: str | None, tax: bool) -> dict[str, Any]:
    """What has Stripe reckon taxes; where a known customer lives is asked for on the pay page, and kept."""
    if not tax:
        return {}
    asks = {"customer_update": {"address": "auto"}} if customer_id else {}
    return {"automatic_tax": {"enabled": True}, **asks}


def stripe_locale(locale: str) -> str:
    """The language of Stripe's page for a reader of `locale`; where Stripe lacks it, the browser's."""
    language = locale if locale in STRIPE_LOCALES else locale.split("-")[0]
    return language if language in STRIPE_LOCALES else "auto"
