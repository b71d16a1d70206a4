"""What something costs before it is done: for the playground, and for products that have Tallystick inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.limit_words import limit_words
from webapp.billing.plan_of_account import plan_of
from webapp.billing.price_now import price_now, refused_now
from webapp.catalog.metering import LimitReached
from webapp.catalog.rate_book import Quote, quote


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What something would cost an account now, what is left after it, and what is missing; credits.

    `available` is what may pay for it: credits of other features and held ones are not in it, an overdraft is.
    `quote` is the price by the rate card; None where the caller named the credits. `refused` says in words what refuses
    it however many credits there are: a suspension, or a ceiling of the plan; empty where nothing does.
    """

    credits: int
    available: int
    quote: Quote | None = None
    refused: str = ""

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
    now = price_now(session, account_id=account_id, quote=price)
    return Cost(credits=now.credits, available=available, quote=price, refused=_words(now.refusal))


def cost_of_amount(session: Session, *, account_id: int, amount: int, feature: str | None = None) -> Cost:
    """The same for `amount` credits of the caller's own reckoning. Raises ledger.AccountNotFound."""
    available = ledger.spendable(session, account_id=account_id, feature=feature)
    return Cost(credits=amount, available=available, refused=_words(refused_now(session, account_id=account_id)))


def _words(refusal: ledger.LedgerRefusal | None) -> str:
    if refusal is None:
        return ""
    if isinstance(refusal, LimitReached):
        return limit_words(refusal)
    return str(_("Your account is suspended. Nothing was spent."))
