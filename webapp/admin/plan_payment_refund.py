"""/admin/payments/<pi>/refund: money back for what a plan was paid with, and the credits that go with it."""

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from webapp.admin import refund_form
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.admin.plan_payment import find_payment
from webapp.billing.plan_refunding import quote_plan_refund, refund_plan
from webapp.billing.refund_quote import RefundQuote
from webapp.billing.refunding import ExceedsPayment, IntentReused, NotRefundable
from webapp.database import unit_of_work
from webapp.extensions import db
from webapp.people.roles import require_role

pages = Blueprint("admin_plan_payment_refund", __name__)


def _refund(session: Session, order: Order, *, payment_intent_id: str, amount_minor: int) -> Done:
    paid = find_payment(session, payment_intent_id=payment_intent_id)
    assert paid is not None, "the page has looked"
    try:
        quote = quote_plan_refund(session, payment_intent_id=payment_intent_id, amount_minor=amount_minor)
        refund_plan(
            session,
            payment_intent_id=payment_intent_id,
            amount_minor=amount_minor,
            reason=order.reason,
            actor=order.actor,
            intent=order.key,
        )
    except (NotRefundable, ExceedsPayment) as refusal:
        raise refund_form.refusal_of(refusal, currency=paid.currency) from None
    except IntentReused:
        raise Refused(_("This form was used for another refund. Begin anew.")) from None
    return refund_form.done_by(
        quote,
        subject=f"payment:{payment_intent_id}",
        account_id=paid.account_id,
        refunded_minor=paid.paid_minor - quote.left_minor,
    )


REFUND = define(
    Act(
        key="plan.refund",
        label=_l("Refund the payment"),
        done=_l("The refund is on its way to Stripe. The credits follow when Stripe has it."),
        roles=("finance",),
        do=_refund,
    )
)


@pages.route("/admin/payments/<stripe:payment_intent_id>/refund", methods=["GET", "POST"])
@require_role("finance")
def refund(payment_intent_id: str) -> ResponseReturnValue:
    """The form with what is left, then what the refund would do, then it is asked of Stripe."""
    with unit_of_work() as session:
        paid = find_payment(session, payment_intent_id=payment_intent_id)
    if paid is None:
        abort(404)

    def quote() -> RefundQuote:
        return quote_plan_refund(db.session(), payment_intent_id=payment_intent_id)

    return refund_form.answer(
        REFUND,
        title=_("Refund of a payment for a plan"),
        currency=paid.currency,
        arguments={"payment_intent_id": payment_intent_id},
        back=f"/admin/payments/{payment_intent_id}",
        quote=quote,
    )
