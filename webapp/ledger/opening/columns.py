"""What each column of the file may hold: from its text to its value, or what to do about it."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

MOST_CREDITS = 10**15
LONGEST_TEXT = 1_000
LONGEST_NAME = 255

# Keys that Tallystick gives to grants of its own; an opening balance under one would stand in such a grant's way.
OUR_KEYS = ("opening:", "purchase:", "sign-up:", "plan:", "subscription:", "entitlement:", "grant:", "rollover:")

_ACCOUNT = re.compile(r"[A-Za-z0-9._:@+-]{1,128}", re.ASCII)
_SOURCE = re.compile(r"[a-z][a-z0-9-]{0,49}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(?P<zone>[Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_FORMULA = ("=", "+", "-", "@")
_ZONE_HINT = "add the time zone, such as 2027-01-31T00:00:00Z or 2027-01-31T00:00:00+01:00"


class Unreadable(ValueError):
    """The cell holds no such value; the message says what to write instead."""


def read_account(cell: str) -> str:
    if not _ACCOUNT.fullmatch(cell):
        raise Unreadable("write 1 to 128 of A-Z a-z 0-9 . _ - : @ +, the product's own name for the account")
    return cell


def read_whole(low: int, high: int, what: str) -> Callable[[str], int]:
    """Digits and nothing else: what a spreadsheet makes of large numbers is refused, not guessed at."""

    def read(cell: str) -> int:
        if re.fullmatch(r"-?[0-9]{1,19}", cell) and low <= int(cell) <= high:
            return int(cell)
        raise Unreadable(f"write {what} as a whole number from {low} to {high}, in plain digits such as 1500")

    return read


def read_time(cell: str) -> datetime:
    """A moment that says its zone; those without one mean different things on different machines."""
    found = _TIME.fullmatch(cell)
    if found is None:
        if _DATE.fullmatch(cell):
            raise Unreadable(f"a date alone is no moment: {_ZONE_HINT}")
        raise Unreadable("write a time as 2027-01-31T00:00:00Z")
    if found["zone"] is None:
        raise Unreadable(_ZONE_HINT)
    try:
        return datetime.fromisoformat(cell.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable("there is no such time; write one of the years 1 to 9999 of UTC") from None


def read_text(cell: str, *, longest: int = LONGEST_TEXT, lines: bool = False) -> str:
    if cell.startswith(_FORMULA):
        raise Unreadable(f"a spreadsheet would run this as a formula; begin with another character than {cell[0]}")
    if len(cell) > longest:
        raise Unreadable(f"write at most {longest} characters")
    if not cell.replace("\n", "").replace("\r", "").isprintable() if lines else not cell.isprintable():
        raise Unreadable("remove the control characters and line breaks")
    return cell


def read_description(cell: str) -> str:
    return read_text(cell, lines=True).replace("\r\n", "\n").replace("\r", "\n")


def read_name(cell: str) -> str:
    return read_text(cell, longest=LONGEST_NAME)


def read_source(cell: str) -> str:
    if not _SOURCE.fullmatch(cell):
        raise Unreadable("write one word in lower case, such as opening, purchase or promotion")
    return cell


def read_source_key(cell: str) -> str:
    read_text(cell, longest=LONGEST_NAME)
    ours = next((prefix for prefix in OUR_KEYS if cell.startswith(prefix)), None)
    if ours is not None:
        raise Unreadable(f"keys that begin with {ours} are Tallystick's own; put a prefix of yours before it")
    return cell


def read_features(cell: str) -> list[str]:
    names = sorted(set(re.split(r"[;\s]+", cell.strip("; "))) - {""})
    if not names or any(len(read_text(name)) > 100 for name in names):
        raise Unreadable("name features with ; between them, or leave it empty for all")
    return names


def read_currency(cell: str) -> str:
    if not _CURRENCY.fullmatch(cell):
        raise Unreadable("write the three capital letters of ISO 4217, such as EUR")
    return cell


def read_kind(cell: str) -> str:
    if cell not in ("person", "organization"):
        raise Unreadable("write person or organization")
    return cell


COLUMNS: Mapping[str, Callable[[str], Any]] = {
    "account": read_account,
    "amount": read_whole(1, MOST_CREDITS, "the credits"),
    "expires_at": read_time,
    "effective_at": read_time,
    "granted_at": read_time,
    "priority": read_whole(-(2**31), 2**31 - 1, "the priority"),
    "features": read_features,
    "source": read_source,
    "source_key": read_source_key,
    "cost_minor": read_whole(0, MOST_CREDITS, "what was paid, in the currency's smallest unit (999 for 9.99 EUR),"),
    "cost_currency": read_currency,
    "description": read_description,
    "account_name": read_name,
    "account_kind": read_kind,
    "time_zone": read_name,
    "overdraft_limit": read_whole(0, MOST_CREDITS, "the limit in credits"),
}
REQUIRED = ("account", "amount")
