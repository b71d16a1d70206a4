"""What something costs before it is done: for the playground, and for products that have Tallystick inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.plan_of_account import plan_of
from webapp.catalog.rate_book import Quote, quote


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What something would cost an account now, what is left after it, and what is missing; credits.

    `available` is what may pay for it: credits of other features and held ones are not in it, an overdraft is.
    `quote` is the price by the rate card; None where the caller named the credits.
    """

    credits: int
    available: int
    quote: Quote | None = None

    @property
    def left(self) -> int:
        return max(self.available - self.credits, 0)

    @property
    def missing(self) -> int:
        return max(self.credits - self.available, 0)

    @property
    def over_half(self) -> bool:
        """Whether it can be paid, and takes more than half of what is there."""
        return self.missing == 0 and self.credits * 2 > self.available


def cost_before(
    session: Session,
    *,
    account_id: int,
    feature: str,
    quantity: int = 1,
    dimensions: Mapping[str, Any] | None = None,
) -> Cost:
    """What so much of a feature would cost the account now; changes nothing.

    Raises UnknownFeature, DimensionsRefused, QuantityOutOfBounds, ledger.AccountNotFound.
    """
    plan = partial(plan_of, session, account_id=account_id)
    given = dict(dimensions) if dimensions else None
    price = quote(session, feature=feature, quantity=quantity, dimensions=given, plan=plan)
    available = ledger.spendable(session, account_id=account_id, feature=price.feature)
    return Cost(credits=price.credits, available=available, quote=price)


def cost_of_amount(session: Session, *, account_id: int, amount: int, feature: str | None = None) -> Cost:
    """The same for `amount` credits of the caller's own reckoning. Raises ledger.AccountNotFound."""
    return Cost(credits=amount, available=ledger.spendable(session, account_id=account_id, feature=feature))
