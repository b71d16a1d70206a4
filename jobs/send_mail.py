"""Write one mail and send it. A mail that was sent while its database transaction failed is sent once more."""

from typing import Any

from flask import current_app
from sqlalchemy.orm import Session

from jobs.attempt import attempt
from webapp.notifications.credit_mails import CREDIT_MAILS
from webapp.notifications.mail import send
from webapp.notifications.payment_mails import PAYMENT_MAILS
from webapp.people.mails import MAILS


def send_mail(row_id: int) -> None:
    """Do the outbox row `row_id`."""
    attempt(row_id, effect)


def effect(session: Session, *, mail: str, **args: Any) -> None:
    """The mail named `mail` is sent, unless there is nobody to send it to."""
    settings = current_app.config["SETTINGS"]
    written = (MAILS | CREDIT_MAILS | PAYMENT_MAILS)[mail](session, settings=settings, **args)
    if written is not None:
        send(
            settings,
            to=written.to,
            subject=written.subject,
            text=written.text,
            html=written.html,
            locale=written.locale,
            unsubscribe=written.unsubscribe,
        )
