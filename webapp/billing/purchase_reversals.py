"""What a purchase becomes when its money goes back: refunds and disputes kept, credits revoked, frozen, restored."""

import structlog
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from webapp.billing.dispute import (
    FROZEN_STATES,
    Dispute,
    disputes_of,
    freeze_disputed,
    keep_dispute,
    state_of,
    unfreeze_disputed,
)
from webapp.billing.purchase import Purchase
from webapp.billing.refund import Refund, keep_refunds
from webapp.billing.reversals import Reversals
from webapp.billing.take_back import Gone, PaidGrant, take_back

log = structlog.get_logger()


def follow_reversals(session: Session, *, purchase: Purchase, reversals: Reversals) -> bool:
    """The fulfilled purchase has lost as much, and is as frozen, as Stripe's word on its payment implies.

    Absolute: it depends on what stands at Stripe, never on the order or number of the events that told. Returns
    whether any of it was news. The caller holds the purchase's lock; locks the account.
    """
    news = [keep_refunds(session, facts=reversals.refunds, purchase_id=purchase.id)]
    known = disputes_of(session, purchase_id=purchase.id) if reversals.disputes else []
    was_frozen = {each.stripe_dispute_id for each in known if _frozen(each)}
    disputes = _keep_disputes(session, purchase, known, reversals)
    paid = paid_grant(purchase)
    for dispute, _ in disputes:
        if _frozen(dispute) and dispute.stripe_dispute_id not in was_frozen:
            freeze_disputed(
                session, account_id=paid.account_id, grant_id=paid.grant_id, dispute_id=dispute.stripe_dispute_id
            )
    news.append(_take_back(session, purchase, paid, reversals))
    for dispute, _ in disputes:
        if not _frozen(dispute) and dispute.stripe_dispute_id in was_frozen:
            unfreeze_disputed(
                session, account_id=paid.account_id, grant_id=paid.grant_id, dispute_id=dispute.stripe_dispute_id
            )
    return any(news) or any(new for _, new in disputes)


def paid_grant(purchase: Purchase) -> PaidGrant:
    """The grant of a fulfilled purchase, with its payment."""
    assert purchase.grant_id is not None
    assert purchase.paid_minor is not None
    return PaidGrant(
        account_id=purchase.account_id,
        grant_id=purchase.grant_id,
        credits=purchase.credits,
        price_minor=purchase.paid_minor,
        currency=purchase.currency,
        name=purchase.package_name,
        reference=purchase.source_key,
    )


def gone(purchase: Purchase) -> Gone:
    """The money of the purchase that went back so far."""
    return Gone(refunded_minor=purchase.refunded_minor, lost_minor=purchase.lost_minor)


def known_reversals(session: Session, *, purchase_id: int) -> set[str]:
    """Which of "refunds" and "disputes" there ever were of it, asked for here or seen at Stripe."""
    query = select(
        exists().where(Refund.purchase_id == purchase_id), exists().where(Dispute.purchase_id == purchase_id)
    )
    refunds, disputes = session.execute(query).one()
    return {name for name, known in (("refunds", refunds), ("disputes", disputes)) if known}


def parked_dispute(session: Session, *, purchase_id: int) -> str | None:
    """Why a person has to look at a dispute of this purchase; None when nobody has to."""
    for dispute in disputes_of(session, purchase_id=purchase_id):
        if dispute.state == "parked":
            return (
                f"purchase {purchase_id}: dispute {dispute.stripe_dispute_id} is lost"
                f" for {dispute.amount_minor} {dispute.currency}, another currency than the payment's"
            )
    return None


def _frozen(dispute: Dispute) -> bool:
    return dispute.state in FROZEN_STATES


def _keep_disputes(
    session: Session, purchase: Purchase, known: list[Dispute], reversals: Reversals
) -> list[tuple[Dispute, bool]]:
    if not reversals.disputes:
        return []
    rows = {each.stripe_dispute_id: each for each in known}
    assert purchase.stripe_payment_intent_id is not None
    return [
        keep_dispute(
            session,
            known=rows.get(fact.stripe_dispute_id),
            fact=fact,
            payment_intent_id=purchase.stripe_payment_intent_id,
            purchase_id=purchase.id,
            currency=purchase.currency,
        )
        for fact in reversals.disputes
    ]


def _take_back(session: Session, purchase: Purchase, paid: PaidGrant, reversals: Reversals) -> bool:
    sure = Reversals(
        refunds=reversals.refunds,
        disputes=tuple(d for d in reversals.disputes if state_of(d, currency=purchase.currency) != "parked"),
    )
    now = Gone(
        refunded_minor=sure.refunded_minor(price_minor=paid.price_minor),
        lost_minor=sure.lost_minor(price_minor=paid.price_minor),
    )
    before = gone(purchase)
    if now == before:
        return False
    take_back(session, paid=paid, before=before, now=now)
    purchase.refunded_minor, purchase.lost_minor = now.refunded_minor, now.lost_minor
    log.info(
        "credits_followed_money", purchase=purchase.id, refunded_minor=now.refunded_minor, lost_minor=now.lost_minor
    )
    return True
