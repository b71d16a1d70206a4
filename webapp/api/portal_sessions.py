"""Portal sessions: the product leads its user to the account's pages, and the balance into a frame of its own."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from flask import current_app
from flask_babel import gettext as _
from pydantic import Field
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.answers import Answer, UtcTime
from webapp.api.checkout_sessions import WebAddress
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.fields import ExternalId, Request
from webapp.api.identifiers import check_external_id, find_account_id
from webapp.api.problems import invalid
from webapp.api.remembered import remembered
from webapp.api.times import read_time, write_time
from webapp.api.unit import own_units
from webapp.config import Settings, origin_of
from webapp.database import unit_of_work
from webapp.i18n.locale import match_tag
from webapp.people import portal_session
from webapp.people.balance_frame import LONGEST_SECONDS, sign_frame
from webapp.people.sessions import now

ENDPOINTS: list[Endpoint] = []

SCOPE = "portal:write"
Locale = Annotated[
    str, Field(min_length=2, max_length=35, json_schema_extra={"pattern": "^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$"})
]


class PortalSessionRequest(Request):
    """Whose pages, where they lead back to, in which language and on which page the user begins.

    The origin of `return_url` must be one of `PORTAL_RETURN_ORIGINS`. A `locale` that is not offered is served by the
    nearest one, or by what the browser prefers.
    """

    account: ExternalId
    return_url: WebAddress
    locale: Locale | None = None
    page: Literal["credits", "history", "usage", "plan", "pricing"] = "credits"


class PortalSessionAnswer(Answer):
    """A link that works once until `expires_at`."""

    url: str
    expires_at: UtcTime


class OpenPortalSessionAnswer(Answer):
    """Somebody is in the account's pages by way of the product."""

    id: int
    return_url: str
    opened_at: UtcTime
    last_seen_at: UtcTime
    expires_at: UtcTime
    ip: str
    user_agent: str


class OpenPortalSessionsAnswer(Answer):
    """The ones that are open now, the one used last first."""

    data: list[OpenPortalSessionAnswer]


class EndedAnswer(Answer):
    """How many sessions and links are over."""

    ended: int


class BalanceFragmentRequest(Request):
    """Whose balance, in which language, and for how many seconds."""

    account: ExternalId
    locale: Locale | None = None
    expires_in: Annotated[int, Field(ge=60, le=LONGEST_SECONDS)] = 3_600


class BalanceFragmentAnswer(Answer):
    """The address of a small page with the live balance, which pages of `origins` may frame until `expires_at`."""

    url: str
    expires_at: UtcTime
    origins: list[str]


@endpoint(
    ENDPOINTS,
    "POST",
    "/portal-sessions",
    scopes=(SCOPE,),
    body=PortalSessionRequest,
    answer=PortalSessionAnswer,
    status=201,
    unit=own_units,
    problems=(404, 422),
)
def create_portal_session(_session: Session, call: Call[PortalSessionRequest]) -> Reply:
    """Send your user's browser to `url` within five minutes: they are in the pages of the account, without a log-in.

    They see what it has, buy for it and see to its plan; password and address of a person are out of reach.
    """
    settings = _settings()
    _check_return(call.body.return_url, settings)
    with unit_of_work() as session:
        account_id = find_account_id(session, external_id=call.body.account)
        made = remembered(
            session,
            resource=f"portal:{call.body.account}",
            key=call.idempotency_key,
            request=call.body.model_dump(mode="json"),
            work=lambda: Reply(body=_make_link(session, call, account_id=account_id), status=201),
        )
    assert isinstance(made.body, str)
    kept = json.loads(made.body)
    token = portal_session.token_of(kept["seed"], secret_key=settings.secret_key)
    url = f"{settings.base_url}/portal/{token}"
    answer = PortalSessionAnswer(url=url, expires_at=read_time(kept["expires_at"]))
    return Reply(body=answer, status=201, replayed=made.replayed)


def _make_link(session: Session, call: Call[PortalSessionRequest], *, account_id: int) -> str:
    """What is kept of the answer: without the secret key nobody can make the URL of it."""
    account = ledger.get_account(session, account_id=account_id)
    link = portal_session.make_link(
        session,
        account_id=account_id,
        external_id=call.body.account,
        name=account.name or "",
        time_zone=account.time_zone,
        locale=match_tag(call.body.locale),
        page=call.body.page,
        return_url=call.body.return_url,
        made_by=call.actor,
        secret_key=_settings().secret_key,
    )
    return json.dumps({"seed": link.seed, "expires_at": write_time(link.expires_at)})


def _check_return(url: str, settings: Settings) -> None:
    """In sandbox mode every site will do until some are named."""
    allowed = settings.portal_return_origins
    if settings.sandbox and not allowed:
        return
    if origin_of(url) not in (*allowed, origin_of(settings.base_url)):
        parts = urlsplit(url)
        detail = _("PORTAL_RETURN_ORIGINS does not name %(origin)s.", origin=f"{parts.scheme}://{parts.netloc}")
        raise invalid(detail, field="return_url")


@endpoint(
    ENDPOINTS,
    "GET",
    "/accounts/<external_id>/portal-sessions",
    scopes=(SCOPE, "accounts:read"),
    answer=OpenPortalSessionsAnswer,
    problems=(404,),
)
def list_portal_sessions(session: Session, _call: Call[Any], *, external_id: str) -> Reply:
    """Who is in the account's pages by way of the product now."""
    account_id = find_account_id(session, external_id=check_external_id(external_id))
    rows = portal_session.list_portal_sessions(session, account_id=account_id)
    data = [
        OpenPortalSessionAnswer(
            id=row.id,
            return_url=row.return_url,
            opened_at=row.opened_at or row.created_at,
            last_seen_at=row.last_seen_at or row.created_at,
            expires_at=row.expires_at,
            ip=row.ip,
            user_agent=row.user_agent,
        )
        for row in rows
    ]
    return Reply(body=OpenPortalSessionsAnswer(data=data))


@endpoint(
    ENDPOINTS,
    "POST",
    "/accounts/<external_id>/portal-sessions/end",
    scopes=(SCOPE,),
    answer=EndedAnswer,
    unit=own_units,
    problems=(404, 422),
)
def end_portal_sessions(_session: Session, call: Call[Any], *, external_id: str) -> Reply:
    """All portal sessions of the account are over, and links that nobody opened yet: your user has logged out."""
    with unit_of_work() as session:
        account_id = find_account_id(session, external_id=check_external_id(external_id))
        return remembered(
            session,
            resource=f"portal-end:{external_id}",
            key=call.idempotency_key,
            request=None,
            work=lambda: Reply(body=EndedAnswer(ended=portal_session.end_all(session, account_id=account_id))),
        )


@endpoint(
    ENDPOINTS,
    "POST",
    "/balance-fragments",
    scopes=(SCOPE, "accounts:read"),
    body=BalanceFragmentRequest,
    answer=BalanceFragmentAnswer,
    is_write=False,
    problems=(404,),
)
def create_balance_fragment(session: Session, call: Call[BalanceFragmentRequest]) -> Reply:
    """The address of a small page with the account's live balance, for an iframe of yours; changes nothing.

    Pages of the origins in `EMBED_ORIGINS` may frame it, and no others.
    """
    settings = _settings()
    account_id = find_account_id(session, external_id=call.body.account)
    expires_at = (now() + timedelta(seconds=call.body.expires_in)).replace(microsecond=0)
    token = sign_frame(
        account_id=account_id,
        locale=match_tag(call.body.locale),
        expires_at=expires_at,
        secret_key=settings.secret_key,
    )
    answer = BalanceFragmentAnswer(
        url=f"{settings.base_url}/embed/balance?t={token}",
        expires_at=datetime.fromtimestamp(expires_at.timestamp(), UTC),
        origins=list(settings.embed_origins),
    )
    return Reply(body=answer)


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings
