"""An amount of money as people type it: 2.70, 2,70, 1 234,50 or with the digits of their own script."""

import re
import unicodedata
from decimal import Decimal
from typing import Any

from babel import Locale
from babel.numbers import NumberFormatError, get_decimal_symbol, parse_decimal

from webapp.minor_units import amount_of, decimals_of

MOST_CHARACTERS = 30
_PLAIN = re.compile(r"\d{1,15}(?:[.,]\d{1,3})?")


class NotAnAmount(Exception):
    """It is no amount of that currency."""


def minor_units(typed: str, *, currency: str, locale: Locale | str) -> int:
    """What was typed in minor units: above 0, and nothing that the currency has no coins for. Raises NotAnAmount.

    Read by the rules of the reader's language first; 2.70 and 2,70 are understood in all of them.
    """
    units = _number(_latin(typed), locale).scaleb(decimals_of(currency))
    if units != int(units) or not 0 < units < 10**15:
        raise NotAnAmount(typed)
    return int(units)


def plain_amount(minor: int, *, currency: str, locale: Locale | str) -> str:
    """Minor units as they may be typed there: 2.70 in English, 2,70 in German."""
    return f"{amount_of(minor, currency):f}".replace(".", str(get_decimal_symbol(locale, numbering_system="latn")))


def _number(text: str, locale: Locale | str) -> Decimal:
    if not text or len(text) > MOST_CHARACTERS or not re.fullmatch(r"[\d.,'’]+", text):
        raise NotAnAmount(text)
    try:
        return Decimal(parse_decimal(text, locale=locale, strict=True, numbering_system="latn"))
    except NumberFormatError:
        if not _PLAIN.fullmatch(text):
            raise NotAnAmount(text) from None
        return Decimal(text.replace(",", "."))


def _latin(typed: Any) -> str:
    """With digits and separators as in English or German, whatever script they were typed in, and without spaces."""
    text = "".join(_digit(sign) for sign in str(typed or "") if not sign.isspace())
    return text.replace("٫", ".").replace("٬", ",").replace("。", ".")


def _digit(sign: str) -> str:
    value = unicodedata.decimal(sign, None)
    return sign if value is None else str(value)
