"""What a request costs: by the rate card, or by what the caller says."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, ClassVar, Self

from flask_babel import gettext as _
from pydantic import ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.fields import Credits, ExternalId, FeatureKey, LongText, Metadata, Quantity, Request, ShortText
from webapp.api.kept import kept
from webapp.api.problems import invalid
from webapp.billing.plan_of_account import plan_of, plans_of
from webapp.catalog.counted import is_open
from webapp.catalog.metering import Use, lock_and_count
from webapp.catalog.rate_book import (
    DimensionsRefused,
    QuantityOutOfBounds,
    Quote,
    RateBook,
    UnknownFeature,
    in_force,
    rates_in_force,
)

_MEASURED_OR_CHOSEN = {"type": "object", "additionalProperties": {"type": ["integer", "string"]}}
# What was measured and what was chosen, by the names that the feature's price uses.
Dimensions = Annotated[dict[str, Any], Field(max_length=100), WithJsonSchema(_MEASURED_OR_CHOSEN)]


def _either_feature_or_amount(schema: dict[str, Any], model: type["Priced"]) -> None:
    """What `_too_much_or_missing` refuses, said in the document."""
    nothing, is_text = {"type": "null"}, {"type": "string"}
    feature = {"feature": is_text, "amount": nothing, **({"description": nothing} if model.says_what_for else {})}
    by_feature = {"required": ["feature"], "properties": feature}
    amount = {
        "amount": {"type": "integer"},
        "feature": nothing,
        "dimensions": {"anyOf": [nothing, {"maxProperties": 0}]},
        **({"description": is_text} if model.says_what_for else {}),
    }
    required = ["amount", "description"] if model.says_what_for else ["amount"]
    by_amount = {"required": required, "properties": amount, "not": {"required": ["quantity"]}}
    schema["oneOf"] = [by_feature, by_amount]


class Priced(Request):
    """What to charge: a feature by the rate card, or an amount of credits."""

    model_config = ConfigDict(json_schema_extra=_either_feature_or_amount)

    says_what_for: ClassVar[bool] = False  # an amount needs a description, and a feature is one

    account: ExternalId
    feature: FeatureKey | None = None
    quantity: Quantity = 1
    dimensions: Dimensions | None = None
    amount: Credits | None = None
    description: LongText | None = None
    reference: ShortText | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if field := self._too_much_or_missing():
            raise PydanticCustomError("either", "either feature or amount", {"field": field})
        return self

    def _too_much_or_missing(self) -> str | None:
        if self.amount is None:
            if self.feature is None:
                return "feature"
            return "description" if self.says_what_for and self.description is not None else None
        if self.feature is not None:
            return "amount"
        if self.says_what_for and self.description is None:
            return "description"
        return "quantity" if "quantity" in self.model_fields_set or self.dimensions else None


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a request costs in credits, and by which quote of the rate card, if by any.

    `relied_on` is what has to be looked at again before it is charged: None where it was read for this request. While
    it `is_open`, what was used before has to be counted, and `credits` is what it costs when nothing is free.
    `settled` is the arithmetic after that.
    """

    credits: int
    quoted: Quote | None = None
    relied_on: ledger.Condition | None = None
    settled: dict[str, Any] | None = None

    @property
    def pricing(self) -> dict[str, Any] | None:
        return self.settled or (self.quoted.pricing if self.quoted else None)

    @property
    def is_open(self) -> bool:
        return is_open(self.pricing)

    def settle(self, pricing: dict[str, Any]) -> "Price":
        """The price where that is the arithmetic."""
        return replace(self, credits=pricing["credits"], settled=pricing)


# Of what was booked before: the idempotency key decides, whatever it would cost by now.
BOOKED_BEFORE = Price(credits=1)


def kept_price_of(session: Session, *, body: Priced, account_id: int) -> Price:
    """Like `price_of`, by the rates that this process keeps where it has them."""
    known = None if body.feature is None else kept().rates.get(body.feature)
    if body.feature is None or known is None:
        return price_of(session, body=body, account_id=account_id)
    price = price_by(RateBook({body.feature: known}), body=body, plan=partial(plan_of, session, account_id=account_id))
    return replace(price, relied_on=None if price.is_open else in_force(known.version, feature=body.feature))


def price_of(session: Session, *, body: Priced, account_id: int) -> Price:
    """What `body` costs that account now.

    Raises 400 naming a feature that is not on the rate card, a quantity beyond bounds, or dimensions that its price
    can do nothing with.
    """
    book = RateBook({}) if body.feature is None else rates_in_force(session, features=[body.feature])
    if body.feature is not None and (known := book.rate_of(body.feature)) is not None:
        kept().rates.put(body.feature, known)
    return price_by(book, body=body, plan=partial(plan_of, session, account_id=account_id))


def counted_price_of(session: Session, *, body: Priced, account_id: int, occurred_at: datetime | None = None) -> Price:
    """Like `price_of`, and settled: where it matters, what was used before is counted, under the account's lock.

    Within a database transaction, which has to be the one that charges or holds. Raises LimitReached, too.
    """
    price = price_of(session, body=body, account_id=account_id)
    pricing = price.pricing
    if pricing is None or not is_open(pricing):
        return price
    use = Use(account_id=account_id, pricing=pricing, occurred_at=occurred_at)
    meter = lock_and_count(session, uses=[use], account_ids=[account_id], plans_of=plans_of)
    return price.settle(meter.price(use))


def price_by(book: RateBook, *, body: Priced, plan: Callable[[], str | None]) -> Price:
    """The same by rates that were read before; `plan` is asked where the price depends on the account's plan."""
    if body.amount is not None:
        return Price(credits=body.amount)
    assert body.feature is not None
    try:
        quoted = book.quote(feature=body.feature, quantity=body.quantity, dimensions=body.dimensions, plan=plan)
    except UnknownFeature:
        raise invalid(_("There is no feature of that name on the rate card."), field="feature") from None
    except QuantityOutOfBounds:
        raise invalid(_("That many would cost more than 10^15 credits."), field="quantity") from None
    except DimensionsRefused as refused:
        field = "quantity" if refused.reason == "quantity" else "dimensions"
        raise invalid(_why_refused(refused), field=field) from None
    return Price(credits=quoted.credits, quoted=quoted)


class Prices:
    """What many requests cost by the same rates: those that cost the same share one Price, worked out once."""

    def __init__(self, book: RateBook) -> None:
        self._book = book
        self._known: dict[tuple[str, int], Price] = {}

    def price(self, body: Priced, *, plan: Callable[[], str | None]) -> Price:
        """`price_by` for one of the requests."""
        rated = None if body.feature is None or body.dimensions else self._book.rate_of(body.feature)
        if body.feature is None or rated is None or rated.pricing.variants:  # a variant may be that of a plan
            return price_by(self._book, body=body, plan=plan)
        terms = (body.feature, body.quantity)
        if terms not in self._known:
            self._known[terms] = price_by(self._book, body=body, plan=plan)
        return self._known[terms]


def _why_refused(refused: DimensionsRefused) -> Any:
    name = refused.dimension[:100]
    if refused.reason == "number":
        return _("The dimension “%(name)s” must be a whole number from 0 to 10^15.", name=name)
    if refused.reason == "text":
        return _("The dimension “%(name)s” must be text.", name=name)
    if refused.reason == "missing":
        return _("At least one of these dimensions must be above 0: %(names)s.", names=name)
    if refused.reason == "quantity":
        return _("This feature is priced by its dimensions alone: “quantity” must be 1.")
    return _("The price of this feature has no dimension “%(name)s”.", name=name)
