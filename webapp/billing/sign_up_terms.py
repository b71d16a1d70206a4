"""What who signs up is promised: as the catalog says, or the environment for as long as the catalog says nothing."""

from flask import current_app
from sqlalchemy.orm import Session

from webapp.catalog.sign_up_grant import sign_up_grant_now
from webapp.config import Settings
from webapp.people.first_credits import Terms


def sign_up_terms(session: Session) -> Terms:
    """The newest row of the catalog's; without any, SIGN_UP_CREDITS and SIGN_UP_CREDITS_DAYS."""
    row = sign_up_grant_now(session)
    if row is not None:
        return Terms(credits=row.credits, days=row.expires_days, confirmed_only=row.confirmed_only)
    settings: Settings = current_app.config["SETTINGS"]
    return Terms(credits=settings.sign_up_credits, days=settings.sign_up_credits_days)
