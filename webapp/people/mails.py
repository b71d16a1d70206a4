"""What people are told by mail about their log-in, in their own language."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.config import Settings
from webapp.i18n.locale import current_tag, text_direction, use_locale
from webapp.people.confirm_address import VALID_FOR as CONFIRM_WITHIN
from webapp.people.confirm_address import make_token
from webapp.people.password_reset import VALID_FOR, issue_token
from webapp.people.user import User


@dataclass(frozen=True)
class Mail:
    """A mail that is ready to go, as text and as HTML. `unsubscribe` is where one click stops mails of its kind."""

    to: str
    subject: str
    text: str
    locale: str
    unsubscribe: str | None = None
    html: str | None = None


def password_reset(session: Session, *, settings: Settings, email_key: str) -> Mail | None:
    """The mail with a new link, valid from now; None when nobody has this address."""
    user = session.scalars(select(User).where(User.email_key == email_key)).one_or_none()
    if user is None:
        return None
    token = issue_token(session, user_id=user.id)
    with use_locale(user.locale):
        return write_mail(
            "password_reset",
            user=user,
            subject=_("Choose a new password for %(brand)s", brand=settings.brand_name),
            preheader=_("If it was not you, ignore this mail: your password stays as it is."),
            link=f"{settings.base_url}/reset-password/{token}",
            minutes=int(VALID_FOR.total_seconds() // 60),
        )


def password_changed(session: Session, *, settings: Settings, user_id: int) -> Mail | None:
    """The mail that tells somebody that their password was changed; None when they are gone."""
    user = session.get(User, user_id)
    if user is None:
        return None
    with use_locale(user.locale):
        return write_mail(
            "password_changed",
            user=user,
            subject=_("Your %(brand)s password was changed", brand=settings.brand_name),
            preheader=_("If it was not you, choose a new password at once:"),
            link=f"{settings.base_url}/forgot-password",
        )


def confirm_address(session: Session, *, settings: Settings, user_id: int) -> Mail | None:
    """The mail with a link that confirms the address, valid from now; None when it is confirmed or nobody's."""
    user = session.get(User, user_id)
    if user is None or user.confirmed_at is not None:
        return None
    with use_locale(user.locale):
        return write_mail(
            "confirm_address",
            user=user,
            subject=_("Confirm your address for %(brand)s", brand=settings.brand_name),
            preheader=_("If you have no account with us, ignore this mail: somebody mistyped their address."),
            link=f"{settings.base_url}/confirm-address/{make_token(user, secret_key=settings.secret_key)}",
            days=CONFIRM_WITHIN.days,
        )


def write_mail(
    name: str, *, user: User, subject: str, preheader: str, unsubscribe: str | None = None, **values: Any
) -> Mail:
    """The mail of `templates/mail/<name>.txt` and `.html`, in the locale in use, with these values in both.

    `preheader` is what an inbox shows beside the subject. Without what pages share, for a job has no request.
    """
    templates = current_app.jinja_env
    given = values | {
        "name": user.name,
        "subject": subject,
        "preheader": preheader,
        "unsubscribe": unsubscribe,
        "lang": current_tag(),
        "direction": text_direction(),
    }
    return Mail(
        to=user.email,
        subject=subject,
        text=_no_gaps(templates.get_template(f"mail/{name}.txt").render(given)),
        html=templates.get_template(f"mail/{name}.html").render(given),
        locale=user.locale,
        unsubscribe=unsubscribe,
    )


def _no_gaps(text: str) -> str:
    """Of many empty lines, which templates leave, one."""
    return re.sub(r"\n\s*\n", "\n\n", text).strip() + "\n"


# What the `mail` of an outbox row's args may name.
MAILS: dict[str, Callable[..., Mail | None]] = {
    "password_reset": password_reset,
    "password_changed": password_changed,
    "confirm_address": confirm_address,
}
