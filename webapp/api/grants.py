"""Grants: the product gives credits."""

from typing import Annotated

from flask_babel import gettext as _
from pydantic import Field
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.answers import GrantEntryAnswer, members_of
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.fields import Credits, ExternalId, FeatureKey, LongText, Request, ShortText, Time
from webapp.api.identifiers import find_account_id
from webapp.api.problems import invalid
from webapp.catalog.rate_card import Feature

ENDPOINTS: list[Endpoint] = []


class GrantRequest(Request):
    """One lot of credits. `source_key` is your own name for it: it exists once.

    One that is told late counts from `occurred_at`, and may have expired meanwhile.
    """

    account: ExternalId
    amount: Credits
    expires_at: Time | None = None
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    features: Annotated[list[FeatureKey], Field(min_length=1, max_length=100)] | None = None
    reason: LongText
    source_key: ShortText | None = None
    occurred_at: Time | None = None


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
    account_id = find_account_id(session, external_id=body.account)
    if body.features is not None:
        _refuse_unknown(session, body.features, booked=(account_id, call.idempotency_key, body.source_key))
    written = ledger.grant(
        session,
        account_id=account_id,
        amount=body.amount,
        source="api",
        actor=call.actor,
        source_key=body.source_key,
        expires_at=body.expires_at,
        priority=body.priority,
        features=body.features,
        description=body.reason,
        idempotency_key=call.idempotency_key,
        occurred_at=body.occurred_at,
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


_BOOKED = text(
    "SELECT 1 FROM ledger.entries_v WHERE account_id = :account_id AND idempotency_key = :key UNION ALL"
    " SELECT 1 FROM ledger.grants_v WHERE account_id = :account_id AND source_key = :source_key"
)


def _refuse_unknown(session: Session, features: list[str], *, booked: tuple[int, str, str | None]) -> None:
    """Raises 400 naming a feature that does not exist: a grant for it would pay for nothing.

    What was granted once is answered again, even if the feature is gone by now.
    """
    known = set(session.scalars(select(Feature.key).where(Feature.key.in_(features))))
    unknown = [place for place, feature in enumerate(features) if feature not in known]
    if not unknown:
        return
    account_id, key, source_key = booked
    if session.execute(_BOOKED, {"account_id": account_id, "key": key, "source_key": source_key}).first() is None:
        detail = _("There is no feature “%(feature)s”.", feature=features[unknown[0]])
        raise invalid(detail, field=f"features.{unknown[0]}")
