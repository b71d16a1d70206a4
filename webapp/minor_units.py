"""Minor units: how many of them are one, as Stripe counts, and how such an amount is written.

Prices are asked of Stripe in its own minor units, which are neither those of CLDR (Babel: how many decimals people
write) nor always those of ISO 4217: 1,000 Serbian dinars are 100000, and written without decimals.
https://docs.stripe.com/currencies#minor-units
"""

import re
from decimal import Decimal

from babel import Locale
from babel.numbers import format_currency, get_currency_precision

_WITHOUT_DECIMALS = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
_WITH_THREE_DECIMALS = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
# Without coins, and counted in hundredths all the same: https://docs.stripe.com/currencies#special-cases
_IN_WHOLE_HUNDREDS = frozenset(("ISK", "UGX"))


def decimals_of(currency: str) -> int:
    """How many decimals the minor unit of a currency is: 2 for EUR, 0 for JPY, 3 for KWD."""
    if currency in _WITHOUT_DECIMALS:
        return 0
    return 3 if currency in _WITH_THREE_DECIMALS else 2


def smallest_step(currency: str) -> int:
    """Which multiples of the minor unit Stripe takes: tens where there are three decimals, else mostly ones."""
    if currency in _WITH_THREE_DECIMALS:
        return 10
    return 100 if currency in _IN_WHOLE_HUNDREDS else 1


def amount_of(minor: int, currency: str) -> Decimal:
    """Minor units as an amount: 900 EUR are 9.00, 900 JPY are 900."""
    return Decimal(minor).scaleb(-decimals_of(currency))


def written(minor: int, currency: str, locale: Locale | str) -> str:
    """The amount as people of that language write it: €9.00, ¥1,500, KWD 1.230; nothing of it is rounded away."""
    amount = amount_of(minor, currency)
    usual = Decimal(1).scaleb(-get_currency_precision(currency))
    if amount == amount.quantize(usual):
        return spaced(format_currency(amount, currency, locale=locale))
    pattern = with_decimals(Locale.parse(locale).currency_formats["standard"].pattern, decimals_of(currency))
    return spaced(format_currency(amount, currency, format=pattern, locale=locale, currency_digits=False))


def spaced(text: str) -> str:
    """A currency that is written by its letters stands apart from the number, as CLDR says and Babel does not."""
    return re.sub(r"(?<=[A-Z]{3})(?=\d)", "\xa0", text)


def with_decimals(pattern: str, digits: int) -> str:
    """A pattern of CLDR's for money, with that many decimals."""
    return ";".join(part.replace("0.00", "0." + "0" * digits) for part in pattern.split(";"))
