"""Queued usage: stored at once, charged soon, in order for each account. For callers who cannot wait."""

from collections import Counter
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.api.batches import MOST_BODY_BYTES, BatchItem, BatchRequest, as_spends, read_item, refuse_too_many
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.identifiers import check_external_id, find_account_id
from webapp.api.problems import Problem, body_of
from webapp.api.query import Parameter
from webapp.api.refusals import problem_of_refusal
from webapp.api.strict_json import read_batch
from webapp.api.usage_answers import (
    AcceptedItemAnswer,
    RejectedItemAnswer,
    UsageAcceptedAnswer,
    UsageBatchAnswer,
    UsageListAnswer,
    event_answer,
    results_url,
)
from webapp.usage.accepting import accept_usage
from webapp.usage.event import STATES
from webapp.usage.reading import events_of_account, events_of_batch

ENDPOINTS: list[Endpoint] = []


@endpoint(
    ENDPOINTS,
    "POST",
    "/usage",
    scopes=("credits:spend",),
    body=BatchRequest,
    answer=UsageAcceptedAnswer,
    status=202,
    is_write=False,  # each item has a key of its own
    read_body=read_batch,
    most_body_bytes=MOST_BODY_BYTES,
    parts=(BatchItem,),
)
def queue_usage(session: Session, call: Call[BatchRequest]) -> Reply:
    """Up to 1,000 spends are stored and charged soon, those of one account in the order in which they came."""
    read = refuse_too_many([read_item(item, place) for place, item in enumerate(call.body.items)])
    items = [one for one in read if isinstance(one, BatchItem)]
    spends = iter(as_spends(session, items, actor=call.actor, refuse_suspended=False))
    events = [_storable(next(spends)) if isinstance(one, BatchItem) else one for one in read]
    refused = {place: body_of(one) for place, one in enumerate(events) if isinstance(one, Problem)}
    batch = accept_usage(
        session,
        events=[refused[place] if isinstance(one, Problem) else one for place, one in enumerate(events)],
    )
    answer = UsageAcceptedAnswer.model_construct(
        batch=str(batch),
        accepted=len(events) - len(refused),
        results_url=results_url(str(batch)),
        results=[_result(refused.get(place)) for place in range(len(events))],
    )
    return Reply(body=answer, status=202)


@endpoint(
    ENDPOINTS,
    "GET",
    "/usage/<batch>",
    scopes=("credits:spend", "accounts:read"),
    answer=UsageBatchAnswer,
    problems=(404,),
)
def get_usage(session: Session, _call: Call[Any], *, batch: str) -> Reply:
    """What became of the items of a batch, until 90 days after they were charged or rejected."""
    found = events_of_batch(session, batch=_batch_id(batch))
    if not found:
        raise _no_such_batch()
    states = Counter(event.state for event, _name in found)
    answer = UsageBatchAnswer.model_construct(
        batch=str(found[0][0].batch),
        pending=states["pending"],
        charged=states["charged"],
        parked=states["parked"],
        rejected=states["rejected"],
        results=[event_answer(event, external_id=name) for event, name in found],
    )
    return Reply(body=answer)


@endpoint(
    ENDPOINTS,
    "GET",
    "/accounts/<external_id>/usage",
    scopes=("accounts:read",),
    answer=UsageListAnswer,
    query=(
        Parameter(name="limit", kind="integer", about="Most events of a page.", default=50, high=200),
        Parameter(name="cursor", kind="integer", about="The `next_cursor` of the page before."),
        Parameter(name="state", kind="choice", about="Events in this state only.", choices=STATES),
    ),
    problems=(404,),
)
def list_usage(session: Session, call: Call[Any], *, external_id: str) -> Reply:
    """An account's queued usage, newest first."""
    limit = call.query["limit"]
    events = events_of_account(
        session,
        account_id=find_account_id(session, external_id=check_external_id(external_id)),
        state=call.query["state"],
        before=call.query["cursor"],
        limit=limit + 1,
    )
    data = [event_answer(event, external_id=external_id) for event in events[:limit]]
    cursor = str(events[limit - 1].id) if len(events) > limit else None
    return Reply(body=UsageListAnswer.model_construct(data=data, next_cursor=cursor))


def _storable(spend: ledger.SpendItem | Problem) -> ledger.SpendItem | Problem:
    """What can be stored is not refused later for what could be seen now."""
    if isinstance(spend, Problem):
        return spend
    try:
        if spend.occurred_at is not None and spend.occurred_at > clock.now():
            raise ledger.InvalidRequest("must not lie in the future", field="occurred_at")
        spend.arguments()
    except ledger.InvalidRequest as refusal:
        return problem_of_refusal(refusal)
    return spend


def _result(problem: dict[str, Any] | None) -> AcceptedItemAnswer | RejectedItemAnswer:
    if problem is None:
        return AcceptedItemAnswer.model_construct(status="pending")
    return RejectedItemAnswer.model_construct(status="rejected", problem=problem)


def _batch_id(written: str) -> UUID:
    """Raises 404 for what names no batch."""
    try:
        return UUID(written)
    except ValueError:
        raise _no_such_batch() from None


def _no_such_batch() -> Problem:
    return Problem(404, "not_found", _("There is nothing at this address."))
