"""What a request costs: by the rate card, or by what the caller says."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from flask_babel import gettext as _
from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.orm import Session

from webapp.api.fields import Credits, ExternalId, FeatureKey, LongText, Metadata, Quantity, Request, ShortText
from webapp.api.problems import Problem, invalid
from webapp.catalog.rate_card import QuantityOutOfBounds, Quote, UnknownFeature, quote


def _no_dimensions(value: dict[str, Any]) -> dict[str, Any]:
    if value:
        raise PydanticCustomError("no_dimensions", "must be empty")
    return value


class Priced(Request):
    """What to charge: a feature by the rate card, or an amount of credits."""

    says_what_for: ClassVar[bool] = False  # an amount needs a description, and a feature is one

    account: ExternalId
    feature: FeatureKey | None = None
    quantity: Quantity = 1
    dimensions: Annotated[dict[str, Any], AfterValidator(_no_dimensions)] | None = None
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
    """What a request costs in credits, and by which quote of the rate card, if by any."""

    credits: int
    quoted: Quote | None = None

    @property
    def pricing(self) -> dict[str, Any] | None:
        return self.quoted.pricing if self.quoted else None


# Of what was booked before: the idempotency key decides, whatever it would cost by now.
BOOKED_BEFORE = Price(credits=1)


def price_of(session: Session, *, body: Priced) -> Price:
    """What `body` costs now. Raises 400 naming a feature that is not on the rate card, or a quantity beyond bounds."""
    if body.amount is not None:
        return Price(credits=body.amount)
    assert body.feature is not None
    try:
        quoted = quote(session, feature=body.feature, quantity=body.quantity)
    except UnknownFeature:
        raise unknown_feature() from None
    except QuantityOutOfBounds:
        raise quantity_out_of_bounds() from None
    return Price(credits=quoted.credits, quoted=quoted)


def unknown_feature() -> Problem:
    return invalid(_("There is no feature of that name on the rate card."), field="feature")


def quantity_out_of_bounds() -> Problem:
    return invalid(_("That many would cost more than 10^15 credits."), field="quantity")
