"""What must happen after a commit: a row written with its cause, handed to RQ after the commit, swept until done.

RQ alone loses work when a worker or Redis dies. So the row is the truth and the RQ job only a hint to look at it:
a job marks its row done in the database transaction of its effect, and the sweeper hands out again whatever is due
and not done.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Text, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.extensions import Base

RETRY_AFTER = timedelta(seconds=30)
MOST_ATTEMPTS = 8
HANDED_AT_ONCE = 100
_PENDING = "outbox_to_enqueue"


class OutboxRow(Base):
    """One thing to do: `job` names a module and function of `jobs/`, `args` are its keyword arguments."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text, unique=True)
    args: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(BigInteger, default=0)
    last_error: Mapped[str | None] = mapped_column(Text)
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    parked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


def put(session: Session, *, job: str, key: str, args: dict[str, Any]) -> int:
    """Commit `job` with its cause: one row however often the same `key` is put. Returns its id.

    The row is handed to RQ after the commit of `unit_of_work`; due again after 30 s if it is not done by then.
    A key whose row is done stays done.
    """
    moment = clock.now()
    statement = (
        insert(OutboxRow)
        .values(job=job, key=key, args=args, created_at=moment, due_at=moment + RETRY_AFTER, attempts=0)
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(OutboxRow.id)
    )
    row_id = session.execute(statement).scalar_one_or_none()
    if row_id is None:
        row_id = session.execute(select(OutboxRow.id).where(OutboxRow.key == key)).scalar_one()
    session.info.setdefault(_PENDING, []).append((row_id, job))
    return row_id


def hint(session: Session, *, job: str) -> None:
    """After the commit a worker is told to run `job`, which finds by itself what is to do. No row is written.

    It is told once until it begins, however many commits ask for it meanwhile. What is told is lost with Redis, so
    something periodic must look for the same work.
    """
    session.info.setdefault(_PENDING, []).append((None, job))


def put_selected(session: Session, *, job: str, rows: str, given: Mapping[str, Any], most: int) -> None:
    """What `put` does for each `key` and `args` (jsonb) that the SQL of `rows` selects, in one statement.

    They are `most` at the most; `given` are the parameters of `rows`. Up to HANDED_AT_ONCE of them are handed to RQ
    after the commit. More are due at once, and the sweeper hands them out at its own pace: a job that puts a million
    rows does not wait for Redis a million times.
    """
    moment = clock.now()
    few = most <= HANDED_AT_ONCE
    statement = text(
        "INSERT INTO outbox (job, key, args, created_at, due_at, attempts)"  # noqa: S608 - `rows` is a constant's text
        f" SELECT :outbox_job, r.key, r.args, :outbox_now, :outbox_due, 0 FROM ({rows}) r"
        " ON CONFLICT (key) DO NOTHING RETURNING id"
    )
    due = moment + RETRY_AFTER if few else moment
    ids = session.execute(statement, {**given, "outbox_job": job, "outbox_now": moment, "outbox_due": due}).scalars()
    if few:
        session.info.setdefault(_PENDING, []).extend((row_id, job) for row_id in ids.all())


def take_pending(session: Session) -> list[tuple[int | None, str]]:
    """The (id, job) pairs put since the last call, for the unit of work to enqueue after its commit.

    A hint has no id.
    """
    pending: list[tuple[int | None, str]] = session.info.pop(_PENDING, [])
    return list(dict.fromkeys(pending))


def begin(session: Session, *, row_id: int) -> OutboxRow | None:
    """Lock the row for the job that runs it; None when it is done, parked or being done by somebody else."""
    return session.execute(
        select(OutboxRow)
        .where(OutboxRow.id == row_id, OutboxRow.done_at.is_(None), OutboxRow.parked_at.is_(None))
        .with_for_update(skip_locked=True)
    ).scalar_one_or_none()


def done(session: Session, *, row: OutboxRow) -> None:
    """Mark the row done; belongs into the database transaction of the effect."""
    row.done_at = clock.now()
    row.last_error = None


def finish(session: Session, *, key: str) -> None:
    """Mark the row of that key done, parked or not: its effect has come about in another way."""
    session.execute(update(OutboxRow).where(OutboxRow.key == key).values(done_at=clock.now(), parked_at=None))


def count(session: Session, *, row_id: int) -> OutboxRow | None:
    """One more attempt is begun, and the row due again later (30 s, doubling to an hour) should nothing come of it.

    To be committed before the attempt, so that one counts whose process is killed. After the last the row is parked
    instead: look at `parked_at`. None when it is done, parked or being done by somebody else.
    """
    row = begin(session, row_id=row_id)
    if row is None:
        return None
    if row.attempts >= MOST_ATTEMPTS:
        park(session, row=row, reason=f"none of {row.attempts} attempts came to an end: killed each time")
        return row
    row.attempts += 1
    row.due_at = clock.now() + min(RETRY_AFTER * 2 ** (row.attempts - 1), timedelta(hours=1))
    return row


def failed(session: Session, *, row_id: int, error: str) -> OutboxRow | None:
    """Note why the attempt that was counted failed; the row is parked after the last.

    Returns the row, or None when somebody else has done it meanwhile.
    """
    row = session.get(OutboxRow, row_id, with_for_update=True, populate_existing=True)
    if row is None or row.done_at is not None:
        return None
    row.last_error = error.replace("\x00", "")[:2000]
    if row.attempts >= MOST_ATTEMPTS:
        row.parked_at = clock.now()
    return row


def park(session: Session, *, row: OutboxRow, reason: str) -> None:
    """Set the row aside for a person, with the reason; nothing tries it again until it is replayed."""
    row.parked_at = clock.now()
    row.last_error = reason[:2000]


def replay(session: Session, *, row_id: int) -> None:
    """Put a parked row back to work."""
    row = session.get_one(OutboxRow, row_id, with_for_update=True)
    row.parked_at, row.attempts, row.due_at = None, 0, clock.now() + RETRY_AFTER
    session.info.setdefault(_PENDING, []).append((row.id, row.job))


def replay_parked(session: Session, *, limit: int = 1_000) -> int:
    """Put the parked rows back to work, the oldest first, at most `limit`; returns how many.

    They are due at once, and the sweeper hands them out at its own pace.
    """
    parked = (
        select(OutboxRow.id)
        .where(OutboxRow.done_at.is_(None), OutboxRow.parked_at.is_not(None))
        .order_by(OutboxRow.parked_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    replayed = session.execute(
        update(OutboxRow)
        .where(OutboxRow.id.in_(parked.scalar_subquery()))
        .values(parked_at=None, attempts=0, due_at=clock.now())
        .returning(OutboxRow.id)
    )
    return len(replayed.all())


def sweep(session: Session, *, limit: int = 500) -> int:
    """Hand out again what is due and undone, in bounded chunks; returns how many.

    Two sweepers at once share the rows (SKIP LOCKED); each row's next due time is moved so that a slow job is not
    handed out in a tight loop.
    """
    due = (
        select(OutboxRow.id)
        .where(OutboxRow.done_at.is_(None), OutboxRow.parked_at.is_(None), OutboxRow.due_at <= clock.now())
        .order_by(OutboxRow.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = session.execute(
        update(OutboxRow)
        .where(OutboxRow.id.in_(due.scalar_subquery()))
        .values(due_at=clock.now() + RETRY_AFTER)
        .returning(OutboxRow.id, OutboxRow.job)
    ).all()
    session.info.setdefault(_PENDING, []).extend((row.id, row.job) for row in rows)
    return len(rows)


def drop_done(session: Session, *, older_than: timedelta, limit: int) -> int:
    """Delete one chunk of the rows that were done longer ago than `older_than`; returns how many.

    Their keys may be used again from then on: what they name must be over by that time.
    """
    old = (
        select(OutboxRow.id)
        .where(OutboxRow.done_at < clock.now() - older_than)
        .order_by(OutboxRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    dropped = session.execute(delete(OutboxRow).where(OutboxRow.id.in_(old.scalar_subquery())).returning(OutboxRow.id))
    return len(dropped.all())


def overdue(session: Session, *, older_than: timedelta) -> int:
    """How many rows are undone, unparked and older than `older_than` (invariant 11)."""
    statement = select(func.count()).where(
        OutboxRow.done_at.is_(None),
        OutboxRow.parked_at.is_(None),
        OutboxRow.created_at < clock.now() - older_than,
    )
    return session.execute(statement).scalar_one()
