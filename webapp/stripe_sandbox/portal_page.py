"""The billing portal: `/p/session/<session>`, plain forms to change the card, to cancel, keep or switch the plan."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from webapp.stripe_sandbox.cards import find_card
from webapp.stripe_sandbox.errors import StripeError
from webapp.stripe_sandbox.invoice_lines import name_of
from webapp.stripe_sandbox.local_only import require_own_page
from webapp.stripe_sandbox.outages import OpenStore
from webapp.stripe_sandbox.own_pages import cards_to_try, page, saved_cards, texts_for
from webapp.stripe_sandbox.periods import show_day
from webapp.stripe_sandbox.proration import plan_change
from webapp.stripe_sandbox.resources.billing_portal import CONFIGURATION, TYPE
from webapp.stripe_sandbox.resources.customers import set_default_method
from webapp.stripe_sandbox.resources.payment_methods import attach, make_payment_method
from webapp.stripe_sandbox.resources.setup_intents import attempt_setup, make_setup_intent
from webapp.stripe_sandbox.resources.subscriptions import end_now
from webapp.stripe_sandbox.store import Cause, Store, Stored
from webapp.stripe_sandbox.subscribing import apply_change
from webapp.stripe_sandbox.subscription_objects import ENDED, change_subscription, items_of, period_of
from webapp.stripe_sandbox.texts import Texts


def make_portal_page(*, open_store: OpenStore, base_url: str, wake: Callable[[], None]) -> Blueprint:
    pages = Blueprint("portal_page", __name__)

    @pages.before_request
    def keep_local() -> None:
        require_own_page(request, base_url=base_url)

    @pages.get("/p/session/<id>")
    def show(id: str) -> BaseResponse:
        return _show(open_store, id)

    @pages.post("/p/session/<id>")
    def act(id: str) -> BaseResponse:
        try:
            with open_store(Cause()) as store:
                session = store.find(TYPE, id)
                if session is None:
                    return page("gone", texts_for(None), status=404)
                problem = _act(store, session, action=request.form.get("action", ""))
        except StripeError as error:
            return _show(open_store, id, problem=error.message, status=error.status)
        wake()
        if problem:
            return _show(open_store, id, problem=problem, status=422)
        return redirect(_after(session.data), code=303)

    return pages


def _after(session: dict[str, Any]) -> str:
    flow = session["flow"]
    if flow and flow["after_completion"]["type"] == "redirect":
        return str(flow["after_completion"]["redirect"]["return_url"])
    return f"/p/session/{session['id']}?done=1"


def _show(open_store: OpenStore, id: str, *, problem: str | None = None, status: int = 200) -> BaseResponse:
    with open_store(Cause()) as store:
        session = store.find(TYPE, id)
        if session is None:
            return page("gone", texts_for(None), status=404)
        return _page(store, session, problem=problem, status=status)


def _act(store: Store, session: Stored, *, action: str) -> str | None:
    """What the pressed button does; what is wrong with it, if it does nothing."""
    texts = texts_for(session.data["locale"])
    features = _features(store, session)
    if action == "card" and features["payment_method_update"]["enabled"]:
        return _change_card(store, session.data["customer"], number=request.form.get("card", ""))
    id = request.form.get("subscription", "")
    subscription = store.lock("subscription", id)
    known = subscription is not None and subscription.data["customer"] == session.data["customer"]
    if subscription is None or not known or subscription.data["status"] in ENDED:
        return texts["no_plan"]
    if action == "cancel" and features["subscription_cancel"]["enabled"]:
        _cancel(store, subscription, at_once=features["subscription_cancel"]["mode"] == "immediately")
    elif action == "resume":
        keep = {"cancel_at": None, "cancel_at_period_end": False, "canceled_at": None}
        change_subscription(store, subscription, keep)
    elif action == "switch" and features["subscription_update"]["enabled"]:
        behavior = features["subscription_update"]["proration_behavior"]
        _switch(store, subscription, price=request.form.get("price", ""), behavior=behavior)
    else:
        return texts["choose"]
    return None


def _cancel(store: Store, subscription: Stored, *, at_once: bool) -> None:
    if at_once:
        end_now(store, subscription, params={})
        return
    details = subscription.data["cancellation_details"] | {"reason": "cancellation_requested"}
    leave = {"cancel_at": period_of(subscription.data)[1], "cancel_at_period_end": True}
    change_subscription(store, subscription, {**leave, "canceled_at": store.timestamp, "cancellation_details": details})


def _switch(store: Store, subscription: Stored, *, price: str, behavior: str) -> None:
    first = items_of(subscription.data)[0]["id"]
    change = plan_change(store, subscription.data, asked=[{"id": first, "price": price}], prorates=behavior != "none")
    apply_change(store, subscription, change, invoices_now=behavior == "always_invoice", other={})


def _change_card(store: Store, customer: str, *, number: str) -> str | None:
    """The card is saved and pays from now on, also for subscriptions that had their own."""
    card = find_card(number)
    saved = store.lock("payment_method", number)
    if saved is not None and saved.data["customer"] == customer:
        method = saved
    elif card is None:
        return "Your card number is incorrect."
    else:
        method = make_payment_method(store, card=card)
        setup = make_setup_intent(store, customer=customer)
        if attempt_setup(store, setup, method, authenticated=True) != "succeeded":
            return str(setup.data["last_setup_error"]["message"])
    attach(store, method, customer=customer, set_up=True)
    for seen in store.match("subscription", {"customer": customer}):
        subscription = store.require("subscription", seen.id)
        if subscription.data["status"] not in ENDED and subscription.data["default_payment_method"]:
            change_subscription(store, subscription, {"default_payment_method": method.id})
    set_default_method(store, customer, method.id)
    return None


def _page(store: Store, session: Stored, *, problem: str | None, status: int) -> BaseResponse:
    texts = texts_for(session.data["locale"])
    customer = session.data["customer"]
    subscriptions = store.match("subscription", {"customer": customer}, limit=10)
    invoices = store.match("invoice", {"customer": customer}, limit=12)
    features = _features(store, session)
    return page(
        "portal",
        texts,
        status=status,
        goes_to=(session.data["return_url"], _after(session.data)),
        target=f"/p/session/{session.id}",
        problem=problem,
        done="done" in request.args and problem is None,
        features=features,
        plans=[_plan(store, one, texts, switches=features["subscription_update"]["enabled"]) for one in subscriptions],
        invoices=[
            (one.data, texts.money(one.data["total"], one.data["currency"]))
            for one in invoices
            if features["invoice_history"]["enabled"] and one.data["hosted_invoice_url"]
        ],
        saved=saved_cards(store, customer),
        cards=cards_to_try(),
        way_on=session.data["return_url"],
    )


def _plan(store: Store, subscription: Stored, texts: Texts, *, switches: bool) -> dict[str, Any]:
    data = subscription.data
    current = [item["price"] for item in items_of(data)]
    open_to = store.match("price", {"type": "recurring", "active": True}, limit=30) if switches else []
    others = [one.data for one in open_to if one.data["currency"] == data["currency"]]
    return {
        "id": subscription.id,
        "status": data["status"],
        "names": [f"{name_of(store, price)}, {_cost(price, texts)}" for price in current],
        "end": texts.fill("ends" if data["cancel_at"] else "until", day=show_day(data["cancel_at"] or _end(data))),
        "leaving": data["cancel_at"] is not None,
        "ended": data["status"] in ENDED,
        "choices": [
            (price["id"], f"{name_of(store, price)}, {_cost(price, texts)}")
            for price in others
            if price["id"] not in {one["id"] for one in current}
        ],
    }


def _end(data: dict[str, Any]) -> int:
    return int(data["ended_at"] or period_of(data)[1])


def _cost(price: dict[str, Any], texts: Texts) -> str:
    per = texts[f"per_{price['recurring']['interval']}"]
    return f"{texts.money(price['unit_amount'] or 0, price['currency'])} {per}"


def _features(store: Store, session: Stored) -> dict[str, Any]:
    configuration = store.find(CONFIGURATION, session.data["configuration"])
    assert configuration is not None
    features: dict[str, Any] = configuration.data["features"]
    return features
