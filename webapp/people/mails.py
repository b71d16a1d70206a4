"""What people are told by mail about their log-in, in their own language."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.config import Settings
from webapp.i18n.locale import use_locale
from webapp.people.password_reset import VALID_FOR, issue_token
from webapp.people.user import User


@dataclass(frozen=True)
class Mail:
    """A mail that is ready to go. `unsubscribe` is where one click stops mails of its kind."""

    to: str
    subject: str
    text: str
    locale: str
    unsubscribe: str | None = None


def password_reset(session: Session, *, settings: Settings, email_key: str) -> Mail | None:
    """The mail with a new link, valid from now; None when nobody has this address."""
    user = session.scalars(select(User).where(User.email_key == email_key)).one_or_none()
    if user is None:
        return None
    token = issue_token(session, user_id=user.id)
    with use_locale(user.locale):
        return Mail(
            to=user.email,
            subject=_("Choose a new password for Tallystick"),
            text=render(
                "mail/password_reset.txt",
                name=user.name,
                link=f"{settings.base_url}/reset-password/{token}",
                minutes=int(VALID_FOR.total_seconds() // 60),
            ),
            locale=user.locale,
        )


def password_changed(session: Session, *, settings: Settings, user_id: int) -> Mail | None:
    """The mail that tells somebody that their password was changed; None when they are gone."""
    user = session.get(User, user_id)
    if user is None:
        return None
    with use_locale(user.locale):
        return Mail(
            to=user.email,
            subject=_("Your Tallystick password was changed"),
            text=render("mail/password_changed.txt", name=user.name, link=f"{settings.base_url}/forgot-password"),
            locale=user.locale,
        )


def render(template: str, **values: Any) -> str:
    """The text of a mail; without what pages share, for a job has no request."""
    return current_app.jinja_env.get_template(template).render(**values)


# What the `mail` of an outbox row's args may name.
MAILS: dict[str, Callable[..., Mail | None]] = {
    "password_reset": password_reset,
    "password_changed": password_changed,
}
