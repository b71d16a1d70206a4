"""Idempotency keys of writes that leave no ledger entry: the first answer is kept and given again."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, LargeBinary, SmallInteger, Text, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.api.endpoint import Reply
from webapp.api.refusals import key_reused
from webapp.extensions import Base
from webapp.ledger.fingerprints import fingerprint


class ApiAnswer(Base):
    """What the request named `idempotency_key` about `resource` was answered."""

    __tablename__ = "api_answers"

    resource: Mapped[str] = mapped_column(Text, primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int | None] = mapped_column(SmallInteger)
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def drop_old(session: Session, *, older_than: timedelta, limit: int) -> int:
    """Delete one chunk of the answers given longer ago than `older_than`; returns how many.

    Their idempotency keys may name other requests from then on.
    """
    old = (
        select(ApiAnswer.resource, ApiAnswer.idempotency_key)
        .where(ApiAnswer.created_at < clock.now() - older_than)
        .order_by(ApiAnswer.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte()
    )
    is_old = (ApiAnswer.resource == old.c.resource) & (ApiAnswer.idempotency_key == old.c.idempotency_key)
    return len(session.execute(delete(ApiAnswer).where(is_old).returning(ApiAnswer.resource)).all())


def remembered(session: Session, *, resource: str, key: str, request: Any, work: Callable[[], Reply]) -> Reply:
    """What `work` replies the first time, and the very same, marked replayed, for the same request later.

    The answer is kept in the caller's database transaction, so a failure leaves the key unused. A simultaneous
    request with the key waits for this one to end. Raises 422 `idempotency_key_reused` for another request.
    """
    wanted = fingerprint(resource, request)
    row = {"resource": resource, "idempotency_key": key}
    taken = session.execute(
        insert(ApiAnswer)
        .values(**row, fingerprint=wanted, created_at=clock.now())
        .on_conflict_do_nothing()
        .returning(ApiAnswer.idempotency_key)
    ).one_or_none()
    if taken is None:
        first = session.get_one(ApiAnswer, (resource, key))
        if first.fingerprint != wanted:
            raise key_reused()
        assert first.body is not None
        return Reply(body=first.body, status=first.status or 200, replayed=True)
    reply = work()
    text = reply.body if isinstance(reply.body, str) else reply.body.model_dump_json()
    session.execute(
        update(ApiAnswer)
        .where(ApiAnswer.resource == resource, ApiAnswer.idempotency_key == key)
        .values(status=reply.status, body=text)
    )
    return reply
