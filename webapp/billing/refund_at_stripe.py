"""Asking Stripe for a refund, once: what was made for it before is found by its name and adopted."""

import stripe
import structlog

from webapp.billing.refund import Refund
from webapp.billing.reversals import fetch_refunds
from webapp.billing.stripe_api import calling, client

log = structlog.get_logger()


def ensure_refund(refund: Refund, *, payment_intent_id: str, named: dict[str, str], key: str) -> str | None:
    """The refund exists at Stripe, made now or found; returns Stripe's words when it was refused.

    `named` is what its metadata says besides its own number; `key` makes it once within a day, the number later, too.
    Raises PaymentsUnavailable; it may have been made then, and is found next time.
    """
    if any(fact.asked_as == str(refund.id) for fact in fetch_refunds(payment_intent_id)):
        return None
    with calling("create refund"):
        try:
            client().v1.refunds.create(
                params={
                    "payment_intent": payment_intent_id,
                    "amount": refund.amount_minor,
                    "reason": "requested_by_customer",
                    "metadata": {**named, "refund": str(refund.id)},
                },
                options={"idempotency_key": f"refund:{refund.id}:{key}"},
            )
        except stripe.InvalidRequestError as error:
            log.warning("refund_refused", refund=refund.id, code=error.code, request=error.request_id)
            return f"{error.code or error.http_status}: {error.user_message or error}"[:500]
    return None
