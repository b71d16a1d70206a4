"""Entries as rows of a table: named, grouped by day, with the balance column's stick."""

import re
from dataclasses import dataclass
from datetime import date, tzinfo
from functools import partial
from itertools import groupby

from sqlalchemy.orm import Session

from webapp.account_words.dispute_words import disputes_in_short
from webapp.account_words.naming import entry_detail, entry_title, shorten
from webapp.account_words.plan_words import plan_cause, what_became_of_it
from webapp.ledger import Entry

# The stick is never narrower than the number that stands on it, in thousandths of the column.
_NARROWEST = 560
_NARROWEST_FOR_LONG = 1000
_WIDEST = 1000

_PURCHASE = re.compile(r"purchase:([0-9]{1,18})")  # as billing names its grants


@dataclass(frozen=True, kw_only=True)
class Row:
    """An entry with its name, and the stick's width here and in the row above (thousandths; None at the top).

    `link` leads to what it is about: the purchase, the plan, the entry it follows; empty where there is none.
    """

    entry: Entry
    title: str
    detail: str
    link: str
    width: int
    width_above: int | None


def rows_of(session: Session, entries: list[Entry]) -> list[Row]:
    """The entries, newest first, as rows of one table."""
    widths = _widths([entry.balance_after for entry in entries])
    named = partial(entry_detail, session)
    disputes = disputes_in_short(session, entries)
    ended = what_became_of_it(session, entries, named=named)
    return [
        Row(
            entry=entry,
            title=shorten(entry_title(session, entry), 80),
            detail=shorten(ended.get(entry.seq) or _detail(named(entry), disputes.get(entry.seq)), 120),
            link=link_of(entry),
            width=widths[place],
            width_above=widths[place - 1] if place else None,
        )
        for place, entry in enumerate(entries)
    ]


def link_of(entry: Entry) -> str:
    """Where what the entry is about has a page of its own."""
    if entry.about_seq:
        return f"/credits/entries/{entry.about_seq}"
    if entry.kind == "purchase" and (number := _PURCHASE.fullmatch(entry.reference or "")):
        return f"/purchases/{number[1]}"
    if plan_cause(entry):
        return "/plan"
    return "/credits#unlocks" if entry.kind == "spend" and (entry.pricing or {}).get("unlock") else ""


def _detail(detail: str, dispute: str | None) -> str:
    return f"{detail} · {dispute}" if dispute else detail


def by_day(rows: list[Row], *, zone: tzinfo) -> list[tuple[date, list[Row]]]:
    """The rows under the day on which each counts, in the reader's zone."""
    keyed = groupby(rows, key=lambda row: row.entry.occurred_at.astimezone(zone).date())
    return [(day, list(group)) for day, group in keyed]


def _widths(balances: list[int]) -> list[int]:
    """The least and the greatest balance of the page span the free part of the column, so that changes show."""
    if not balances:
        return []
    low, high = min(balances), max(balances)
    narrowest = _NARROWEST if max(abs(low), high) < 10**12 else _NARROWEST_FOR_LONG
    span = _WIDEST - narrowest
    return [_WIDEST if high == low else narrowest + span * (value - low) // (high - low) for value in balances]
