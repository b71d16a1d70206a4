"""Grants: the product gives credits."""

from typing import Annotated

from pydantic import Field
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.answers import GrantEntryAnswer, members_of
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.fields import Credits, ExternalId, FeatureKey, LongText, Request, ShortText, Time
from webapp.api.identifiers import find_account_id

ENDPOINTS: list[Endpoint] = []


class GrantRequest(Request):
    """One lot of credits. `source_key` is your own name for it: it exists once."""

    account: ExternalId
    amount: Credits
    expires_at: Time | None = None
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    features: Annotated[list[FeatureKey], Field(min_length=1, max_length=100)] | None = None
    reason: LongText
    source_key: ShortText | None = None


@endpoint(
    ENDPOINTS,
    "POST",
    "/grants",
    scopes=("credits:grant",),
    body=GrantRequest,
    answer=GrantEntryAnswer,
    status=201,
    problems=(404, 409, 422),
)
def create_grant(session: Session, call: Call[GrantRequest]) -> Reply:
    """Give credits. The same `source_key` again answers 200 with the first entry, other content under it 409."""
    body = call.body
    written = ledger.grant(
        session,
        account_id=find_account_id(session, external_id=body.account),
        amount=body.amount,
        source="api",
        actor=call.actor,
        source_key=body.source_key,
        expires_at=body.expires_at,
        priority=body.priority,
        features=body.features,
        description=body.reason,
        idempotency_key=call.idempotency_key,
    )
    members = members_of(written.entry, external_id=body.account)
    answer = GrantEntryAnswer.model_construct(**members, grant=written.entry.seq)
    # Under its own key a request is answered as it was the first time; under another one it made nothing.
    made_by_this_key = written.entry.idempotency_key == call.idempotency_key
    return Reply(
        body=answer,
        status=201 if made_by_this_key else 200,
        replayed=written.replayed,
    )
