"""Signing up: a person, their ledger account and their first credits, all or nothing."""

import base64
import secrets
from datetime import timedelta

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.people.email_address import parse_email
from webapp.people.passwords import hash_password
from webapp.people.profile import check_name, check_time_zone
from webapp.people.user import ROLES, User


class EmailTaken(Exception):
    """There is already somebody with this address."""


def N_(text: str) -> str:
    """Marks a text for translators that is stored in English and translated when it is shown."""
    return text


SIGN_UP_GRANT = N_("Welcome credits")


def sign_up(
    session: Session,
    *,
    email: str,
    password: str,
    name: str = "",
    locale: str = "en",
    time_zone: str = "UTC",
    role: str | None = None,
    credits: int = 0,
    credits_days: int | None = None,
) -> User:
    """There is a new person with an account of their own, holding `credits` that expire after `credits_days`.

    0 credits grant nothing, None days is never. `locale` is a BCP 47 tag that the site has. Raises EmailTaken,
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
        if credits > 0:
            _grant_welcome(session, account=account, credits=credits, credits_days=credits_days)
    return session.get_one(User, user_id)


def new_external_id() -> str:
    """What the product calls this person: `usr_` and 80 random bits in lower-case base32."""
    return "usr_" + base64.b32encode(secrets.token_bytes(10)).decode("ascii").lower()


def _grant_welcome(session: Session, *, account: ledger.Account, credits: int, credits_days: int | None) -> None:
    expires_at = None if credits_days is None else clock.now() + timedelta(days=credits_days)
    ledger.grant(
        session,
        account_id=account.account_id,
        amount=credits,
        source="sign-up",
        source_key=f"sign-up:{account.external_id}",
        expires_at=expires_at,
        description=SIGN_UP_GRANT,
        actor="sign-up",
    )
