"""What people say about themselves: name, language, time zone, and which credits go first."""

import unicodedata
import zoneinfo
from functools import cache

from sqlalchemy.orm import Session

from webapp import ledger
from webapp.people.user import User

MOST_NAME_CHARACTERS = 100
SPEND_ORDERS = ("free_first", "paid_first")


class BadName(Exception):
    """Not a name that could be shown; `reason` is `too_long` or `malformed`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class BadTimeZone(Exception):
    """Not an IANA time zone that both this machine and PostgreSQL know."""


def check_name(name: str) -> str:
    """The name, trimmed and composed; it may be empty. Raises BadName.

    Control characters and those that turn the reading direction around are refused, so that a name can stand in
    any sentence; the joiners that Persian and emoji need are not.
    """
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if len(name) > MOST_NAME_CHARACTERS:
        raise BadName("too_long")
    if any(_harms_a_sentence(character) for character in name):
        raise BadName("malformed")
    return name


def _harms_a_sentence(character: str) -> bool:
    if character in "\u200c\u200d":
        return False
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co"}


@cache
def time_zones() -> tuple[str, ...]:
    """The IANA time zones that one may choose, in alphabetical order."""
    return tuple(sorted(zone for zone in zoneinfo.available_timezones() if _is_place(zone)))


def _is_place(zone: str) -> bool:
    return zone == "UTC" or ("/" in zone and zone.split("/")[0] not in {"Etc", "SystemV", "posix", "right"})


def check_time_zone(time_zone: str) -> None:
    """Raises BadTimeZone for anything but one of `time_zones()`."""
    if time_zone not in time_zones():
        raise BadTimeZone(time_zone)


def change_profile(
    session: Session,
    *,
    user_id: int,
    name: str,
    locale: str,
    time_zone: str,
    spend_order: str,
    credit_mails: bool | None = None,
) -> User:
    """The person has that name, language and time zone, and so has their account; credits go in that order.

    `credit_mails` says whether they want mails about their credits; None leaves it. `locale` is one that the site
    has, `spend_order` one of SPEND_ORDERS. Locks the user, then the account. Raises BadName, BadTimeZone,
    ledger.InvalidRequest; nothing was written then.
    """
    name = check_name(name)
    check_time_zone(time_zone)
    user = session.get_one(User, user_id, with_for_update=True)
    try:
        ledger.open_account(session, external_id=user.external_id, name=name, time_zone=time_zone)
    except ledger.InvalidRequest as refusal:
        if refusal.field == "time_zone":
            raise BadTimeZone(time_zone) from None
        raise
    ledger.set_spend_order(session, account_id=user.account_id, spend_order=spend_order)
    user.name, user.locale, user.time_zone = name, locale, time_zone
    if credit_mails is not None:
        user.credit_mails = credit_mails
    return user


def change_locale(session: Session, *, user_id: int, locale: str) -> None:
    """The person reads in that language from now on; `locale` is one that the site has."""
    session.get_one(User, user_id).locale = locale
