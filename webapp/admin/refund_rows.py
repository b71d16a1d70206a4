"""Refunds, disputes and events of one payment, as the rows of its page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.admin.money_words import DISPUTE_REASONS, DISPUTE_STATES, EVENT_STATES, REFUND_STATES, said
from webapp.billing.dispute import Dispute
from webapp.billing.refund import Refund
from webapp.billing.stripe_event import StripeEvent
from webapp.people.user import User


@dataclass(frozen=True, kw_only=True)
class RefundRow:
    """`who` asked for it and `why`; `stripe_id` is None until Stripe has it."""

    at: datetime
    amount_minor: int
    currency: str
    state: str
    failure: str
    who: str
    why: str
    stripe_id: str | None


@dataclass(frozen=True, kw_only=True)
class DisputeRow:
    """`due_at` is until when Stripe takes evidence."""

    stripe_id: str
    at: datetime
    amount_minor: int
    currency: str
    state: str
    why: str
    due_at: datetime | None
    mode: str


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """What Stripe told when, and what became of it."""

    id: str
    type: str
    at: datetime
    state: str
    reason: str


def refund_rows(session: Session, refunds: Sequence[Refund]) -> Sequence[RefundRow]:
    """One statement for the people who asked for them, whose addresses stand for them while they are here."""
    names = {one.actor.partition(":")[2] for one in refunds} - {""}
    asked_by = select(User.external_id, User.email).where(User.external_id.in_(names))
    people = {row.external_id: row.email for row in session.execute(asked_by)}
    return [
        RefundRow(
            at=one.created_at,
            amount_minor=one.amount_minor,
            currency=one.currency,
            state=said(REFUND_STATES, one.state),
            failure=one.failure or "",
            who=people.get(one.actor.partition(":")[2], one.actor),
            why=one.reason,
            stripe_id=one.stripe_refund_id,
        )
        for one in refunds
    ]


def dispute_rows(disputes: Iterable[Dispute]) -> Sequence[DisputeRow]:
    return [
        DisputeRow(
            stripe_id=one.stripe_dispute_id,
            at=one.opened_at,
            amount_minor=one.amount_minor,
            currency=one.currency,
            state=said(DISPUTE_STATES, one.state),
            why=said(DISPUTE_REASONS, one.reason),
            due_at=one.evidence_due_at,
            mode=one.mode,
        )
        for one in disputes
    ]


def event_rows(events: Iterable[StripeEvent]) -> Sequence[EventRow]:
    return [
        EventRow(
            id=one.id,
            type=one.type,
            at=one.received_at,
            state=said(EVENT_STATES, one.state),
            reason=one.reason or "",
        )
        for one in events
    ]
