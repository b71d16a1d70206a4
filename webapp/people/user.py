"""The user: a person who signs in, with the ledger account that holds their credits."""

from datetime import datetime

from flask_login import UserMixin
from sqlalchemy import BigInteger, Boolean, DateTime, Identity, Text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.people.visitor import SeenAccount

ROLES = ("owner", "finance", "support", "translator")


class User(Base, UserMixin):
    """One row of `users`.

    `flask_login.current_user` is such a row, detached and whole: reading its attributes costs no SQL, and a change
    goes through a row that the unit of work loaded itself. `current_session_id` and `session_token` say by which
    of their sessions the person came, and `seeing` whose pages that session looks at; they are no columns.
    """

    __tablename__ = "users"
    __allow_unmapped__ = True  # those that are no columns

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    email_key: Mapped[str] = mapped_column(Text, unique=True)
    password_hash: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text, default="")
    locale: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    role: Mapped[str | None] = mapped_column(Text)
    account_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    password_changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    credit_mails: Mapped[bool] = mapped_column(Boolean, default=True)

    is_visitor = False

    current_session_id: int | None = None
    session_token: str | None = None
    seeing: SeenAccount | None = None

    @property
    def actor(self) -> str:
        """How the ledger names this person as the one who did something."""
        return f"user:{self.external_id}"

    def get_id(self) -> str:
        """What Flask-Login keeps in the cookie: the token of the session row, never the user's id."""
        assert self.session_token is not None, "sessions.start gives the token"
        return self.session_token
