"""Accounts: open or change one, see what it holds, now or then."""

from datetime import datetime
from typing import Annotated, Any, Literal

from flask_babel import gettext as _
from pydantic import Field
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.answers import AccountAnswer, BalanceAtAnswer, ExpiringAnswer, SuspendedAnswer
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.fields import MOST_CREDITS, Metadata, Request, ShortText
from webapp.api.identifiers import check_external_id, find_account_id
from webapp.api.problems import invalid
from webapp.api.query import Parameter
from webapp.api.remembered import remembered
from webapp.api.unit import one_snapshot
from webapp.database import unit_of_work
from webapp.people.suspension import find_suspension

ENDPOINTS: list[Endpoint] = []

MOST_EXPIRING = 100


class AccountRequest(Request):
    """What to know of an account; what is left out or null stays as it is."""

    name: ShortText | None = None
    kind: Literal["person", "organization"] | None = None
    time_zone: ShortText | None = None
    overdraft_limit: Annotated[int, Field(ge=0, le=MOST_CREDITS)] | None = None
    metadata: Metadata | None = None


@endpoint(
    ENDPOINTS,
    "PUT",
    "/accounts/<external_id>",
    scopes=("accounts:write",),
    body=AccountRequest,
    body_optional=True,
    answer=AccountAnswer,
    unit=unit_of_work,
    problems=(409, 422),
)
def put_account(session: Session, call: Call[AccountRequest], *, external_id: str) -> Reply:
    """Open an account, or change what is known of it: 201 the first time, 200 later."""
    check_external_id(external_id)
    wanted = call.body.model_dump(mode="json")

    def work() -> Reply:
        account, created = ledger.open_account(session, external_id=external_id, **wanted)
        return Reply(body=_answer(session, account), status=201 if created else 200)

    return remembered(session, resource=f"account:{external_id}", key=call.idempotency_key, request=wanted, work=work)


@endpoint(
    ENDPOINTS,
    "GET",
    "/accounts/<external_id>",
    scopes=("accounts:read",),
    answer=AccountAnswer,
    unit=one_snapshot,
    problems=(404,),
)
def get_account(session: Session, _call: Call[Any], *, external_id: str) -> Reply:
    """What an account is and holds now; what has expired is not in it."""
    account = ledger.find_account(session, external_id=check_external_id(external_id))
    return Reply(body=_answer(session, account))


@endpoint(
    ENDPOINTS,
    "GET",
    "/accounts/<external_id>/balance",
    scopes=("accounts:read",),
    answer=BalanceAtAnswer,
    query=(Parameter(name="at", kind="time", about="A past moment; now when it is left out."),),
    unit=one_snapshot,
    problems=(404,),
)
def get_balance(session: Session, call: Call[Any], *, external_id: str) -> Reply:
    """What an account had at the end of a past moment: all that had occurred by then, whenever it was booked."""
    account_id = find_account_id(session, external_id=check_external_id(external_id))
    now = ledger.now(session)
    at = call.query["at"]
    if at is None:
        balance = ledger.balance(session, account_id=account_id)
        return Reply(body=_balance_at(external_id, now, balance), etag=balance.version, etag_is_weak=True)
    if at > now:
        raise invalid(_("“%(field)s” must not lie in the future.", field="at"), field="at")
    figures = session.execute(_FIGURES_AT, {"account_id": account_id, "at": at}).one()
    return Reply(body=_balance_at(external_id, at, figures))


# The figures of `ledger.state_at`, without each grant and hold of the account.
_FIGURES_AT = text("SELECT balance, held, available, debt FROM ledger.account_at(:account_id, :at)")


def _balance_at(external_id: str, at: datetime, figures: ledger.Balance | Row[Any]) -> BalanceAtAnswer:
    return BalanceAtAnswer(
        account=external_id,
        at=at,
        balance=figures.balance,
        held=figures.held,
        available=figures.available,
        debt=figures.debt,
    )


def _answer(session: Session, account: ledger.Account) -> AccountAnswer:
    balance = ledger.balance(session, account_id=account.account_id)
    suspension = find_suspension(session, account_id=account.account_id)
    expiring = ledger.expiring(session, account_id=account.account_id, limit=MOST_EXPIRING)
    return AccountAnswer(
        account=account.external_id,
        external_id=account.external_id,
        name=account.name,
        kind=account.kind,
        time_zone=account.time_zone,
        overdraft_limit=account.overdraft_limit,
        metadata=account.metadata,
        created_at=account.created_at,
        balance=balance.balance,
        held=balance.held,
        available=balance.available,
        debt=balance.debt,
        expiring=[ExpiringAnswer(amount=one.amount, expires_at=one.expires_at) for one in expiring],
        suspended=None if suspension is None else SuspendedAnswer(since=suspension.since, reason=suspension.reason),
        version=balance.version,
    )
