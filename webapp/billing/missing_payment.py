"""A payment that a plan waits for: the one who pays is told, once for each invoice."""

from sqlalchemy.orm import Session

from webapp import outbox
from webapp.billing.subscription import Subscription

# A first payment is missed by somebody who sits before the page; a renewal by somebody who is elsewhere.
RENEWAL_MISSING = ("past_due", "unpaid")


def tell_of_missing_payment(session: Session, *, subscription: Subscription) -> None:
    """A mail is on its way when a renewal could not be collected. Repeatable: one mail an invoice.

    Whether the money is still missing is looked at again when the mail is written.
    """
    invoice_id = subscription.unpaid_invoice_id
    if subscription.status not in RENEWAL_MISSING or invoice_id is None or subscription.user_id is None:
        return
    args = {"mail": "payment_failed", "user_id": subscription.user_id, "invoice": invoice_id}
    outbox.put(session, job="send_mail", key=f"payment-failed:{invoice_id}", args=args)
