"""Whom a list is about: an account by what one has at hand."""

from typing import Any

from sqlalchemy import column, select, table
from sqlalchemy.sql.selectable import ScalarSelect

from webapp.people.email_address import email_key
from webapp.people.user import User

_ACCOUNTS = table("accounts_v", column("account_id"), column("external_id"), schema="ledger")


def account_named(text: str) -> ScalarSelect[Any]:
    """The id of the account with that external id, or of the person with that address, as part of a statement."""
    if "@" in text:
        return select(User.account_id).where(User.email_key == email_key(text)).scalar_subquery()
    return select(_ACCOUNTS.c.account_id).where(_ACCOUNTS.c.external_id == text).scalar_subquery()
