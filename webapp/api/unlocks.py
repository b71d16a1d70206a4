"""Unlocks: what is there to open, opening it once with credits, and what an account has open."""

from typing import Annotated, Any

from flask_babel import gettext as _
from pydantic import Field
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.fields import ExternalId, Metadata, Request, ShortText
from webapp.api.identifiers import check_external_id, find_account_id
from webapp.api.problems import Problem, language_headers
from webapp.api.unit import one_snapshot
from webapp.api.unlock_answers import OpenedAnswer, OpenedUnlocksAnswer, UnlockAnswer, UnlocksAnswer
from webapp.catalog.unlock import LONGEST_KEY, UnlockNotFound, list_unlocks
from webapp.catalog.unlocking import Opened, open_unlocks, unlock
from webapp.database import unit_of_work
from webapp.i18n.content import translate
from webapp.people.suspension import not_suspended, why_suspended

ENDPOINTS: list[Endpoint] = []

SCOPE = "credits:spend"


class UnlockRequest(Request):
    """Which unlock, by its key, for which account."""

    account: ExternalId
    unlock: Annotated[str, Field(min_length=1, max_length=LONGEST_KEY)]
    reference: ShortText | None = None
    metadata: Metadata | None = None


@endpoint(
    ENDPOINTS,
    "POST",
    "/unlocks",
    scopes=(SCOPE,),
    body=UnlockRequest,
    answer=OpenedAnswer,
    status=201,
    unit=unit_of_work,
    problems=(402, 404, 409, 422),
)
def create_unlock(session: Session, call: Call[UnlockRequest]) -> Reply:
    """Open it for the account: 201 when it was bought, 200 when it is open already, which costs nothing.

    The spend is an ordinary one: refunded in full, it closes what it opened.
    """
    body = call.body
    account_id = find_account_id(session, external_id=body.account)
    try:
        unlocked = unlock(
            session,
            account_id=account_id,
            key=body.unlock,
            idempotency_key=call.idempotency_key,
            actor=call.actor,
            reference=body.reference,
            metadata=body.metadata,
            only_if=not_suspended(account_id),
        )
    except ledger.ConditionFailed:
        raise why_suspended(session, account_id=account_id) from None
    except UnlockNotFound:
        raise Problem(404, "unlock_not_found", _("There is no unlock of that name on offer.")) from None
    status = 201 if unlocked.charged or unlocked.replayed else 200
    answer = _answer(unlocked.opened, external_id=body.account)
    return Reply(body=answer, status=status, replayed=unlocked.replayed, headers=language_headers())


@endpoint(ENDPOINTS, "GET", "/unlocks", answer=UnlocksAnswer, unit=one_snapshot)
def get_unlocks(session: Session, _call: Call[Any]) -> Reply:
    """What can be opened once with credits."""
    data = [
        UnlockAnswer(
            unlock=one.key,
            name=translate("unlock", one.key, one.name),
            description=translate("unlock description", one.key, one.description),
            features=one.features,
            credits=one.credits,
            duration_days=one.duration_days,
        )
        for one in list_unlocks(session)
    ]
    return Reply(body=UnlocksAnswer(data=data), headers=language_headers())


@endpoint(
    ENDPOINTS,
    "GET",
    "/accounts/<external_id>/unlocks",
    scopes=("accounts:read", SCOPE),
    answer=OpenedUnlocksAnswer,
    unit=one_snapshot,
    problems=(404,),
)
def get_unlocks_of_account(session: Session, _call: Call[Any], *, external_id: str) -> Reply:
    """What the account has open now, since when and until when."""
    account_id = find_account_id(session, external_id=check_external_id(external_id))
    opened = open_unlocks(session, account_id=account_id)
    answer = OpenedUnlocksAnswer(
        features=sorted({feature for one in opened for feature in one.features}),
        data=[_answer(one, external_id=external_id) for one in opened],
    )
    return Reply(body=answer, headers=language_headers())


def _answer(one: Opened, *, external_id: str) -> OpenedAnswer:
    return OpenedAnswer(
        account=external_id,
        unlock=one.unlock,
        name=translate("unlock", one.unlock, one.name),
        features=one.features,
        credits=one.credits,
        since=one.since,
        until=one.until,
        entry=f"{external_id}:{one.seq}",
    )
