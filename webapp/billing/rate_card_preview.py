"""What a draft of the rate card would have cost, worked out some accounts after the others and kept with the draft."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Integer, Text, delete, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock, outbox
from webapp.billing.price_preview import PreviewReading, PricePreview
from webapp.catalog.pricing_terms import pricing_from
from webapp.catalog.rate_card_draft import NoDraft, RateCardDraft
from webapp.extensions import Base

# One statement reads the entries of so many accounts; between statements there is a look at the time.
ACCOUNTS_AT_ONCE = 1_000
MOST_ACCOUNTS = 20
# So long a worker goes on before it commits how far it came.
JOB_SECONDS = 20.0

_ASKING = 7130555  # key of the advisory lock
_LAST_ACCOUNT = text("SELECT coalesce(max(account_id), 0) FROM ledger.accounts_v")


class RateCardPreview(Base):
    """The preview of a draft at one revision: what was used from `since` until before `until` at its prices.

    Accounts up to `read_to` are counted, `last_account` is the last one. `features` and `accounts` are the state of a
    PreviewReading. It is `finished_at` some time, or ended in a `failure`.
    """

    __tablename__ = "rate_card_previews"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    draft_id: Mapped[int] = mapped_column(ForeignKey("rate_card_drafts.id", ondelete="CASCADE"), unique=True)
    revision: Mapped[int] = mapped_column(Integer)
    prices: Mapped[dict[str, Any]] = mapped_column(JSONB)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    read_to: Mapped[int] = mapped_column(BigInteger, default=0)
    last_account: Mapped[int] = mapped_column(BigInteger)
    features: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    accounts: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    failure: Mapped[str | None] = mapped_column(Text)

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        return 1.0 if self.finished_at else min(1.0, self.read_to / max(1, self.last_account))

    @property
    def days(self) -> int:
        return (self.until - self.since).days


def find_preview(session: Session, *, draft_id: int) -> RateCardPreview | None:
    """The last preview of the draft; it may be of an earlier revision."""
    return session.scalars(select(RateCardPreview).where(RateCardPreview.draft_id == draft_id)).one_or_none()


def ask_preview(session: Session, *, draft: RateCardDraft, days: int, seconds: float) -> RateCardPreview:
    """The draft's preview by what was used in the last `days` is made, or begun and left to a worker.

    It takes the place of an earlier one. Takes `seconds` at the most, and one statement; who asks meanwhile waits, and
    so does who ends the draft. Raises NoDraft when that has happened; nothing was written then.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ASKING})
    there = select(RateCardDraft.id).where(RateCardDraft.id == draft.id).with_for_update(read=True, key_share=True)
    if session.scalars(there).one_or_none() is None:
        raise NoDraft
    session.execute(delete(RateCardPreview).where(RateCardPreview.draft_id == draft.id))
    now = clock.now()
    preview = RateCardPreview(
        draft_id=draft.id,
        revision=draft.revision,
        prices=draft.prices,
        since=now - timedelta(days=days),
        until=now,
        read_to=0,
        last_account=session.scalar(_LAST_ACCOUNT) or 0,
        features={},
        accounts=[],
        asked_at=now,
    )
    session.add(preview)
    session.flush()
    _go_on(session, preview, seconds=seconds)
    return preview


def continue_preview(session: Session, *, preview_id: int, read_to: int) -> None:
    """The preview is JOB_SECONDS of work further, and finished or left to another job.

    Does nothing when it is gone, finished or further than `read_to`. Locks it at the end only: who publishes or gives
    up the draft meanwhile does not wait.
    """
    preview = session.get(RateCardPreview, preview_id, populate_existing=True)
    if preview is not None and preview.finished_at is None and preview.read_to == read_to:
        _go_on(session, preview, seconds=JOB_SECONDS)


def fail_preview(session: Session, *, preview_id: int, read_to: int, reason: str) -> None:
    """The preview has come to no end, and says why."""
    preview = session.get(RateCardPreview, preview_id, with_for_update=True)
    if preview is not None and preview.read_to == read_to:
        preview.failure = reason[:2000]


def figures_of(session: Session, *, preview: RateCardPreview) -> PricePreview:
    """What it tells so far."""
    reading = _reading(preview, prices={})
    return reading.result(session)


def _go_on(session: Session, preview: RateCardPreview, *, seconds: float) -> None:
    reading, begun_at, read_to = _reading(preview, prices=preview.prices), preview.read_to, preview.read_to
    end = time.monotonic() + seconds
    while read_to < preview.last_account:
        up_to = read_to + ACCOUNTS_AT_ONCE
        reading.read(session, above=read_to, up_to=up_to)
        read_to = min(up_to, preview.last_account)
        if time.monotonic() >= end:
            break
    features, accounts = reading.state
    finished_at = clock.now() if read_to >= preview.last_account else None
    step = (
        update(RateCardPreview)
        .where(RateCardPreview.id == preview.id, RateCardPreview.read_to == begun_at)
        .values(read_to=read_to, features=features, accounts=accounts, finished_at=finished_at)
        .returning(RateCardPreview.id)
    )
    is_there = session.execute(step).first() is not None
    if is_there and finished_at is None:
        outbox.put(
            session,
            job="preview_rate_card",
            key=f"rate-card-preview:{preview.id}:{read_to}",
            args={"preview_id": preview.id, "read_to": read_to},
        )


def _reading(preview: RateCardPreview, *, prices: Mapping[str, Any]) -> PreviewReading:
    reading = PreviewReading(
        {feature: pricing_from(terms) for feature, terms in prices.items()},
        since=preview.since,
        until=preview.until,
        most_accounts=MOST_ACCOUNTS,
    )
    reading.restore(preview.features, preview.accounts)
    return reading
