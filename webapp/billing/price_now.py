"""What a quote comes to for an account now, and what would refuse it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.plan_of_account import plans_of
from webapp.catalog.counted import free_units, is_open
from webapp.catalog.metering import LimitReached, Use, count_now
from webapp.catalog.rate_book import Quote
from webapp.people.suspension import is_suspended, why_suspended


@dataclass(frozen=True, kw_only=True)
class PriceNow:
    """`credits` for all of it, `free` of the units for nothing. `refusal` is what refuses it, credits or not."""

    credits: int
    free: int = 0
    refusal: ledger.LedgerRefusal | None = None


def price_now(session: Session, *, account_id: int, quote: Quote, occurred_at: datetime | None = None) -> PriceNow:
    """What the quote costs the account after what it has used until now. Reads only, and locks nothing."""
    pricing, refusal = quote.pricing, refused_now(session, account_id=account_id)
    if not is_open(pricing):
        return PriceNow(credits=quote.credits, refusal=refusal)
    use = Use(account_id=account_id, pricing=pricing, occurred_at=occurred_at)
    meter = count_now(session, uses=[use], plans_of=plans_of)
    settled = meter.settle(use)
    try:
        meter.refuse_beyond(use)
    except LimitReached as reached:
        refusal = refusal or reached
    return PriceNow(credits=settled["credits"], free=free_units(settled), refusal=refusal)


def refused_now(session: Session, *, account_id: int) -> ledger.LedgerRefusal | None:
    """What refuses whatever the account would spend: that it is suspended; None where nothing does."""
    if not is_suspended(session, account_id=account_id):
        return None
    return why_suspended(session, account_id=account_id)
