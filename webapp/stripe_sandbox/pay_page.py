"""The page on which a person pays: `/c/pay/<session>`, one form without JavaScript."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from webapp.stripe_sandbox import payments
from webapp.stripe_sandbox.buyers import Buyer, Outcome, offers_saving
from webapp.stripe_sandbox.charging import NOT_AUTHENTICATED
from webapp.stripe_sandbox.checkout_session_objects import discount_session
from webapp.stripe_sandbox.errors import StripeError
from webapp.stripe_sandbox.local_only import require_own_page
from webapp.stripe_sandbox.money import format_money
from webapp.stripe_sandbox.outages import OpenStore
from webapp.stripe_sandbox.own_pages import cards_to_try, page, saved_cards, texts_for
from webapp.stripe_sandbox.params import is_email
from webapp.stripe_sandbox.resources.payment_methods import delayed_type
from webapp.stripe_sandbox.resources.promotion_codes import find_by_code, why_not
from webapp.stripe_sandbox.store import Cause, Store, Stored

SUGGESTED_EMAIL = "buyer@example.com"
ACTIONS = ("pay", "decline", "delay", "fail_later", "authenticate", "refuse")


def make_pay_page(*, open_store: OpenStore, base_url: str, wake: Callable[[], None]) -> Blueprint:
    pages = Blueprint("pay_page", __name__)

    @pages.before_request
    def keep_local() -> None:
        require_own_page(request, base_url=base_url)

    @pages.get("/c/pay/<id>")
    def show(id: str) -> BaseResponse:
        with open_store(Cause()) as store:
            session = store.lock("checkout.session", id)
            if session is None:
                return page("gone", texts_for(None), status=404)
            payments.is_payable(store, session)
            return _state_page(store, session)

    @pages.post("/c/pay/<id>")
    def act(id: str) -> BaseResponse:
        try:
            with open_store(Cause()) as store:
                session = store.lock("checkout.session", id)
                if session is None:
                    return page("gone", texts_for(None), status=404)
                answer = _act(store, session, action=request.form.get("action", ""))
        except StripeError as error:
            with open_store(Cause()) as store:
                return _open_page(
                    store, store.require("checkout.session", id), problem=error.message, status=error.status
                )
        wake()
        return answer

    @pages.get("/receipts/<id>")
    def receipt(id: str) -> BaseResponse:
        with open_store(Cause()) as store:
            charge = store.find("charge", id)
        if charge is None or not charge.data["paid"]:
            return page("gone", texts_for(None), status=404)
        total = format_money(charge.data["amount"], charge.data["currency"])
        return page("receipt", texts_for(None), charge=charge.data, total=total)

    return pages


def _act(store: Store, session: Stored, *, action: str) -> BaseResponse:
    """What the pressed button does; of two presses at once the second finds what the first did."""
    texts = texts_for(session.data["locale"])
    if not payments.is_payable(store, session):
        if session.data["status"] == "complete":
            return redirect(return_url(session.data), code=303)
        return _state_page(store, session)
    if action == "cancel":
        if session.data["cancel_url"]:
            return redirect(session.data["cancel_url"], code=303)
        return _open_page(store, session, problem=texts["no_way_back"], status=200)
    code = request.form.get("promotion_code", "").strip()
    problem = _apply_code(store, session, code) if code and session.data["allow_promotion_codes"] else None
    if action == "apply" or problem:
        return _open_page(store, session, problem=problem, status=422 if problem else 200)
    if action not in ACTIONS:
        return _open_page(store, session, problem=texts["choose"], status=400)
    email = _given_email(session)
    if email is not None and not is_email(email):
        return _open_page(store, session, problem=texts["bad_email"], status=422)
    return _try(store, session, action=action, email=email)


def _try(store: Store, session: Stored, *, action: str, email: str | None) -> BaseResponse:
    card = request.form.get("card", "").strip()[:64]
    later = action in ("delay", "fail_later")
    buyer = Buyer(
        email=email,
        card="" if later else card,
        delayed=later,
        fails_later=action == "fail_later",
        authenticated=action == "authenticate",
        refused=NOT_AUTHENTICATED if action == "refuse" else None,
        saves_card=offers_saving(session.data) and "save_card" in request.form,
    )
    declines = action == "decline" and (session.data["amount_total"] != 0 or _takes_card(session))
    outcome = (payments.decline if declines else payments.pay)(store, session, buyer=buyer)
    return _answer(store, session, outcome, buyer)


def _takes_card(session: Stored) -> bool:
    """Whether an order that costs nothing is asked for a card all the same."""
    if session.data["mode"] == "payment":
        return False
    return bool(session.data["mode"] == "setup" or session.data["payment_method_collection"] == "always")


def _answer(store: Store, session: Stored, outcome: Outcome, buyer: Buyer) -> BaseResponse:
    texts = texts_for(session.data["locale"])
    if outcome.complete:
        return redirect(return_url(session.data), code=303)
    if outcome.kind == "authenticate":
        hidden = {"card": buyer.card, "email": buyer.email or ""} | ({"save_card": "1"} if buyer.saves_card else {})
        return page("authenticate", texts, target=f"/c/pay/{session.id}", hidden=hidden, goes_to=_targets(session.data))
    plain = outcome.message == "Your card was declined."
    return _open_page(store, session, problem=texts["declined"] if plain else outcome.message, status=402)


def _apply_code(store: Store, session: Stored, code: str) -> str | None:
    """The typed code's discount is taken off; what is wrong with it, if it is not."""
    data = session.data
    found = find_by_code(store, code)
    if found is None:
        return texts_for(data["locale"])["bad_code"]
    customer, amount, currency = data["customer"], data["amount_subtotal"], data["currency"]
    problem = why_not(store, found.data, customer=customer, amount=amount, currency=currency)
    if problem is None:
        chosen = {"coupon": found.data["promotion"]["coupon"], "promotion_code": found.id}
        discount_session(store, session, [chosen])
    return problem


def return_url(session: dict[str, Any]) -> str:
    """`success_url` with the session's id, where the merchant put Stripe's placeholder."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _given_email(session: Stored) -> str | None:
    """What the buyer typed; a form without the field means the suggested one."""
    if session.data["customer"] is not None or session.data["customer_email"] is not None:
        return None
    return request.form.get("email", SUGGESTED_EMAIL).strip()


def _state_page(store: Store, session: Stored) -> BaseResponse:
    texts = texts_for(session.data["locale"])
    if session.data["status"] == "open":
        return _open_page(store, session)
    if session.data["status"] == "complete":
        paid = session.data["payment_status"] != "unpaid"
        name = "paid" if paid else "pending"
        return page("closed", texts, state=name, way_on=return_url(session.data))
    return page("closed", texts, state="expired", way_on=session.data["cancel_url"], status=410)


def _open_page(store: Store, session: Stored, *, problem: str | None = None, status: int = 200) -> BaseResponse:
    data, texts = session.data, texts_for(session.data["locale"])
    currency = data["currency"] or "usd"
    discount, tax = data["total_details"]["amount_discount"], data["total_details"]["amount_tax"]
    return page(
        "pay",
        texts,
        status=status,
        goes_to=_targets(data),
        session=data,
        problem=problem,
        total=texts.money(data["amount_total"] or 0, currency),
        discount=texts.money(-discount, currency) if discount else None,
        tax=texts.money(tax, currency) if tax else None,
        lines=[
            (
                item["description"],
                item["quantity"],
                texts.money(item["amount_subtotal"], item["currency"]),
                _every(item),
            )
            for item in session.private["items"]
        ],
        merchant=urlsplit(data["success_url"]).netloc,
        email=request.form.get("email", SUGGESTED_EMAIL),
        asks_email=data["customer"] is None and data["customer_email"] is None,
        known_email=(data["customer_details"] or {}).get("email"),
        delayed=delayed_type(currency).replace("_", " "),
        saved=saved_cards(store, data["customer"], redisplay=_redisplayed(data)),
        saving=offers_saving(data),
        cards=cards_to_try(),
        code=request.form.get("promotion_code", ""),
    )


def _redisplayed(data: dict[str, Any]) -> list[str]:
    """Which saved cards the page may offer; only those that may always be shown, unless the session says otherwise."""
    options = data["saved_payment_method_options"] or {}
    return options.get("allow_redisplay_filters") or ["always"]


def _every(item: dict[str, Any]) -> str | None:
    recurring = item["price"]["recurring"]
    return str(recurring["interval"]) if recurring else None


def _targets(data: dict[str, Any]) -> tuple[str | None, ...]:
    return (data["success_url"], data["cancel_url"])
