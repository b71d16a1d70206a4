"""Holds: credits reserved before the work is done, and charged or given back after it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.answers import EntryAnswer, HoldAnswer, HoldsAnswer, SourceOfCredits, entry_answer, hold_answer
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.fields import Credits, LongText, Metadata, Request, ShortText
from webapp.api.identifiers import check_external_id, find_account_id, split_hold_id
from webapp.api.pricing import BOOKED_BEFORE, Price, Priced, counted_price_of, price_of
from webapp.api.problems import Problem
from webapp.api.query import Parameter
from webapp.api.suspended import unless_suspended
from webapp.api.unit import one_snapshot, one_transaction
from webapp.catalog.metering import LimitReached

ENDPOINTS: list[Endpoint] = []

SCOPE = "credits:spend"
READERS = ("accounts:read", SCOPE)
SHORTEST_SECONDS, LONGEST_SECONDS = 1, 24 * 3600
DEFAULT_SECONDS = 15 * 60


def _something(amount: Any) -> Any:
    if type(amount) is int and amount == 0:
        raise PydanticCustomError("void_instead", "must be at least 1: void the hold instead")
    return amount


class HoldRequest(Priced):
    """Reserve what a feature costs by the rate card, or an amount of credits, for `expires_in` seconds."""

    expires_in: Annotated[int, Field(ge=SHORTEST_SECONDS, le=LONGEST_SECONDS)] = DEFAULT_SECONDS


class CaptureRequest(Request):
    """How much to charge, all that is held by default; more than that with `allow_excess`.

    What is left out of the others is taken over from the hold.
    """

    amount: Annotated[Credits, BeforeValidator(_something)] | None = None
    allow_excess: bool = False
    description: LongText | None = None
    reference: ShortText | None = None
    metadata: Metadata | None = None


class VoidRequest(Request):
    """Nothing to say."""


@endpoint(
    ENDPOINTS,
    "POST",
    "/holds",
    scopes=(SCOPE,),
    body=HoldRequest,
    answer=HoldAnswer,
    status=201,
    problems=(402, 404, 409, 422),
)
def create_hold(session: Session, call: Call[HoldRequest]) -> Reply:
    """Reserve credits, in the order in which they would be spent: all of them or none, and never out of debt."""
    account_id = find_account_id(session, external_id=call.body.account)
    price = _price(session, call, account_id, price_of)
    if not price.is_open:
        return _place(session, call, account_id, price)
    with one_transaction(session) as own:
        return _place(own, call, account_id, _price(own, call, account_id, counted_price_of))


def _price(session: Session, call: Call[HoldRequest], account_id: int, price_of: Callable[..., Price]) -> Price:
    try:
        return price_of(session, body=call.body, account_id=account_id)
    except (Problem, LimitReached):
        if not _was_placed(session, account_id=account_id, key=call.idempotency_key):
            raise
        return BOOKED_BEFORE


def _place(session: Session, call: Call[HoldRequest], account_id: int, price: Price) -> Reply:
    body = call.body
    place = partial(
        ledger.place_hold,
        session,
        account_id=account_id,
        amount=price.credits,
        idempotency_key=call.idempotency_key,
        actor=call.actor,
        expires_in=timedelta(seconds=body.expires_in),
        feature=body.feature,
        quantity=body.quantity if body.feature else None,
        description=body.description or "",
        reference=body.reference,
        metadata=body.metadata,
        pricing=price.pricing,
        request=body.model_dump(mode="json"),
    )
    placed = unless_suspended(
        session,
        account_id=account_id,
        write=lambda condition: place(only_if=condition),
        was_done=partial(_was_placed, session, account_id=account_id, key=call.idempotency_key),
    )
    as_placed = replace(placed.hold, state="open", captured=0)  # a replay is answered like the first time
    answer = _answers(session, holds=[as_placed], account_id=account_id, external_id=body.account)[0]
    return Reply(body=answer, status=201, replayed=placed.replayed)


@endpoint(
    ENDPOINTS,
    "POST",
    "/holds/<hold>/capture",
    scopes=(SCOPE,),
    body=CaptureRequest,
    body_optional=True,
    answer=EntryAnswer,
    problems=(402, 404, 409, 422),
)
def capture_hold(session: Session, call: Call[CaptureRequest], *, hold: str) -> Reply:
    """Charge what is held, or part of it; the rest is free again. The hold has ended."""
    external_id, number = split_hold_id(hold)
    body = call.body
    written = ledger.capture_hold(
        session,
        account_id=find_account_id(session, external_id=external_id),
        number=number,
        actor=call.actor,
        idempotency_key=call.idempotency_key,
        amount=body.amount,
        allow_excess=body.allow_excess,
        description=body.description,
        reference=body.reference,
        metadata=body.metadata,
        request=body.model_dump(mode="json"),
    )
    return Reply(body=entry_answer(written.entry, external_id=external_id), replayed=written.replayed)


@endpoint(
    ENDPOINTS,
    "POST",
    "/holds/<hold>/void",
    scopes=(SCOPE,),
    body=VoidRequest,
    body_optional=True,
    answer=HoldAnswer,
    problems=(404, 409, 422),
)
def void_hold(session: Session, call: Call[VoidRequest], *, hold: str) -> Reply:
    """Charge nothing: all that is held is free again. The hold has ended."""
    external_id, number = split_hold_id(hold)
    account_id = find_account_id(session, external_id=external_id)
    voided = ledger.void_hold(
        session, account_id=account_id, number=number, actor=call.actor, idempotency_key=call.idempotency_key
    )
    answer = _answers(session, holds=[voided.hold], account_id=account_id, external_id=external_id)[0]
    return Reply(body=answer, replayed=voided.replayed)


@endpoint(
    ENDPOINTS,
    "GET",
    "/holds/<hold>",
    scopes=READERS,
    answer=HoldAnswer,
    unit=one_snapshot,
    problems=(404,),
)
def get_hold(session: Session, _call: Call[Any], *, hold: str) -> Reply:
    """A hold as it is now: from `expires_at` on it is lapsed, unless it ended before."""
    external_id, number = split_hold_id(hold)
    account_id = find_account_id(session, external_id=external_id)
    found = ledger.get_hold(session, account_id=account_id, number=number)
    return Reply(body=_answers(session, holds=[found], account_id=account_id, external_id=external_id)[0])


@endpoint(
    ENDPOINTS,
    "GET",
    "/accounts/<external_id>/holds",
    scopes=READERS,
    answer=HoldsAnswer,
    query=(Parameter(name="limit", kind="integer", about="Most holds to list.", default=50, high=200),),
    unit=one_snapshot,
    problems=(404,),
)
def list_holds(session: Session, call: Call[Any], *, external_id: str) -> Reply:
    """What is reserved now, in the order in which it lapses."""
    account_id = find_account_id(session, external_id=check_external_id(external_id))
    found = ledger.open_holds(session, account_id=account_id, limit=call.query["limit"])
    data = _answers(session, holds=found, account_id=account_id, external_id=external_id)
    return Reply(body=HoldsAnswer(data=data))


_PLACED = text("SELECT 1 FROM ledger.holds_v WHERE account_id = :account_id AND idempotency_key = :key")
_SOURCES = text(
    "SELECT grant_id, source, source_key, expires_at FROM ledger.grants_v"
    " WHERE account_id = :account_id AND grant_id = ANY (:grant_ids)"
)


def _was_placed(session: Session, *, account_id: int, key: str) -> bool:
    return session.execute(_PLACED, {"account_id": account_id, "key": key}).first() is not None


def _answers(session: Session, *, holds: Sequence[ledger.Hold], account_id: int, external_id: str) -> list[HoldAnswer]:
    """The holds with where their credits come from, in one more statement for all of them."""
    grant_ids = list({grant_id for hold in holds for grant_id in hold.drawn_grants})
    rows = session.execute(_SOURCES, {"account_id": account_id, "grant_ids": grant_ids}) if grant_ids else ()
    grants = {row.grant_id: SourceOfCredits(*row) for row in rows}
    return [hold_answer(hold, external_id=external_id, grants=grants) for hold in holds]
