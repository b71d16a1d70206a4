"""Suspended accounts: nothing is bought for them and no credits are spent, by anybody, until they are resumed."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Identity, Text, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock, ledger
from webapp.extensions import Base

LONGEST_REASON = 500


class Suspension(Base):
    """The account was suspended from `since` until `ended_at` (None: it is now), for `reason`, by `actor`.

    Rows stay when they have ended: they say who did what. An account has at most one that has not.
    """

    __tablename__ = "suspensions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_by: Mapped[str | None] = mapped_column(Text)


class AccountSuspended(ledger.LedgerRefusal):
    """Credits of a suspended account were to be spent. Whoever tells of the ledger's refusals tells of this one too."""

    code = "account_suspended"

    @property
    def reason(self) -> str:
        return str(self.data["reason"])


def suspend(session: Session, *, account_id: int, reason: str, actor: str) -> None:
    """The account is suspended; if it was already, it is from now on for this reason. `reason` has 1 to 500 characters.

    It counts for whatever begins after the commit.
    """
    assert 0 < len(reason) <= LONGEST_REASON
    row = {"account_id": account_id, "reason": reason, "actor": actor, "since": clock.now()}
    session.execute(
        insert(Suspension)
        .values(row)
        .on_conflict_do_update(
            index_elements=["account_id"],
            index_where=Suspension.ended_at.is_(None),
            set_={"reason": reason, "actor": actor},
        )
    )


def resume(session: Session, *, account_id: int, actor: str) -> bool:
    """The account is not suspended any more; returns whether it was."""
    ended = (
        update(Suspension)
        .where(Suspension.account_id == account_id, Suspension.ended_at.is_(None))
        .values(ended_at=clock.now(), ended_by=actor)
    )
    return bool(session.execute(ended.returning(Suspension.id)).all())


def find_suspension(session: Session, *, account_id: int) -> Suspension | None:
    """The account's suspension, if it is suspended now."""
    found = select(Suspension).where(Suspension.account_id == account_id, Suspension.ended_at.is_(None))
    return session.scalars(found).one_or_none()


_IS_SUSPENDED = text("SELECT FROM suspensions WHERE account_id = :account_id AND ended_at IS NULL")


def is_suspended(session: Session, *, account_id: int) -> bool:
    """Whether it is now."""
    return session.execute(_IS_SUSPENDED, {"account_id": account_id}).first() is not None


_SUSPENDED = text(
    "SELECT account_id, reason FROM suspensions WHERE account_id = ANY (:account_ids) AND ended_at IS NULL"
)


def suspended_among(session: Session, *, account_ids: Collection[int]) -> dict[int, AccountSuspended]:
    """The refusals of those of the accounts that are suspended now, in one statement."""
    if not account_ids:
        return {}
    found = session.execute(_SUSPENDED, {"account_ids": list(account_ids)})
    return {account_id: _refusal(reason) for account_id, reason in found}


def not_suspended(account_id: int) -> ledger.Condition:
    """Holds while the account is not suspended: for the statement that spends, so that asking costs no other."""
    return ledger.Condition(sql=_NOT_SUSPENDED, arguments={"spending_account_id": account_id})


_NOT_SUSPENDED = (
    "SELECT WHERE NOT EXISTS (SELECT FROM suspensions s WHERE s.account_id = :spending_account_id"
    " AND s.ended_at IS NULL)"
)


def why_suspended(session: Session, *, account_id: int) -> AccountSuspended:
    """The refusal of an account that `not_suspended` found to be suspended, even if it was resumed a moment ago."""
    newest = select(Suspension.reason).where(Suspension.account_id == account_id).order_by(Suspension.id.desc())
    return _refusal(session.execute(newest.limit(1)).scalar_one())


def _refusal(reason: str) -> AccountSuspended:
    return AccountSuspended("the account is suspended", reason=reason)
