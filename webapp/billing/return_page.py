"""Coming back from Stripe: what became of the payment, settled by the same function as the events."""

import re

import structlog
from flask import Blueprint, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.fulfilment import settle_purchase
from webapp.billing.purchase import Purchase, find_by_session
from webapp.billing.stripe_api import PaymentsUnavailable, mode
from webapp.billing.subscribe_page import come_back as come_back_from_plan
from webapp.database import unit_of_work
from webapp.people.signed_in import htmx_asks

log = structlog.get_logger()

blueprint = Blueprint("checkout_return", __name__)

# The page looks every two seconds for two minutes, then leaves it to the buyer to look again.
MOST_POLLS = 60
# Most looks read our own row, which the events change; every fifth asks Stripe.
ASK_STRIPE_EVERY = 5
_SESSION_ID = re.compile(r"cs_[A-Za-z0-9_]{1,250}")

OUTCOMES = {
    "fulfilled": "success",
    "pending": "pending",
    "failed": "failed",
    "expired": "expired",
    "parked": "parked",
    "open": "cancelled",
    "new": "cancelled",
}


@blueprint.get("/checkout/return")
@login_required  # type: ignore[untyped-decorator]
def come_back() -> ResponseReturnValue:
    """The outcome; for htmx only the part that changes. Whose purchase it is not gets 404."""
    session_id = request.args.get("session_id", "")
    if not _SESSION_ID.fullmatch(session_id):
        abort(404)
    polls = min(request.args.get("poll", 0, type=int) or 0, MOST_POLLS)
    with unit_of_work() as session:
        purchase = find_by_session(session, session_id=session_id)
        purchase_id = purchase.id if purchase is not None and _belongs_to_reader(purchase) else None
    if purchase_id is None:
        outcome = come_back_from_plan(session_id, max(polls, 0))
        return outcome if outcome is not None else abort(404)
    asked = polls % ASK_STRIPE_EVERY == 0 and _settle(purchase_id)
    with unit_of_work() as session:
        purchase = session.get_one(Purchase, purchase_id)
        return _render(session, purchase, polls=max(polls, 0), asked=asked)


@blueprint.get("/checkout/cancelled/<int:purchase_id>")
@login_required  # type: ignore[untyped-decorator]
def cancelled(purchase_id: int) -> ResponseReturnValue:
    """Where Stripe sends who left the pay page: the same page of outcomes."""
    with unit_of_work() as session:
        purchase = session.get(Purchase, purchase_id) if purchase_id < 2**63 else None
        if purchase is None or not _belongs_to_reader(purchase) or purchase.stripe_session_id is None:
            abort(404)
        return redirect(f"/checkout/return?session_id={purchase.stripe_session_id}", 303)


def _belongs_to_reader(purchase: Purchase) -> bool:
    return bool(purchase.user_id == current_user.id) and purchase.mode == mode()


def _settle(purchase_id: int) -> bool:
    """Whether Stripe could be asked; if not, events and reconciliation settle it later."""
    try:
        with unit_of_work() as session:
            settle_purchase(session, purchase_id=purchase_id)
    except (PaymentsUnavailable, OperationalError) as error:
        log.warning("return_page_could_not_settle", purchase=purchase_id, error=str(error))
        return False
    return True


def _render(session: Session, purchase: Purchase, *, polls: int, asked: bool) -> str:
    outcome = OUTCOMES[purchase.state]
    if outcome == "cancelled" and not asked:
        outcome = "pending"  # the buyer may well have paid: say no more than what is known
    grant = balance = None
    if purchase.grant_id is not None:
        grant = ledger.get_grant(session, account_id=purchase.account_id, grant_id=purchase.grant_id)
        balance = ledger.balance(session, account_id=purchase.account_id)
    part = htmx_asks()
    return render_template(
        "billing/checkout/_outcome.html" if part else "billing/checkout/return.html",
        announce=part,
        purchase=purchase,
        outcome=outcome,
        grant=grant,
        balance=balance,
        next_poll=polls + 1 if outcome == "pending" and polls < MOST_POLLS else None,
    )
