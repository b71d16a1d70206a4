"""The next rate card while it is written: one draft, kept in the database until it is published or given up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Integer, Text, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock
from webapp.catalog.pricing import Pricing
from webapp.catalog.pricing_terms import pricing_from, terms_of
from webapp.catalog.rate_card import RateCard
from webapp.catalog.rate_card_file import Change, Prices, changes_between
from webapp.catalog.rate_card_versions import card_at, known_features, prices_of, publish_card
from webapp.extensions import Base


class RateCardDraft(Base):
    """The draft. `prices` are the terms of pricing_terms.py by feature; `revision` counts its changes."""

    __tablename__ = "rate_card_drafts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    single: Mapped[bool] = mapped_column(default=True, unique=True)  # there is one at the most
    based_on: Mapped[int | None] = mapped_column(ForeignKey("rate_cards.version"))
    prices: Mapped[dict[str, Any]] = mapped_column(JSONB)
    revision: Mapped[int] = mapped_column(Integer, default=1)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    changed_by: Mapped[str] = mapped_column(Text)


class NoDraft(Exception):
    """There is no draft, or it is another one than was meant: that was published or given up meanwhile."""


class DraftChanged(Exception):
    """Somebody else has changed the draft since it was read; `draft` is how it stands now."""

    def __init__(self, draft: RateCardDraft) -> None:
        self.draft = draft
        super().__init__(f"the draft was changed by {draft.changed_by}")


class NothingChanges(Exception):
    """Version `version`, which would be followed, says the same."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"version {version} says the same")


@dataclass(frozen=True, kw_only=True)
class Published:
    """The new version, what it follows at the moment it takes effect (None: nothing), and what changes by it."""

    card: RateCard
    before: int | None
    changes: list[Change]


def find_draft(session: Session) -> RateCardDraft | None:
    """The draft, if there is one."""
    return session.scalars(select(RateCardDraft)).one_or_none()


def prices_of_draft(session: Session, *, draft: RateCardDraft) -> Prices:
    """What each feature costs in the draft, in the order of the shop window."""
    known = {key: pricing_from(draft.prices[key]) for key in known_features(session) if key in draft.prices}
    return known


def start_draft(session: Session, *, by: str) -> tuple[RateCardDraft, bool]:
    """There is a draft, and whether it is new; a new one says what the rate card in force says."""
    card = card_at(session, moment=clock.now())
    prices = prices_of(session, version=card.version) if card else {}
    row = {
        "based_on": card.version if card else None,
        "prices": _terms(prices),
        "changed_at": clock.now(),
        "changed_by": by,
    }
    made = session.execute(
        insert(RateCardDraft)
        .values(**row)
        .on_conflict_do_nothing(index_elements=["single"])
        .returning(RateCardDraft.id)
    ).first()
    return session.scalars(select(RateCardDraft)).one(), made is not None


def change_draft(
    session: Session, *, draft_id: int, revision: int, prices: Mapping[str, Pricing], by: str
) -> RateCardDraft:
    """The draft says `prices`, where nobody has changed it since that revision. Locks it.

    The same again changes nothing, whatever the revision. Raises NoDraft and DraftChanged; nothing was written then.
    """
    draft = _take(session, draft_id=draft_id)
    terms = _terms(prices)
    if draft.prices == terms:
        return draft
    if draft.revision != revision:
        raise DraftChanged(draft)
    draft.prices, draft.revision = terms, draft.revision + 1
    draft.changed_at, draft.changed_by = clock.now(), by
    session.flush()
    return draft


def change_price(
    session: Session, *, draft_id: int, revision: int, feature: str, pricing: Pricing | None, by: str
) -> RateCardDraft:
    """The draft says that price for the feature, None for none, and what it said before of all others.

    Locks the draft. Raises NoDraft and DraftChanged; nothing was written then.
    """
    draft = _take(session, draft_id=draft_id)
    prices = prices_of_draft(session, draft=draft)
    if pricing is None:
        prices.pop(feature, None)
    else:
        prices[feature] = pricing
    return change_draft(session, draft_id=draft_id, revision=revision, prices=prices, by=by)


def give_up_draft(session: Session, *, draft_id: int, revision: int) -> None:
    """There is no draft any more. Raises NoDraft and DraftChanged; nothing was written then."""
    draft = _take(session, draft_id=draft_id)
    if draft.revision != revision:
        raise DraftChanged(draft)
    session.delete(draft)
    session.flush()


def publish_draft(session: Session, *, draft_id: int, revision: int, effective_at: datetime | None = None) -> Published:
    """A new version says what the draft says, from `effective_at` (None: now) on, and the draft is gone.

    Locks the draft, and waits for whoever else publishes. Raises NoDraft, DraftChanged, NothingChanges, and what
    `publish_card` raises; nothing was written then.
    """
    draft = _take(session, draft_id=draft_id)
    if draft.revision != revision:
        raise DraftChanged(draft)
    prices = prices_of_draft(session, draft=draft)
    follows = card_at(session, moment=effective_at or clock.now())
    before = prices_of(session, version=follows.version) if follows else {}
    changes = changes_between(before, prices)
    if follows is not None and not changes:
        raise NothingChanges(follows.version)
    card = publish_card(session, prices=prices, effective_at=effective_at)
    session.delete(draft)
    session.flush()
    return Published(card=card, before=follows.version if follows else None, changes=changes)


def _take(session: Session, *, draft_id: int) -> RateCardDraft:
    locked = select(RateCardDraft).where(RateCardDraft.id == draft_id).with_for_update()
    draft = session.scalars(locked.execution_options(populate_existing=True)).one_or_none()
    if draft is None:
        raise NoDraft
    return draft


def _terms(prices: Mapping[str, Pricing]) -> dict[str, Any]:
    return {feature: terms_of(pricing) for feature, pricing in prices.items()}
