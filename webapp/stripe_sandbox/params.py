"""What an operation takes: readers that check one parameter each and say what Stripe would say.

A reader gets the decoded value and the parameter's full name (`line_items[0][quantity]`). An empty string
unsets a value, as in Stripe's API, and is read as None where the reader says so.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from webapp.stripe_sandbox.errors import StripeError, invalid, missing_param, unknown_param
from webapp.stripe_sandbox.form import Nested

Reader = Callable[[Nested, str], Any]

EMAIL = re.compile(r"[^\s@<>\x00-\x1f]+@[^\s@<>.\x00-\x1f]+(\.[^\s@<>.\x00-\x1f]+)*")
LARGEST_AMOUNT = 99_999_999
CURRENCY_CODES = """
    usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bif bmd bnd bob brl bsd bwp byn bzd cad
    cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd
    hnl htg huf idr ils inr isk jmd jpy kes kgs khr kmf krw kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd
    mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln pyg qar ron rsd
    rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah ugx uyu uzs vnd
    vuv wst xaf xcd xof xpf yer zar zmw bhd jod kwd omr tnd
"""
CURRENCIES = frozenset(CURRENCY_CODES.split())


def text(*, max_length: int = 5_000, blank: bool = False) -> Reader:
    """A string; with `blank`, an empty one unsets the value."""

    def read(raw: Nested, name: str) -> str | None:
        if not isinstance(raw, str):
            raise invalid("Invalid string", param=name)
        if raw == "":
            if blank:
                return None
            raise invalid(
                f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
                f"parameter; however '{name}' cannot be unset. You should remove '{name}' from your request "
                "or supply a non-empty value.",
                param=name,
                code="parameter_invalid_empty",
            )
        if len(raw) > max_length:
            raise invalid(f"Invalid string: must be at most {max_length} characters", param=name)
        return raw

    return read


def integer(*, minimum: int | None = None, maximum: int = LARGEST_AMOUNT) -> Reader:
    def read(raw: Nested, name: str) -> int:
        if not isinstance(raw, str) or not re.fullmatch(r"-?[0-9]{1,18}", raw):
            raise invalid(f"Invalid integer: {_shown(raw)}", param=name, code="parameter_invalid_integer")
        number = int(raw)
        if minimum is not None and number < minimum:
            raise invalid(
                f"This value must be greater than or equal to {minimum}.",
                param=name,
                code="parameter_invalid_integer",
            )
        if number > maximum:
            raise invalid(
                f"This value must be less than or equal to {maximum}.",
                param=name,
                code="parameter_invalid_integer",
            )
        return number

    return read


def timestamp() -> Reader:
    return integer(minimum=0, maximum=253_402_300_799)


def decimal() -> Reader:
    """A decimal string of minor units with up to 12 places, as in `unit_amount_decimal`."""

    def read(raw: Nested, name: str) -> str:
        if not isinstance(raw, str) or not re.fullmatch(r"[0-9]{1,8}(\.[0-9]{1,12})?", raw):
            raise invalid(f"Invalid decimal: {_shown(raw)}", param=name)
        return raw

    return read


def boolean() -> Reader:
    def read(raw: Nested, name: str) -> bool:
        if raw not in ("true", "false"):
            raise invalid(f"Invalid boolean: {_shown(raw)}", param=name)
        return raw == "true"

    return read


def one_of(*choices: str) -> Reader:
    def read(raw: Nested, name: str) -> str:
        if not isinstance(raw, str) or raw not in choices:
            listed = choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])}, or {choices[-1]}"
            raise invalid(f"Invalid {name}: must be one of {listed}", param=name)
        return raw

    return read


def currency() -> Reader:
    def read(raw: Nested, name: str) -> str:
        if not isinstance(raw, str) or raw.lower() not in CURRENCIES:
            listed = ", ".join(sorted(CURRENCIES))
            raise invalid(
                f"Invalid currency: {_shown(raw)}. Stripe currently supports these currencies: {listed}",
                param=name,
            )
        return raw.lower()

    return read


def email() -> Reader:
    def read(raw: Nested, name: str) -> str:
        if not isinstance(raw, str) or not is_email(raw):
            raise invalid(f"Invalid email address: {_shown(raw)}", param=name, code="email_invalid")
        return raw

    return read


def is_email(value: str) -> bool:
    return len(value) <= 512 and EMAIL.fullmatch(value) is not None


def url() -> Reader:
    """An absolute http(s) URL."""

    def read(raw: Nested, name: str) -> str:
        problem = invalid("Not a valid URL", param=name, code="url_invalid")
        if not isinstance(raw, str) or len(raw) > 5_000 or re.search(r"[\s\x00-\x1f\\]", raw):
            raise problem
        try:
            parts = urlsplit(raw)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid:
            raise problem
        return raw

    return read


def metadata() -> Reader:
    """Up to 50 keys of 40 characters with values of 500; an empty value deletes the key (read as "")."""

    def read(raw: Nested, name: str) -> dict[str, str]:
        if raw == "":
            return {}
        if isinstance(raw, str):
            raise invalid("Invalid object", param=name)
        if len(raw) > 50:
            raise invalid(f"You can have up to 50 metadata keys, but you passed {len(raw)}.", param=name)
        for key, value in raw.items():
            if not isinstance(value, str):
                raise invalid("Metadata values must be strings", param=f"{name}[{key}]")
            if len(key) > 40:
                raise invalid(
                    f"Metadata keys can have up to 40 characters, but you passed one of {len(key)}.",
                    param=name,
                )
            if len(value) > 500:
                raise invalid(
                    "Metadata values can have up to 500 characters, but you passed in a value that is "
                    f"{len(value)} characters.",
                    param=f"{name}[{key}]",
                )
        return {key: value for key, value in raw.items() if isinstance(value, str)}

    return read


@dataclass(frozen=True)
class Array:
    """A list of what `item` reads; its keys are numbers."""

    item: Reader
    max_length: int

    def __call__(self, raw: Nested, name: str) -> list[Any]:
        if raw == "":
            return []
        if isinstance(raw, str) or not all(key.isascii() and key.isdigit() for key in raw):
            raise invalid("Invalid array", param=name)
        if len(raw) > self.max_length:
            raise invalid(f"Array {name} exceeded maximum {self.max_length} allowed elements.", param=name)
        return [self.item(raw[key], f"{name}[{key}]") for key in sorted(raw, key=_as_number)]


@dataclass(frozen=True)
class Shape:
    """An object with these fields; anything else is refused by name, and so is a missing required one."""

    fields: Mapping[str, Reader]
    required: tuple[str, ...]

    def __call__(self, raw: Nested, name: str) -> dict[str, Any]:
        if isinstance(raw, str):
            raise invalid("Invalid object", param=name)
        for key in raw:
            if key not in self.fields:
                raise unknown_param(f"{name}[{key}]" if name else key)
        for key in self.required:
            if key not in raw:
                raise missing_param(f"{name}[{key}]" if name else key)
        return {key: self.fields[key](value, f"{name}[{key}]" if name else key) for key, value in raw.items()}


def array(item: Reader, *, max_length: int = 100) -> Reader:
    return Array(item, max_length)


def shape(fields: Mapping[str, Reader], *, required: tuple[str, ...] = ()) -> Reader:
    return Shape(fields, required)


def range_of_time() -> Reader:
    """`created=123` or `created[gte]=123`; gives the bounds that were named."""
    bounds = shape({bound: timestamp() for bound in ("gt", "gte", "lt", "lte")})

    def read(raw: Nested, name: str) -> dict[str, int]:
        if isinstance(raw, str):
            exact = timestamp()(raw, name)
            return {"gte": exact, "lte": exact}
        read_bounds: dict[str, int] = bounds(raw, name)
        return read_bounds

    return read


PAGE: Mapping[str, Reader] = {
    "limit": integer(minimum=1, maximum=100),
    "starting_after": text(max_length=255),
    "ending_before": text(max_length=255),
}


def read_params(reader: Reader, raw: dict[str, Nested]) -> dict[str, Any]:
    """The checked parameters. Raises StripeError naming the first bad one."""
    checked = reader(raw, "")
    if not isinstance(checked, dict):
        raise StripeError("Invalid request")
    return checked


def _shown(raw: Nested) -> str:
    return raw[:100] if isinstance(raw, str) else "an object"


def _as_number(key: str) -> int:
    return int(key[:18])
