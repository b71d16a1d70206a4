"""Signing up: a person, their ledger account and their first credits, all or nothing."""

import base64
import secrets

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.people.confirm_address import request_confirmation
from webapp.people.email_address import parse_email
from webapp.people.first_credits import Terms, give, promise, waiting
from webapp.people.passwords import hash_password
from webapp.people.profile import check_name, check_time_zone
from webapp.people.user import ROLES, User


class EmailTaken(Exception):
    """There is already somebody with this address."""


def sign_up(
    session: Session,
    *,
    email: str,
    password: str,
    name: str = "",
    locale: str = "en",
    time_zone: str = "UTC",
    role: str | None = None,
    first: Terms | None = None,
) -> User:
    """There is a new person with an account of their own, promised the `first` credits.

    They are there at once, or a mail is on its way by which the address is confirmed first. Nobody gets them who ever
    had some under this address. `locale` is a BCP 47 tag that the site has. Raises EmailTaken,
    BadEmail, BadPassword, BadName, BadTimeZone; nothing was written then. Of simultaneous calls with one address,
    the first wins and the others wait for it, then raise EmailTaken.
    """
    address = parse_email(email)
    password_hash = hash_password(password, email=address.text)
    name = check_name(name)
    check_time_zone(time_zone)
    assert role is None or role in ROLES
    external_id = new_external_id()
    with session.begin_nested():
        account, _ = ledger.open_account(
            session, external_id=external_id, kind="person", name=name or None, time_zone=time_zone
        )
        moment = clock.now()
        user_id = session.execute(
            insert(User)
            .values(
                email=address.text,
                email_key=address.key,
                password_hash=password_hash,
                name=name,
                locale=locale,
                time_zone=time_zone,
                role=role,
                account_id=account.account_id,
                external_id=external_id,
                created_at=moment,
                password_changed_at=moment,
            )
            .on_conflict_do_nothing(index_elements=["email_key"])
            .returning(User.id)
        ).scalar_one_or_none()
        if user_id is None:
            raise EmailTaken
        user = session.get_one(User, user_id)
        if first is not None:
            _welcome(session, user=user, first=first)
    return user


def _welcome(session: Session, *, user: User, first: Terms) -> None:
    promise(session, user=user, terms=first)
    if not first.confirmed_only:
        give(session, user=user)
    elif waiting(session, user=user):
        request_confirmation(session, user=user)


def new_external_id() -> str:
    """What the product calls this person: `usr_` and 80 random bits in lower-case base32."""
    return "usr_" + base64.b32encode(secrets.token_bytes(10)).decode("ascii").lower()
