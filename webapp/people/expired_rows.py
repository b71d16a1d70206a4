"""Dropping rows that have ended by themselves, whichever table keeps when they do."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session


def drop_expired_rows(session: Session, row: Any, *, moment: datetime, limit: int) -> int:
    """At most `limit` rows of the mapped class that have expired by `moment` are gone, oldest first; returns how many.

    Rows that somebody else has locked are passed over.
    """
    expired = (
        select(row.id)
        .where(row.expires_at <= moment)
        .order_by(row.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    dropped = delete(row).where(row.id.in_(expired.scalar_subquery())).returning(row.id)
    return len(session.execute(dropped).all())
