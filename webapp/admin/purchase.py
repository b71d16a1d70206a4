"""/admin/purchases/<id>: what was promised, what was paid, what is left of the credits, and what Stripe told."""

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from webapp import ledger
from webapp.admin.money_words import PURCHASE_STATES, said
from webapp.admin.refund_rows import dispute_rows, event_rows, refund_rows
from webapp.billing.dispute import disputes_of
from webapp.billing.events_about import charge_among, events_about
from webapp.billing.purchase import Purchase
from webapp.billing.refund import refunds_of
from webapp.billing.stripe_api import mode
from webapp.database import unit_of_work
from webapp.people.roles import require_role
from webapp.people.user import User

pages = Blueprint("admin_purchase", __name__)

MOST_EVENTS = 50


@pages.get("/admin/purchases/<number:purchase_id>")
@require_role("finance", "support")
def purchase(purchase_id: int) -> ResponseReturnValue:
    """One purchase with all that belongs to it. A handful of statements, whatever it went through."""
    with unit_of_work() as session:
        found = session.get(Purchase, purchase_id)
        if found is None:
            abort(404)
        grant = None
        if found.grant_id is not None:
            grant = ledger.get_grant(session, account_id=found.account_id, grant_id=found.grant_id)
        refunds, disputes = refunds_of(session, purchase_id=found.id), disputes_of(session, purchase_id=found.id)
        names = [found.stripe_session_id, found.stripe_payment_intent_id]
        names += [one.stripe_refund_id for one in refunds] + [one.stripe_dispute_id for one in disputes]
        events = events_about(session, ids=[name for name in names if name], limit=MOST_EVENTS)
        email = session.scalar(select(User.email).where(User.id == found.user_id))
        return render_template(
            "admin/money/purchase.html",
            purchase=found,
            who=email or found.external_id,
            state=said(PURCHASE_STATES, found.state),
            grant=grant,
            charge=charge_among(events),
            refunds=refund_rows(session, refunds),
            disputes=dispute_rows(disputes),
            events=event_rows(events),
            refundable=found.state == "fulfilled" and found.mode == mode() and bool(found.paid_minor),
        )
