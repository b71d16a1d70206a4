"""Coming back from Stripe: what became of the payment, settled by the same function as the events."""

import re
from functools import partial

import structlog
from flask import Blueprint, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.fulfilment import settle_purchase
from webapp.billing.outcome import MOST_POLLS, ask_stripe, next_poll, outcome_of
from webapp.billing.purchase import Purchase, find_by_session
from webapp.billing.stripe_api import mode
from webapp.billing.subscribe_page import come_back as come_back_from_plan
from webapp.database import unit_of_work
from webapp.people.signed_in import htmx_asks

log = structlog.get_logger()

blueprint = Blueprint("checkout_return", __name__)

_SESSION_ID = re.compile(r"cs_[A-Za-z0-9_]{1,250}")


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
    asked = ask_stripe(partial(settle_purchase, purchase_id=purchase_id), polls=polls, purchase=purchase_id)
    with unit_of_work() as session:
        purchase = session.get_one(Purchase, purchase_id)
        return _render(session, purchase, polls=max(polls, 0), asked=asked)


@blueprint.get("/checkout/cancelled/<int:purchase_id>")
@blueprint.get("/purchases/<int:purchase_id>", endpoint="purchase")
@login_required  # type: ignore[untyped-decorator]
def cancelled(purchase_id: int) -> ResponseReturnValue:
    """Where Stripe sends who left the pay page, and where the history leads: the same page of outcomes."""
    with unit_of_work() as session:
        purchase = session.get(Purchase, purchase_id) if purchase_id < 2**63 else None
        if purchase is None or not _belongs_to_reader(purchase) or purchase.stripe_session_id is None:
            abort(404)
        return redirect(f"/checkout/return?session_id={purchase.stripe_session_id}", 303)


def _belongs_to_reader(purchase: Purchase) -> bool:
    return bool(purchase.account_id == current_user.account_id) and purchase.mode == mode()


def _render(session: Session, purchase: Purchase, *, polls: int, asked: bool) -> str:
    outcome = outcome_of(purchase.state, asked=asked)
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
        next_poll=next_poll(outcome, polls=polls),
    )
