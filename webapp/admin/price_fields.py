"""A form's prices, one field for each configured currency: as they are, and as they were typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import current_app, request
from flask_babel import get_locale
from flask_babel import gettext as _

from webapp.admin.money_field import NotAnAmount, minor_units, plain_amount
from webapp.catalog.offers import MOST_MINOR
from webapp.i18n.formats import money
from webapp.minor_units import smallest_step

MOST_CHARACTERS = 40


@dataclass(frozen=True, kw_only=True)
class PriceField:
    """A price in one currency; `minor` is None where it is not offered in it, or where `error` says what is wrong."""

    currency: str
    typed: str
    minor: int | None = None
    error: str = ""

    @property
    def name(self) -> str:
        return f"price_{self.currency}"


def currencies() -> tuple[str, ...]:
    """Those that the shop takes."""
    found: tuple[str, ...] = current_app.config["SETTINGS"].currencies
    return found


def typed_prices() -> list[PriceField]:
    """The prices of the form that was sent."""
    return [_typed(currency, request.form.get(f"price_{currency}", "")) for currency in currencies()]


def stored_prices(offer: Any | None) -> list[PriceField]:
    """The prices that it has, as they may be typed."""
    known = {} if offer is None else {price.currency: price.price_minor for price in offer.prices}
    return [
        PriceField(
            currency=currency,
            typed=plain_amount(known[currency], currency=currency, locale=_locale()) if currency in known else "",
            minor=known.get(currency),
        )
        for currency in currencies()
    ]


def in_minor_units(fields: Sequence[PriceField]) -> dict[str, int | None]:
    """Currency → minor units."""
    return {field.currency: field.minor for field in fields}


def faults_of(fields: Sequence[PriceField]) -> dict[str, str]:
    """Field name → what is wrong with it."""
    return {field.name: field.error for field in fields if field.error}


def _typed(currency: str, text: str) -> PriceField:
    typed = text.replace("\0", "").strip()[:MOST_CHARACTERS]
    if not typed:
        return PriceField(currency=currency, typed="")
    try:
        minor = minor_units(typed, currency=currency, locale=_locale())
    except NotAnAmount:
        error = _("This is no price in %(currency)s.", currency=currency)
        return PriceField(currency=currency, typed=typed, error=error)
    step = smallest_step(currency)
    if minor > MOST_MINOR:
        most = money(MOST_MINOR - MOST_MINOR % step, currency)
        return PriceField(currency=currency, typed=typed, error=_("The price may be at most %(most)s.", most=most))
    if minor % step:
        error = _("Stripe takes multiples of %(step)s only.", step=money(step, currency))
        return PriceField(currency=currency, typed=typed, error=error)
    return PriceField(currency=currency, typed=typed, minor=minor)


def _locale() -> Any:
    return get_locale() or "en"
