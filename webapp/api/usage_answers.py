"""What is said of queued usage: on arrival, and of what became of it."""

from typing import Annotated, Any

from flask import current_app
from flask_babel import gettext as _
from pydantic import WithJsonSchema

from webapp import ledger
from webapp.api.answers import Answer, UtcTime
from webapp.api.fields import described_as
from webapp.api.problems import Problem, body_of
from webapp.api.refusals import problem_of_refusal
from webapp.catalog.metering import LimitReached
from webapp.config import Settings
from webapp.people.suspension import AccountSuspended
from webapp.usage.event import STATES, UsageEvent

UsageState = Annotated[str, WithJsonSchema({"type": "string", "enum": list(STATES)})]
StoredProblem = Annotated[dict[str, Any], described_as("Problem")]


class AcceptedItemAnswer(Answer):
    """An item that is stored, to be charged soon."""

    status: Annotated[str, WithJsonSchema({"type": "string", "const": "pending"})]


class RejectedItemAnswer(Answer):
    """An item that is refused, with the problem that it would have been answered by itself."""

    status: Annotated[str, WithJsonSchema({"type": "string", "const": "rejected"})]
    problem: StoredProblem


class UsageAcceptedAnswer(Answer):
    """`accepted` of the items are stored; `results` has all, in their order. What became of them: at `results_url`."""

    batch: str
    accepted: int
    results_url: str
    results: list[AcceptedItemAnswer | RejectedItemAnswer]


class UsageEventAnswer(Answer):
    """A queued spend: pending, charged as `entry`, parked until it can be paid, or rejected for good (`problem`).

    `cost` is in credits, by the rate card that was in force on arrival. `replayed` says that an earlier request with
    the idempotency key had made the entry. Of an item that was refused on arrival, only `problem` is known.
    """

    batch: str
    position: int
    status: UsageState
    account: str | None
    idempotency_key: str | None
    feature: str | None
    quantity: int | None
    cost: int | None
    reference: str | None
    entry: str | None
    replayed: bool
    problem: StoredProblem | None
    accepted_at: UtcTime


class UsageBatchAnswer(Answer):
    """What became of the items of a batch, in their order, and how many are in which state."""

    batch: str
    pending: int
    charged: int
    parked: int
    rejected: int
    results: list[UsageEventAnswer]


class UsageListAnswer(Answer):
    """A page of an account's usage events, newest first."""

    data: list[UsageEventAnswer]
    next_cursor: str | None


def results_url(batch: str) -> str:
    settings: Settings = current_app.config["SETTINGS"]
    return f"{settings.base_url}/api/v1/usage/{batch}"


def event_answer(event: UsageEvent, *, external_id: str | None) -> UsageEventAnswer:
    """The event as it is now, its problem in the caller's language."""
    return UsageEventAnswer.model_construct(
        batch=str(event.batch),
        position=event.position,
        status=event.state,
        account=external_id,
        idempotency_key=event.idempotency_key,
        feature=event.feature,
        quantity=event.quantity,
        cost=event.amount,
        reference=event.reference,
        entry=None if event.seq is None else f"{external_id}:{event.seq}",
        replayed=bool(event.replayed),
        problem=_problem_of(event) if event.state in ("parked", "rejected") else None,
        accepted_at=event.accepted_at,
    )


_REFUSALS: dict[str, type[ledger.LedgerRefusal]] = {
    kind.code: kind
    for kind in (
        ledger.InsufficientCredits,
        ledger.IdempotencyKeyReused,
        ledger.AccountNotFound,
        AccountSuspended,
        LimitReached,
    )
}


def _problem_of(event: UsageEvent) -> dict[str, Any] | None:
    """What was refused on arrival is told as it was then; what the ledger refused since is told anew.

    No request refused the latter, so the batch stands for one: who reads it twice reads the same.
    """
    refusal = event.refusal
    if refusal is None:
        return None
    if "type" in refusal:
        return refusal
    if refusal["code"] == "failed":
        detail = _("Something went wrong on our side. Try again with the same key: nothing is done twice.")
        problem = Problem(500, "internal_error", detail)
    else:
        kind = _REFUSALS.get(refusal["code"], ledger.InvalidRequest)
        problem = problem_of_refusal(kind(refusal["message"], **refusal.get("data", {})))
    return {**body_of(problem), "request_id": str(event.batch)}
