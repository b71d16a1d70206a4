"""What a refund would give back and take away, before anybody decides on it."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.purchase import Purchase
from webapp.billing.purchase_reversals import gone, paid_grant
from webapp.billing.refunding import ExceedsPayment, left_minor
from webapp.billing.take_back import Gone, take_back
from webapp.database import undone
from webapp.minor_units import smallest_step


@dataclass(frozen=True, kw_only=True)
class RefundQuote:
    """A refund of `amount_minor`, not made; `left_minor` is the most that could be given back.

    `unspent_credits` of the grant are left (those on hold not counted), and were paid with `unspent_minor`. The
    refund would take `taken` credits and make `debt` of what was spent already; `gone` had expired
    anyway, or is on hold and follows when that ends.
    """

    amount_minor: int
    left_minor: int
    currency: str
    unspent_credits: int
    unspent_minor: int
    taken: int
    debt: int
    gone: int
    balance_before: int
    balance_after: int
    debt_before: int
    debt_after: int


def quote_refund(session: Session, *, purchase: Purchase, amount_minor: int | None = None) -> RefundQuote:
    """What refunding `amount_minor` would do; None: what was paid for what is unspent, taxes included.

    The ledger itself does it, and it is undone again: nothing is written. Locks the account until the
    end of the database transaction. Raises NotRefundable, ExceedsPayment.
    """
    left = left_minor(session, purchase=purchase)
    paid = paid_grant(purchase)
    with undone(session):
        ledger.expire_account(session, account_id=paid.account_id)
        grant = ledger.get_grant(session, account_id=paid.account_id, grant_id=paid.grant_id)
        before = ledger.balance(session, account_id=paid.account_id)
        unspent = grant.remaining - grant.held
        unspent_minor = min(
            worth(
                credits=unspent,
                of_credits=purchase.credits,
                price_minor=paid.price_minor,
                currency=purchase.currency,
            ),
            left,
        )
        amount = unspent_minor if amount_minor is None else amount_minor
        if not 0 <= amount <= left or (amount == 0 and amount_minor is not None):
            raise ExceedsPayment(left)
        now = gone(purchase)
        then = Gone(refunded_minor=now.refunded_minor + amount, lost_minor=now.lost_minor)
        entry = take_back(session, paid=paid, before=now, now=then) if amount else None
        after = ledger.balance(session, account_id=paid.account_id)
        later = ledger.get_grant(session, account_id=paid.account_id, grant_id=paid.grant_id)
    taken = grant.remaining - later.remaining
    debt = -(entry.amount if entry else 0) - taken
    return RefundQuote(
        amount_minor=amount,
        left_minor=left,
        currency=purchase.currency,
        unspent_credits=unspent,
        unspent_minor=unspent_minor,
        taken=taken,
        debt=debt,
        gone=later.revoked - grant.revoked - taken - debt,
        balance_before=before.balance,
        balance_after=after.balance,
        debt_before=before.debt,
        debt_after=after.debt,
    )


def worth(*, credits: int, of_credits: int, price_minor: int, currency: str) -> int:
    """What was paid for `credits` of `of_credits`, in minor units: rounded down, so that no spent credit is paid back,
    and to what Stripe takes in that currency.
    """
    step = smallest_step(currency)
    return credits * price_minor // of_credits // step * step
