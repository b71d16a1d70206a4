"""Dropping what was charged or rejected long ago; the ledger's entries stay."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import clock

# Walked by id, so that no chunk reads again what stays.
_DROP = text(
    """
    WITH walked AS (
        SELECT id, accepted_at, since, state FROM usage_events WHERE id > :after ORDER BY id LIMIT :limit
    ), dropped AS (
        DELETE FROM usage_events e USING walked w
        WHERE e.id = w.id AND e.state IN ('charged', 'rejected') AND w.since < :before RETURNING 1
    )
    SELECT max(id) FILTER (WHERE accepted_at < :before) AS last, (SELECT count(*) FROM dropped) AS dropped FROM walked
    """
)


def drop_settled(session: Session, *, older_than: timedelta, after: int, limit: int) -> tuple[int | None, int]:
    """Of the next `limit` events after id `after`, those settled longer ago than `older_than` are gone.

    Returns where to go on (None: what follows is younger) and how many were dropped. Parked and pending ones stay,
    whatever their age.
    """
    row = session.execute(_DROP, {"after": after, "limit": limit, "before": clock.now() - older_than}).one()
    return row.last, row.dropped
