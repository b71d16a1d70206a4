"""What accounts have unlocked: a spend of the ledger for each, and open as long as that was not refunded in full."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, BigInteger, DateTime, Row, Text, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import ledger
from webapp.catalog.unlock import Unlock, UnlockNotFound, find_unlock
from webapp.extensions import Base


class PriceChanged(Exception):
    """The unlock costs `credits`, not what the buyer was told."""

    def __init__(self, credits: int) -> None:
        self.credits = credits
        super().__init__(f"costs {credits} credits")


class AccountUnlock(Base):
    """The spend `seq` of the account opened `features`, from `opened_at` until just before `ends_at`, if ever.

    What was promised stays, whatever becomes of the unlock in the catalog. What it cost, and whether that was given
    back, is in the ledger.
    """

    __tablename__ = "account_unlocks"

    account_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    unlock: Mapped[str] = mapped_column(Text)
    features: Mapped[list[str]] = mapped_column(ARRAY(Text))
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An unlock that an account has: paid by its entry `seq`, of `credits`."""

    unlock: str
    name: str
    seq: int
    credits: int
    features: list[str]
    since: datetime
    until: datetime | None


@dataclass(frozen=True, kw_only=True)
class Unlocked:
    """What a request led to: `charged` by it now, or by itself before (`replayed`), or it was open already."""

    opened: Opened
    charged: bool
    replayed: bool


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_BOOKED = text("SELECT 1 FROM ledger.entries_v WHERE account_id = :account_id AND idempotency_key = :key")
_HAS = """
    SELECT o.unlock, n.name, o.seq, -e.amount AS credits, o.features, o.opened_at AS since, o.ends_at AS until
    FROM account_unlocks o
    JOIN unlocks n ON n.key = o.unlock
    JOIN ledger.entries_v e ON e.account_id = o.account_id AND e.seq = o.seq
    WHERE o.account_id = :account_id
"""
# Given back in full, however many refunds that took, it is closed.
_OPEN = f"""
    {_HAS} AND (o.ends_at IS NULL OR o.ends_at > ledger.now()) AND -e.amount > (
        SELECT coalesce(sum(r.amount), 0) FROM ledger.entries_v r
        WHERE r.account_id = o.account_id AND r.about_seq = o.seq AND r.kind = 'refund')
"""  # noqa: S608 - made of constants of this file
_ALL_OPEN = text(f"{_OPEN} ORDER BY o.seq")
_THIS_OPEN = text(f"{_OPEN} AND o.unlock = :unlock ORDER BY o.seq DESC LIMIT 1")
_BY_ENTRY = text(f"{_HAS} AND o.seq = :seq")


def unlock(
    session: Session,
    *,
    account_id: int,
    key: str,
    idempotency_key: str,
    actor: str,
    reference: str | None = None,
    metadata: dict[str, Any] | None = None,
    credits: int | None = None,
    only_if: ledger.Condition | None = None,
) -> Unlocked:
    """The account has the unlock: bought now, or by this very request before, or open already, which costs nothing.

    `credits` is what the buyer was told that it costs, and `only_if` must hold for something to be bought. One at a
    time for each account and unlock, then locks the account. Raises UnlockNotFound for one that is not on offer,
    PriceChanged, and what `ledger.spend` raises; nothing was written then, and the idempotency key is unused, as it
    also is when nothing had to be bought.
    """
    found = find_unlock(session, key=key)
    session.execute(_ONE_AT_A_TIME, {"name": f"unlock:{account_id}:{key}"})
    booked = session.execute(_BOOKED, {"account_id": account_id, "key": idempotency_key}).first() is not None
    if not booked:
        row = session.execute(_THIS_OPEN, {"account_id": account_id, "unlock": key}).one_or_none()
        if row is not None:
            return Unlocked(opened=_opened(row), charged=False, replayed=False)
        _check_offer(found, credits=credits)
    written = ledger.spend(
        session,
        account_id=account_id,
        amount=found.credits,
        idempotency_key=idempotency_key,
        actor=actor,
        description=found.name,
        reference=reference or f"unlock:{key}",
        metadata=metadata,
        pricing={"unlock": key, "lines": [{"credits": found.credits}], "credits": found.credits},
        request=["unlock", key, reference, metadata],
        only_if=None if booked else only_if,
    )
    entry = written.entry
    if not written.replayed:
        _keep(session, found, entry)
    row = session.execute(_BY_ENTRY, {"account_id": account_id, "seq": entry.seq}).one()
    return Unlocked(opened=_opened(row), charged=not written.replayed, replayed=written.replayed)


def _check_offer(found: Unlock, *, credits: int | None) -> None:
    """Raises UnlockNotFound and PriceChanged."""
    if not found.active:
        raise UnlockNotFound(found.key)
    if credits is not None and credits != found.credits:
        raise PriceChanged(found.credits)


def _keep(session: Session, sold: Unlock, entry: ledger.Entry) -> None:
    days = sold.duration_days
    session.add(
        AccountUnlock(
            account_id=entry.account_id,
            seq=entry.seq,
            unlock=sold.key,
            features=sold.features,
            opened_at=entry.booked_at,
            ends_at=None if days is None else entry.booked_at + timedelta(days=days),
        )
    )
    session.flush()


def open_unlocks(session: Session, *, account_id: int) -> list[Opened]:
    """What the account has unlocked now, in the order in which it did; one statement."""
    return [_opened(row) for row in session.execute(_ALL_OPEN, {"account_id": account_id})]


def _opened(row: Row[Any]) -> Opened:
    return Opened(**row._mapping)
