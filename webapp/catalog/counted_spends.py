"""Many spends at once, some of which depend on what was used before them."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.catalog.counted import is_open
from webapp.catalog.metering import LimitReached, Meter, PlansOf, Use, lock_and_count

Outcome = ledger.Written | ledger.LedgerRefusal


class _OtherThanExpected(Exception):
    """An item was refused or was there before, so what came after it was priced wrongly."""


def are_counted(items: Iterable[ledger.SpendItem]) -> bool:
    """Whether charging these has to count what was used before."""
    return any(is_open(item.pricing) for item in items)


def spend_many_counted(session: Session, *, items: Sequence[ledger.SpendItem], plans_of: PlansOf) -> list[Outcome]:
    """What `ledger.spend_many` does; items whose pricing is open are priced by what was used before them.

    Where some are, all accounts stay locked from the first count to the end of the database transaction, which
    therefore must be one. What a ceiling refuses is LimitReached. Mostly it is known beforehand what becomes of each
    item; where it turns out otherwise (credits run out, a key comes twice), those items are undone and charged one by
    one.
    """
    if not are_counted(items):
        return ledger.spend_many(session, items=items)
    booked = _booked(session, items)
    open_ones = [item for item in items if is_open(item.pricing) and _key(item) not in booked]
    uses = [_use(item) for item in open_ones]
    meter = lock_and_count(session, uses=uses, account_ids={item.account_id for item in items}, plans_of=plans_of)
    booked = _booked(session, items)  # somebody may have booked one of them until the accounts were locked
    with suppress(_OtherThanExpected), session.begin_nested():
        return _all_at_once(session, items, meter=meter, booked=booked)
    meter.count(session, uses)
    return _one_by_one(session, items, meter=meter, booked=booked)


def _all_at_once(
    session: Session, items: Sequence[ledger.SpendItem], *, meter: Meter, booked: set[tuple[int, str]]
) -> list[Outcome]:
    """The outcomes, where each item that no ceiling refuses can be charged. Raises _OtherThanExpected."""
    priced = []
    for item in items:
        one = _priced(item, meter, booked)
        if isinstance(one, ledger.SpendItem) and is_open(item.pricing) and _key(item) not in booked:
            meter.take(_use(item))
        priced.append(one)
    spends = [one for one in priced if isinstance(one, ledger.SpendItem)]
    written = iter(ledger.spend_many(session, items=spends))
    outcomes = [next(written) if isinstance(one, ledger.SpendItem) else one for one in priced]
    for item, outcome in zip(items, outcomes, strict=True):
        expected = isinstance(outcome, LimitReached) or (isinstance(outcome, ledger.Written) and not outcome.replayed)
        if is_open(item.pricing) and _key(item) not in booked and not expected:
            raise _OtherThanExpected
    return outcomes


def _one_by_one(
    session: Session, items: Sequence[ledger.SpendItem], *, meter: Meter, booked: set[tuple[int, str]]
) -> list[Outcome]:
    """Items of accounts of which some are counted in their order, one by one; all others at once."""
    counted = {item.account_id for item in items if is_open(item.pricing)}
    others = iter(ledger.spend_many(session, items=[item for item in items if item.account_id not in counted]))
    outcomes: list[Outcome] = []
    for item in items:
        if item.account_id not in counted:
            outcomes.append(next(others))
            continue
        one = _priced(item, meter, booked)
        outcome = ledger.spend_many(session, items=[one])[0] if isinstance(one, ledger.SpendItem) else one
        if is_open(item.pricing) and isinstance(outcome, ledger.Written):
            booked.add(_key(item))
            if not outcome.replayed:
                meter.take(_use(item))
        outcomes.append(outcome)
    return outcomes


def _priced(item: ledger.SpendItem, meter: Meter, booked: set[tuple[int, str]]) -> ledger.SpendItem | LimitReached:
    """The item at its price; one that was booked before as it is, for its key decides."""
    if not is_open(item.pricing) or _key(item) in booked:
        return item
    try:
        pricing = meter.price(_use(item))
    except LimitReached as reached:
        return reached
    return replace(item, amount=pricing["credits"], pricing=pricing)


def _use(item: ledger.SpendItem) -> Use:
    assert item.pricing is not None
    return Use(account_id=item.account_id, pricing=item.pricing, occurred_at=item.occurred_at)


def _key(item: ledger.SpendItem) -> tuple[int, str]:
    return item.account_id, item.idempotency_key


_BOOKED = text(
    "SELECT e.account_id, e.idempotency_key"
    " FROM unnest(CAST(:account_ids AS bigint[]), CAST(:keys AS text[])) AS wanted (account_id, key)"
    " JOIN ledger.entries_v e ON e.account_id = wanted.account_id AND e.idempotency_key = wanted.key"
)


def _booked(session: Session, items: Sequence[ledger.SpendItem]) -> set[tuple[int, str]]:
    keys = [_key(item) for item in items if is_open(item.pricing)]
    rows = session.execute(_BOOKED, {"account_ids": [one for one, _ in keys], "keys": [key for _, key in keys]})
    return {(row.account_id, row.idempotency_key) for row in rows}
