"""Spends, their refunds, and what a spend would cost."""

from datetime import timedelta
from typing import Annotated, Any, Self

from flask_babel import gettext as _
from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.api.answers import EntryAnswer, EstimateAnswer, draw_answer, entry_answer
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.fields import Credits, ExternalId, FeatureKey, LongText, Metadata, Quantity, Request, ShortText, Time
from webapp.api.identifiers import find_account_id, split_entry_id
from webapp.api.problems import Problem, invalid
from webapp.api.unit import one_snapshot
from webapp.catalog.rate_card import QuantityOutOfBounds, Quote, UnknownFeature, quote

ENDPOINTS: list[Endpoint] = []

OLDEST_USAGE = timedelta(days=35)
_MOST_GRANTS = 10_000


def _no_dimensions(value: dict[str, Any]) -> dict[str, Any]:
    if value:
        raise PydanticCustomError("no_dimensions", "must be empty")
    return value


class Priced(Request):
    """What to charge: a feature by the rate card, or an amount of credits and what it is for."""

    account: ExternalId
    feature: FeatureKey | None = None
    quantity: Quantity = 1
    dimensions: Annotated[dict[str, Any], AfterValidator(_no_dimensions)] | None = None
    amount: Credits | None = None
    description: LongText | None = None
    partial: bool = False
    reference: ShortText | None = None
    metadata: Metadata | None = None
    occurred_at: Time | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        by_amount = self.amount is not None
        if by_amount == (self.feature is not None):
            field = "amount" if by_amount else "feature"
            raise PydanticCustomError("either", "either feature or amount", {"field": field})
        if by_amount and (self.description is None or "quantity" in self.model_fields_set or self.dimensions):
            field = "description" if self.description is None else "quantity"
            raise PydanticCustomError("either", "either feature or amount", {"field": field})
        if not by_amount and self.description is not None:
            raise PydanticCustomError("either", "either feature or amount", {"field": "description"})
        return self

    @property
    def price(self) -> "Price":
        assert self.amount is not None
        return Price(credits=self.amount)


class Price:
    """What a request costs in credits, by which quote."""

    def __init__(self, *, credits: int, quoted: Quote | None = None) -> None:
        self.credits = credits
        self.quoted = quoted

    @property
    def pricing(self) -> dict[str, Any] | None:
        return self.quoted.pricing if self.quoted else None


class RefundRequest(Request):
    """How much of the spend to give back, all that is left of it by default, and why."""

    amount: Credits | None = None
    reason: LongText


@endpoint(
    ENDPOINTS,
    "POST",
    "/spends",
    scopes=("credits:spend",),
    body=Priced,
    answer=EntryAnswer,
    status=201,
    problems=(402, 404, 409, 422),
)
def create_spend(session: Session, call: Call[Priced]) -> Reply:
    """Burn credits, soonest to expire first: all that it costs or, with `partial`, what there is."""
    body = call.body
    account_id = find_account_id(session, external_id=body.account)
    try:
        price = _price(session, body)
        _refuse_stale(body)
    except Problem:
        # What was booked once is answered again, even if the feature is gone or the moment too old by now.
        if not _key_is_used(session, account_id=account_id, key=call.idempotency_key):
            raise
        price = Price(credits=1)  # never booked: the key decides
    written = ledger.spend(
        session,
        account_id=account_id,
        amount=price.credits,
        idempotency_key=call.idempotency_key,
        actor=call.actor,
        feature=body.feature,
        quantity=body.quantity if body.feature else None,
        partial=body.partial,
        description=body.description or "",
        reference=body.reference,
        metadata=body.metadata,
        pricing=price.pricing,
        occurred_at=body.occurred_at,
        request=body.model_dump(mode="json"),
    )
    answer = entry_answer(written.entry, external_id=body.account)
    return Reply(body=answer, status=201, replayed=written.replayed)


@endpoint(
    ENDPOINTS,
    "POST",
    "/spends/<entry>/refund",
    scopes=("credits:spend",),
    body=RefundRequest,
    answer=EntryAnswer,
    status=201,
    problems=(404, 409, 422),
)
def refund_spend(session: Session, call: Call[RefundRequest], *, entry: str) -> Reply:
    """Give credits of a spend back to the very grants that they came from."""
    external_id, seq = split_entry_id(entry)
    written = ledger.refund_spend(
        session,
        account_id=find_account_id(session, external_id=external_id),
        seq=seq,
        actor=call.actor,
        reason=call.body.reason,
        amount=call.body.amount,
        idempotency_key=call.idempotency_key,
    )
    answer = entry_answer(written.entry, external_id=external_id)
    return Reply(body=answer, status=201, replayed=written.replayed)


@endpoint(
    ENDPOINTS,
    "POST",
    "/estimates",
    scopes=("credits:spend", "accounts:read"),
    body=Priced,
    answer=EstimateAnswer,
    unit=one_snapshot,
    is_write=False,
    problems=(404,),
)
def create_estimate(session: Session, call: Call[Priced]) -> Reply:
    """What a spend would cost now and which credits it would draw; changes nothing."""
    body = call.body
    account_id = find_account_id(session, external_id=body.account)
    price = _price(session, body)
    available = ledger.spendable(session, account_id=account_id, feature=body.feature)
    affordable = price.credits <= available
    answer = EstimateAnswer(
        cost=price.credits,
        available=available,
        affordable=affordable,
        share_of_balance=round(min(price.credits / available, 1), 4) if available else None,
        draws=_draws(session, account_id=account_id, body=body, cost=price.credits) if affordable else [],
        rate_card_version=price.quoted.rate_card_version if price.quoted else None,
    )
    return Reply(body=answer)


def _price(session: Session, body: Priced) -> Price:
    if body.feature is None:
        return body.price
    try:
        quoted = quote(session, feature=body.feature, quantity=body.quantity)
    except UnknownFeature:
        raise invalid(_("There is no feature of that name on the rate card."), field="feature") from None
    except QuantityOutOfBounds:
        raise invalid(_("That many would cost more than 10^15 credits."), field="quantity") from None
    return Price(credits=quoted.credits, quoted=quoted)


def _refuse_stale(body: Priced) -> None:
    """Usage may be told late, but not after the month that it belongs to has been read and explained."""
    if body.occurred_at is not None and body.occurred_at < clock.now() - OLDEST_USAGE:
        detail = _("“%(field)s” must not be older than %(days)s days.", field="occurred_at", days=OLDEST_USAGE.days)
        raise invalid(detail, field="occurred_at")


_USED = text("SELECT 1 FROM ledger.entries_v WHERE account_id = :account_id AND idempotency_key = :key")


def _key_is_used(session: Session, *, account_id: int, key: str) -> bool:
    return session.execute(_USED, {"account_id": account_id, "key": key}).first() is not None


def _draws(session: Session, *, account_id: int, body: Priced, cost: int) -> list[Any]:
    """The slices that a spend would draw now, in burn order; what debt would cover is in none of them."""
    now = ledger.now(session)
    draws, left = [], cost
    for grant in ledger.open_grants(session, account_id=account_id, limit=_MOST_GRANTS):
        ended = grant.expires_at is not None and grant.expires_at <= now
        excluded = grant.features is not None and body.feature not in grant.features
        if left == 0 or ended or excluded or grant.frozen or grant.effective_at > now:
            continue
        amount = min(left, grant.remaining - grant.held)
        if amount > 0:
            draws.append(draw_answer(grant, amount=amount))
            left -= amount
    return draws
