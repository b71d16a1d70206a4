"""The reports of the newest proofs of the ledger, as `flask ledger verify --json` would have printed them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, delete, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.extensions import Base

MOST_KEPT = 100
# A ledger that is wrong all over would fill the table; the figure of findings is always whole.
MOST_FINDINGS = 1_000


class Proof(Base):
    """One proof that came to its end: how many lies it found, and its report."""

    __tablename__ = "proofs"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    finished_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    findings: Mapped[int] = mapped_column(BigInteger)
    report: Mapped[dict[str, Any]] = mapped_column(JSONB)


def keep_proof(session: Session, *, report: dict[str, Any]) -> None:
    """The report is kept, with its first findings, and the oldest ones are gone."""
    findings = report["findings"]
    kept = {**report, "findings": findings[:MOST_FINDINGS]}
    session.add(Proof(finished_at=clock.now(), findings=len(findings), report=kept))
    session.flush()
    newest = select(func.max(Proof.id)).scalar_subquery()
    session.execute(delete(Proof).where(Proof.id <= newest - MOST_KEPT))


def last_proof(session: Session) -> Proof | None:
    """The newest proof that came to its end."""
    return session.scalars(select(Proof).order_by(Proof.id.desc()).limit(1)).one_or_none()


def names_of_accounts(session: Session, *, account_ids: Iterable[int]) -> dict[int, str]:
    """What the product calls these accounts."""
    statement = text("SELECT account_id, external_id FROM ledger.accounts_v WHERE account_id = ANY (:ids)")
    return {row[0]: row[1] for row in session.execute(statement, {"ids": list(account_ids)})}
