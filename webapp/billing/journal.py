"""The double-entry journal of a stretch of days, as accounting programs import it.

In money: what was sold is owed first (deferred), becomes revenue by use or by expiry, or goes back to the payer. In
credits: what customers have, against where it came from and went. A number is one booking, whose lines are in balance.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial

from webapp.billing.reports import DayLine

# The journal in credits goes by this "currency".
CREDITS = "CREDITS"


@dataclass(frozen=True, kw_only=True)
class BookAccount:
    """An account of the books: `key` says which, for its name in the reader's language."""

    code: str
    key: str


PAYMENTS = BookAccount(code="1000", key="payments")
DEFERRED = BookAccount(code="2000", key="deferred")
USED = BookAccount(code="4000", key="used")
BREAKAGE = BookAccount(code="4100", key="breakage")
CUSTOMERS = BookAccount(code="9000", key="customers")
SALES = BookAccount(code="9100", key="sales")
PROMOTIONS = BookAccount(code="9200", key="promotions")
ROLLOVER = BookAccount(code="9300", key="rollover")
USAGE = BookAccount(code="9400", key="usage")
EXPIRED = BookAccount(code="9500", key="expired")
REVOKED = BookAccount(code="9600", key="revoked")

_HOUSE = {
    "purchase": SALES,
    "grant": PROMOTIONS,
    "rollover": ROLLOVER,
    "spend": USAGE,
    "refund": USAGE,
    "expire": EXPIRED,
    "revoke": REVOKED,
    "restore": REVOKED,
}


@dataclass(frozen=True, kw_only=True)
class JournalLine:
    """One line; either `debit` or `credit` is above 0, in minor units or in credits."""

    day: date
    number: str
    account: BookAccount
    debit: int
    credit: int
    movement: str
    reference: str


def journal_lines(lines: Iterable[DayLine], *, currency: str) -> Iterator[JournalLine]:
    """The bookings of these lines, which come in the order of days; those of one day are numbered from 1."""
    today: date | None = None
    number = 0
    for line in lines:
        if line.day != today:
            today, number = line.day, 0
        for debit, credit, amount in _bookings(line, currency):
            if amount == 0:
                continue
            number += 1
            if amount < 0:
                debit, credit, amount = credit, debit, -amount
            told = partial(
                JournalLine,
                day=line.day,
                number=f"{line.day:%Y%m%d}-{number}",
                movement=line.movement,
                reference=" ".join(part for part in (line.item, line.feature) if part),
            )
            yield told(account=debit, debit=amount, credit=0)
            yield told(account=credit, debit=0, credit=amount)


def _bookings(line: DayLine, currency: str) -> Iterator[tuple[BookAccount, BookAccount, int]]:
    """(debit, credit, amount); a negative amount is the other way round."""
    if currency == CREDITS:
        if line.movement in _HOUSE:
            yield _HOUSE[line.movement], CUSTOMERS, line.sums.credits
    elif line.currency == currency:
        yield PAYMENTS, DEFERRED, line.sums.sold_minor
        yield DEFERRED, USED, line.sums.recognised_minor
        yield DEFERRED, BREAKAGE, line.sums.breakage_minor
        yield DEFERRED, PAYMENTS, line.sums.refunded_minor
