"""Money that went back to the buyer, as Stripe knows it now: refunds and disputes of one payment."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe

from webapp.billing.stripe_api import PaymentsUnavailable, UnknownToStripe, calling, client

# https://docs.stripe.com/api/refunds/object: a pending refund, or one that waits for the buyer's bank details, has
# left our balance already and counts; one that failed or was canceled came back.
_CAME_BACK = ("failed", "canceled")

# https://docs.stripe.com/api/disputes/object. `warning_…` is an inquiry: no money has moved, and none may ever.
# An appeal fights a dispute that was lost: the money is away until it is won.
_UNDECIDED = ("needs_response", "under_review")
_LOST = ("lost", "appeal_needs_response", "appeal_under_review")


@dataclass(frozen=True, kw_only=True)
class RefundFact:
    """One refund; `asked_as` is what our own request called it, None for one that was made at Stripe."""

    stripe_refund_id: str
    amount_minor: int
    currency: str
    status: str
    failure: str | None
    made_at: datetime
    asked_as: str | None

    @property
    def counts(self) -> bool:
        return self.status not in _CAME_BACK


@dataclass(frozen=True, kw_only=True)
class DisputeFact:
    """One dispute. `net_minor` is what its movements of money come to (in the currency that we are paid out in)."""

    stripe_dispute_id: str
    amount_minor: int
    currency: str
    status: str
    reason: str
    evidence_due_at: datetime | None
    opened_at: datetime
    net_minor: int

    @property
    def state(self) -> str:
        """asked (an inquiry), open (the money is away until it is decided), lost, or over (and the money is ours).

        A prevented one was settled by the card network before it began: by a refund, which stands among the refunds,
        or by taking the money, which is as good as lost.
        """
        if self.status in _UNDECIDED:
            return "open"
        if self.status in _LOST or (self.status == "prevented" and self.net_minor < 0):
            return "lost"
        return "asked" if self.status in ("warning_needs_response", "warning_under_review") else "over"

    @property
    def funds(self) -> str | None:
        """Where the money is: withdrawn, reinstated; None when it never moved, or lies between."""
        if self.net_minor < 0:
            return "withdrawn"
        return "reinstated" if self.status == "won" else None


@dataclass(frozen=True, kw_only=True)
class Reversals:
    """All that went back, or may yet, of one payment; in the order in which it began."""

    refunds: tuple[RefundFact, ...] = ()
    disputes: tuple[DisputeFact, ...] = ()

    def refunded_minor(self, *, price_minor: int) -> int:
        """The money refunded in total."""
        return min(sum(refund.amount_minor for refund in self.refunds if refund.counts), price_minor)

    def lost_minor(self, *, price_minor: int) -> int:
        """The money lost to disputes beyond what was refunded: both together are never more than the price.

        A dispute over the whole charge after a partial refund is lost for the rest only; the refunded part comes
        back to us: https://support.stripe.com/questions/dispute-for-full-charge-amount-after-a-partial-refund-was-issued
        """
        lost = sum(dispute.amount_minor for dispute in self.disputes if dispute.state == "lost")
        return min(lost, price_minor - self.refunded_minor(price_minor=price_minor))


def fetch_reversals(payment_intent_id: str, *, refunded: bool, disputed: bool) -> Reversals:
    """What Stripe says now about refunds and disputes of this payment.

    `refunded` and `disputed` say whether there is any to be asked about. Raises PaymentsUnavailable.
    """
    return Reversals(
        refunds=fetch_refunds(payment_intent_id) if refunded else (),
        disputes=_fetch_disputes(payment_intent_id) if disputed else (),
    )


def fetch_refunds(payment_intent_id: str) -> tuple[RefundFact, ...]:
    """Every refund of this payment, oldest first. Raises PaymentsUnavailable."""
    return tuple(_refund(each) for each in _list_all("refunds", payment_intent_id))


def _fetch_disputes(payment_intent_id: str) -> tuple[DisputeFact, ...]:
    return tuple(_dispute(each) for each in _list_all("disputes", payment_intent_id))


def _list_all(what: str, payment_intent_id: str) -> list[Any]:
    """Oldest first. That there is nothing to list from is no answer: a payment that is known has both lists."""
    lists: stripe.RefundService | stripe.DisputeService = getattr(client().v1, what)
    try:
        with calling(f"list {what}"):
            found = lists.list(params={"payment_intent": payment_intent_id, "limit": 100})
            return [*found.auto_paging_iter()][::-1]
    except UnknownToStripe as error:
        raise PaymentsUnavailable(f"list {what}") from error


def _refund(found: Any) -> RefundFact:
    metadata = found.metadata
    return RefundFact(
        stripe_refund_id=found.id,
        amount_minor=found.amount,
        currency=found.currency.upper(),
        status=found.status or "pending",
        failure=getattr(found, "failure_reason", None),
        made_at=datetime.fromtimestamp(found.created, UTC),
        asked_as=metadata["refund"] if metadata and "refund" in metadata else None,
    )


def _dispute(found: Any) -> DisputeFact:
    due_by = found.evidence_details.due_by if found.evidence_details else None
    return DisputeFact(
        stripe_dispute_id=found.id,
        amount_minor=found.amount,
        currency=found.currency.upper(),
        status=found.status,
        reason=found.reason,
        evidence_due_at=datetime.fromtimestamp(due_by, UTC) if due_by else None,
        opened_at=datetime.fromtimestamp(found.created, UTC),
        net_minor=sum(movement.amount for movement in found.balance_transactions or ()),
    )
