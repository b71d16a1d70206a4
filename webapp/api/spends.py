"""Spends and their refunds."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import ClassVar

from flask_babel import gettext as _
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.api.answers import EntryAnswer, entry_answer
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.fields import Credits, LongText, Request, Time
from webapp.api.identifiers import find_account_id, split_entry_id
from webapp.api.pricing import BOOKED_BEFORE, Price, Priced, counted_price_of, kept_price_of
from webapp.api.problems import Problem, invalid
from webapp.api.suspended import unless_suspended
from webapp.api.unit import one_transaction
from webapp.catalog.metering import LimitReached

ENDPOINTS: list[Endpoint] = []

OLDEST_USAGE = timedelta(days=35)


class SpendRequest(Priced):
    """Burn what a feature costs by the rate card, or an amount of credits; an amount needs a description."""

    says_what_for: ClassVar[bool] = True

    partial: bool = False
    occurred_at: Time | None = None


class RefundRequest(Request):
    """How much of the spend to give back, all that is left of it by default, and why."""

    amount: Credits | None = None
    reason: LongText


@endpoint(
    ENDPOINTS,
    "POST",
    "/spends",
    scopes=("credits:spend",),
    body=SpendRequest,
    answer=EntryAnswer,
    status=201,
    keeps=True,
    problems=(402, 404, 409, 422),
)
def create_spend(session: Session, call: Call[SpendRequest]) -> Reply:
    """Burn credits, soonest to expire first: all that it costs or, with `partial`, what there is."""
    account_id = find_account_id(session, external_id=call.body.account)
    price = _price(session, call, account_id, partial(kept_price_of, session))
    if not price.is_open:
        return _spend(session, call, account_id, price)
    with one_transaction(session) as own:
        by_count = partial(counted_price_of, own, occurred_at=call.body.occurred_at)
        return _spend(own, call, account_id, _price(own, call, account_id, by_count))


def _price(session: Session, call: Call[SpendRequest], account_id: int, price_of: Callable[..., Price]) -> Price:
    try:
        price = price_of(body=call.body, account_id=account_id)
        refuse_stale(call.body)
    except (Problem, LimitReached):
        # What was booked once is answered again, even if the feature is gone or the moment too old by now.
        if not _key_is_used(session, account_id=account_id, key=call.idempotency_key):
            raise
        return BOOKED_BEFORE
    return price


def _spend(session: Session, call: Call[SpendRequest], account_id: int, price: Price) -> Reply:
    body = call.body
    spend = partial(
        ledger.spend,
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
    written = unless_suspended(
        session,
        account_id=account_id,
        write=lambda condition: spend(only_if=condition),
        was_done=partial(_key_is_used, session, account_id=account_id, key=call.idempotency_key),
        relied_on=ledger.all_of(call.relied_on, price.relied_on),
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


def refuse_stale(body: SpendRequest) -> None:
    """Raises 400: usage may be told late, but not when the month that it belongs to has been read and explained."""
    if body.occurred_at is not None and body.occurred_at < clock.now() - OLDEST_USAGE:
        detail = _("“%(field)s” must not be older than %(days)s days.", field="occurred_at", days=OLDEST_USAGE.days)
        raise invalid(detail, field="occurred_at")


_USED = text("SELECT 1 FROM ledger.entries_v WHERE account_id = :account_id AND idempotency_key = :key")


def _key_is_used(session: Session, *, account_id: int, key: str) -> bool:
    return session.execute(_USED, {"account_id": account_id, "key": key}).first() is not None
