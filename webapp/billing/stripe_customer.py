"""Customers: who an account is to Stripe."""

import hashlib

from sqlalchemy import BigInteger, Text, bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.billing.stripe_api import calling, client
from webapp.extensions import Base


class StripeCustomer(Base):
    """Who an account is to Stripe, in one mode."""

    __tablename__ = "stripe_customers"

    account_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    mode: Mapped[str] = mapped_column(Text, primary_key=True)
    stripe_customer_id: Mapped[str] = mapped_column(Text)


_CUSTOMER_ID = select(StripeCustomer.stripe_customer_id).where(
    StripeCustomer.account_id == bindparam("account_id"), StripeCustomer.mode == bindparam("mode")
)


def customer_id_of(session: Session, *, account_id: int, mode: str) -> str | None:
    """The id by which Stripe knows this account in this mode; None when it never paid for anything."""
    return session.scalars(_CUSTOMER_ID, {"account_id": account_id, "mode": mode}).one_or_none()


def ensure_customer(session: Session, *, account_id: int, external_id: str, email: str | None, mode: str) -> str:
    """The id by which Stripe knows this account in this mode, made at the first purchase and kept.

    Without an `email` Stripe asks for it on its pay page and keeps it. Raises PaymentsUnavailable.
    """
    known = customer_id_of(session, account_id=account_id, mode=mode)
    if known is not None:
        return known
    # Names the same customer however often it is retried; another address is another request.
    digest = hashlib.sha256((email or "").encode()).hexdigest()[:16]
    with calling("create customer"):
        made = client().v1.customers.create(
            params={**({"email": email} if email else {}), "metadata": {"account": external_id}},
            options={"idempotency_key": f"customer:{external_id}:{digest}"},
        )
    session.execute(
        insert(StripeCustomer)
        .values(account_id=account_id, mode=mode, stripe_customer_id=made.id)
        .on_conflict_do_nothing()
    )
    return session.scalars(
        select(StripeCustomer.stripe_customer_id).where(
            StripeCustomer.account_id == account_id, StripeCustomer.mode == mode
        )
    ).one()
