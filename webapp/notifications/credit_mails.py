"""What people are told by mail about their credits, in their own language and time zone."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.naming import grant_name, shorten
from webapp.config import Settings
from webapp.i18n.formats import credits_number, day
from webapp.i18n.locale import known_zone, use_locale
from webapp.notifications.unsubscribe import link
from webapp.people.mails import Mail, write_mail
from webapp.people.user import User

# However many grants end on one day, a mail stays one that people read.
MOST_LINES = 20
PAGES = {
    "credits_granted": "/credits",
    "credits_expiring": "/credits",
    "credits_expired": "/credits/history?kind=expire",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """`credits` of the grant called `name`, which ends or ended on `day`; None is never."""

    credits: str
    name: str
    day: str | None


def credits_expiring(
    session: Session, *, settings: Settings, user_id: int, account_id: int, grants: list[list[int]]
) -> Mail | None:
    """These grants end soon, and so much of each would be lost; None when the person wants no such mails."""
    return _about(session, "credits_expiring", _expiring, settings=settings, user_id=user_id, grants=grants)


def credits_expired(
    session: Session, *, settings: Settings, user_id: int, account_id: int, grants: list[list[int]]
) -> Mail | None:
    """These grants have ended, and so much of each was lost; None when the person wants no such mails."""
    return _about(session, "credits_expired", _expired, settings=settings, user_id=user_id, grants=grants)


def credits_granted(
    session: Session, *, settings: Settings, user_id: int, account_id: int, grants: list[list[int]]
) -> Mail | None:
    """These grants have come; None when the person wants no such mails."""
    return _about(session, "credits_granted", _granted, settings=settings, user_id=user_id, grants=grants)


def _expiring(credits: int) -> str:
    subject: str = ngettext(
        "%(amount)s credit expires soon", "%(amount)s credits expire soon", credits, **_amount(credits)
    )
    return subject


def _expired(credits: int) -> str:
    subject: str = ngettext(
        "%(amount)s credit has expired", "%(amount)s credits have expired", credits, **_amount(credits)
    )
    return subject


def _granted(credits: int) -> str:
    subject: str = ngettext(
        "You have %(amount)s new credit", "You have %(amount)s new credits", credits, **_amount(credits)
    )
    return subject


def _amount(credits: int) -> dict[str, str]:
    return {"amount": credits_number(credits)}


def _about(
    session: Session,
    template: str,
    subject: Callable[[int], str],
    *,
    settings: Settings,
    user_id: int,
    grants: list[list[int]],
) -> Mail | None:
    user = session.get(User, user_id)
    if user is None or not user.credit_mails:
        return None
    zone = known_zone(user.time_zone)
    with use_locale(user.locale):
        lines = []
        for grant_id, credits in grants[:MOST_LINES]:
            grant = ledger.get_grant(session, account_id=user.account_id, grant_id=grant_id)
            ends = _day(grant.expires_at, zone)
            lines.append(Line(credits=credits_number(credits), name=shorten(grant_name(grant), 60), day=ends))
        balance = credits_number(ledger.balance(session, account_id=user.account_id).balance)
        return write_mail(
            template,
            user=user,
            subject=subject(sum(credits for _grant_id, credits in grants)),
            preheader=_("Your balance is %(balance)s.", balance=balance),
            unsubscribe=link(settings, user=user),
            lines=lines,
            more=max(0, len(grants) - MOST_LINES),
            balance=balance,
            link=settings.base_url + PAGES[template],
            settings_link=f"{settings.base_url}/settings",
        )


def _day(moment: datetime | None, zone: object) -> str | None:
    return None if moment is None else day(moment.astimezone(zone).date())  # type: ignore[arg-type]


# What the `mail` of an outbox row's args may name.
CREDIT_MAILS: dict[str, Callable[..., Mail | None]] = {
    "credits_expiring": credits_expiring,
    "credits_expired": credits_expired,
    "credits_granted": credits_granted,
}
