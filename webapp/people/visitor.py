"""A visitor: whoever a product has led to the pages of an account of its own, without a log-in here."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from flask_login import UserMixin


@dataclass(kw_only=True, eq=False)
class Visitor(UserMixin):
    """What `current_user` is in a portal session: the account, and no person.

    A visitor sees what the account has, buys for it and sees to its plan. Pages about a person, such as the password,
    know no visitors: `signed_in.load_user` says where one is somebody. `email` is that of the account's person, if it
    has one, so that Stripe need not ask for it.
    """

    current_session_id: int
    session_token: str
    account_id: int
    external_id: str
    name: str
    email: str | None
    locale: str | None
    time_zone: str
    return_url: str
    confirmed_at: datetime

    id = None
    role = None
    credit_mails = False
    is_visitor = True

    @property
    def actor(self) -> str:
        """How the ledger names who did something: the product answers for who that is."""
        return f"portal:{self.external_id}"

    @property
    def return_host(self) -> str:
        """The host of the product, to be shown before anybody follows the link back."""
        return host_of(self.return_url)

    def get_id(self) -> str:
        """What Flask-Login keeps in the cookie."""
        return self.session_token


@dataclass(kw_only=True, eq=False)
class SeenAccount(Visitor):
    """An account whose pages somebody with a role looks at as its holder sees them. Nothing is written meanwhile.

    `current_session_id` is that person's own session.
    """

    seen_by: str
    seen_until: datetime


def host_of(url: str) -> str:
    """The host of a URL as people read it, with the port where it has one."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
