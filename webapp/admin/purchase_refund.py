"""/admin/purchases/<id>/refund: money back for a purchase, all or a part, and the credits that go with it."""

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from webapp.admin import refund_form
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.billing.purchase import Purchase, lock_purchase
from webapp.billing.refund_quote import RefundQuote, quote_refund
from webapp.billing.refunding import ExceedsPayment, IntentReused, NotRefundable, refund_purchase
from webapp.database import unit_of_work
from webapp.extensions import db
from webapp.people.roles import require_role

pages = Blueprint("admin_purchase_refund", __name__)


def _refund(session: Session, order: Order, *, purchase_id: int, amount_minor: int) -> Done:
    purchase = lock_purchase(session, purchase_id=purchase_id)
    try:
        quote = quote_refund(session, purchase=purchase, amount_minor=amount_minor)
        done = refund_form.done_by(
            quote,
            subject=f"purchase:{purchase_id}",
            account_id=purchase.account_id,
            refunded_minor=(purchase.paid_minor or 0) - quote.left_minor,
        )
        refund_purchase(
            session,
            purchase_id=purchase_id,
            amount_minor=amount_minor,
            reason=order.reason,
            actor=order.actor,
            intent=order.key,
        )
    except (NotRefundable, ExceedsPayment) as refusal:
        raise refund_form.refusal_of(refusal, currency=purchase.currency) from None
    except IntentReused:
        raise Refused(_("This form was used for another refund. Begin anew.")) from None
    return done


REFUND = define(
    Act(
        key="purchase.refund",
        label=_l("Refund the purchase"),
        done=_l("The refund is on its way to Stripe. The credits follow when Stripe has it."),
        roles=("finance",),
        do=_refund,
    )
)


@pages.route("/admin/purchases/<number:purchase_id>/refund", methods=["GET", "POST"])
@require_role("finance")
def refund(purchase_id: int) -> ResponseReturnValue:
    """The form with what is left, then what the refund would do, then it is asked of Stripe."""
    with unit_of_work() as session:
        purchase = session.get(Purchase, purchase_id)
        if purchase is None:
            abort(404)
        currency = purchase.currency

    def quote() -> RefundQuote:
        return quote_refund(db.session(), purchase=db.session.get_one(Purchase, purchase_id))

    return refund_form.answer(
        REFUND,
        title=_("Refund of purchase %(number)s", number=purchase_id),
        currency=currency,
        arguments={"purchase_id": purchase_id},
        back=f"/admin/purchases/{purchase_id}",
        quote=quote,
    )
