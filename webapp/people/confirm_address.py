"""Confirming an address: a link by mail, signed and good for three days, that has its effect once.

The link says who, which address and until when; nothing is kept of it. It works once, because an address that is
confirmed stays so: opening the link again only says that.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import clock, outbox
from webapp.people.user import User

VALID_FOR = timedelta(days=3)
ONE_MAIL_PER = timedelta(minutes=1)


class LinkUnusable(Exception):
    """We did not make the link, it is too old, or the person has another address now."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Whose address the link confirms, and whether that was done before."""

    user: User
    confirmed: bool


def request_confirmation(session: Session, *, user: User) -> None:
    """A mail with a link is on its way, at most one a minute; none to who has confirmed."""
    if user.confirmed_at is not None:
        return
    minute = int(clock.now().timestamp() // ONE_MAIL_PER.total_seconds())
    outbox.put(
        session,
        job="send_mail",
        key=f"confirm-address:{user.id}:{minute}",
        args={"mail": "confirm_address", "user_id": user.id},
    )


def make_token(user: User, *, secret_key: str) -> str:
    """What the link ends with, valid from now on."""
    ends_at = int((clock.now() + VALID_FOR).timestamp())
    token: str = _signer(secret_key).dumps([user.external_id, _digest(user), ends_at])
    return token


def asked_by(session: Session, *, token: str, secret_key: str) -> Asked:
    """What the link is about; it uses nothing up. Raises LinkUnusable."""
    return _asked(session, token, secret_key, lock=False)


def confirm_address(session: Session, *, token: str, secret_key: str) -> Asked:
    """The address of the link's person is confirmed; `confirmed` says whether it was before.

    Locks the person. Raises LinkUnusable; nothing was written then.
    """
    asked = _asked(session, token, secret_key, lock=True)
    if not asked.confirmed:
        asked.user.confirmed_at = clock.now()
        session.flush()
    return asked


def _asked(session: Session, token: str, secret_key: str, *, lock: bool) -> Asked:
    try:
        external_id, digest, ends_at = _signer(secret_key).loads(token)
    except BadSignature:
        raise LinkUnusable from None
    query = select(User).where(User.external_id == external_id).execution_options(populate_existing=True)
    user = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if user is None or _digest(user) != digest or datetime.fromtimestamp(ends_at, UTC) <= clock.now():
        raise LinkUnusable
    return Asked(user=user, confirmed=user.confirmed_at is not None)


def _digest(user: User) -> str:
    return hashlib.sha256(user.email_key.encode()).hexdigest()[:32]


def _signer(secret_key: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret_key, salt="confirm-address")
