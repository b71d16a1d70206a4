"""Pages on which a payer answers for one thing: an invoice (`/i/…`), or the bank's question (`/authenticate/…`)."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from webapp.stripe_sandbox.cards import GOOD, find_card
from webapp.stripe_sandbox.charging import NOT_AUTHENTICATED, attempt
from webapp.stripe_sandbox.collecting import collect, intent_of, lock_invoice_of, tell_invoice
from webapp.stripe_sandbox.errors import StripeError
from webapp.stripe_sandbox.invoicing import require_invoice
from webapp.stripe_sandbox.local_only import require_own_page
from webapp.stripe_sandbox.outages import OpenStore
from webapp.stripe_sandbox.own_pages import cards_to_try, page, saved_cards, texts_for
from webapp.stripe_sandbox.resources.payment_intents import finish_saving
from webapp.stripe_sandbox.resources.payment_methods import make_payment_method
from webapp.stripe_sandbox.resources.setup_intents import NOT_AUTHENTICATED as NOT_SET_UP
from webapp.stripe_sandbox.resources.setup_intents import attempt_setup
from webapp.stripe_sandbox.store import Cause, Store, Stored


def make_payer_pages(*, open_store: OpenStore, base_url: str, wake: Callable[[], None]) -> Blueprint:
    pages = Blueprint("payer_pages", __name__)

    @pages.before_request
    def keep_local() -> None:
        require_own_page(request, base_url=base_url)

    @pages.get("/i/<id>")
    @pages.get("/i/<id>/pdf")
    def invoice(id: str) -> BaseResponse:
        with open_store(Cause()) as store:
            return _invoice_page(store, store.find("invoice", id))

    @pages.post("/i/<id>")
    def pay_invoice(id: str) -> BaseResponse:
        try:
            with open_store(Cause()) as store:
                answer = _pay_invoice(store, id)
        except StripeError as error:
            with open_store(Cause()) as store:
                return _invoice_page(store, store.find("invoice", id), problem=error.message, status=error.status)
        wake()
        return answer

    @pages.get("/authenticate/<id>")
    def question(id: str) -> BaseResponse:
        with open_store(Cause()) as store:
            found = store.find("payment_intent", id) or store.find("setup_intent", id)
            if found is None or found.data["status"] != "requires_action":
                return page("gone", texts_for(None), status=404)
            back = found.private.get("return_url")
            return page("authenticate", texts_for(None), target=f"/authenticate/{id}", hidden={}, goes_to=(back,))

    @pages.post("/authenticate/<id>")
    def answer(id: str) -> BaseResponse:
        with open_store(Cause()) as store:
            done = _answer_bank(store, id, confirmed=request.form.get("action") == "authenticate")
        wake()
        return done

    return pages


def _invoice_page(
    store: Store, invoice: Stored | None, *, problem: str | None = None, status: int = 200
) -> BaseResponse:
    if invoice is None or invoice.data["status"] == "draft":
        return page("gone", texts_for(None), status=404)
    data, texts = invoice.data, texts_for(None)
    return page(
        "invoice",
        texts,
        status=status,
        invoice=data,
        problem=problem,
        state=data["status"] if data["status"] in ("paid", "open") else "closed",
        total=texts.money(data["total"], data["currency"]),
        due=texts.money(data["amount_remaining"], data["currency"]),
        lines=[
            (one["description"], one["quantity"], texts.money(one["amount"], data["currency"]))
            for one in data["lines"]["data"]
        ],
        saved=saved_cards(store, data["customer"]),
        cards=cards_to_try(),
    )


def _pay_invoice(store: Store, id: str) -> BaseResponse:
    if store.find("invoice", id) is None:
        return page("gone", texts_for(None), status=404)
    invoice = require_invoice(store, id)
    if invoice.data["status"] != "open":
        return _invoice_page(store, invoice)
    action = request.form.get("action", "pay")
    method = _chosen_method(store, invoice.data["customer"], request.form.get("card", ""))
    refused = NOT_AUTHENTICATED if action == "refuse" else None
    status = collect(
        store,
        invoice,
        method=method,
        off_session=False,
        authenticated=action == "authenticate",
        refused=refused,
    )
    if status == "requires_action":
        hidden = {"card": request.form.get("card", "")}
        return page("authenticate", texts_for(None), target=f"/i/{id}", hidden=hidden)
    if status == "requires_payment_method":
        told = intent_of(store, invoice).data["last_payment_error"]["message"]
        return _invoice_page(store, invoice, problem=told, status=402)
    return redirect(f"/i/{id}", code=303)


def _chosen_method(store: Store, customer: str, card: str) -> Stored:
    saved = store.lock("payment_method", card)
    if saved is not None and saved.data["customer"] == customer:
        return saved
    found = find_card(card) if card else GOOD
    if found is None:
        raise StripeError("Your card number is incorrect.", status=402, type="card_error", code="incorrect_number")
    return make_payment_method(store, card=found)


def _answer_bank(store: Store, id: str, *, confirmed: bool) -> BaseResponse:
    """The cardholder has confirmed that it is them, or has not; back to where the merchant wants them."""
    lock_invoice_of(store, id)
    intent = store.lock("payment_intent", id) or store.lock("setup_intent", id)
    if intent is None or intent.data["status"] != "requires_action":
        return page("gone", texts_for(None), status=404)
    method = store.require("payment_method", intent.data["payment_method"])
    if intent.type == "setup_intent":
        attempt_setup(store, intent, method, authenticated=True, failure=None if confirmed else NOT_SET_UP)
    else:
        attempt(store, intent, method, authenticated=True, refused=None if confirmed else NOT_AUTHENTICATED)
        tell_invoice(store, intent)
        finish_saving(store, intent)
    back = intent.private.get("return_url")
    return redirect(_with_result(back, intent), code=303) if back else _done(intent.data)


def _with_result(url: str, intent: Stored) -> str:
    joint = "&" if "?" in url else "?"
    secret = intent.data["client_secret"]
    status = "succeeded" if intent.data["status"] == "succeeded" else "failed"
    return f"{url}{joint}{intent.type}={intent.id}&{intent.type}_client_secret={secret}&redirect_status={status}"


def _done(intent: dict[str, Any]) -> BaseResponse:
    name = "paid" if intent["status"] in ("succeeded", "requires_capture") else "pending"
    return page("closed", texts_for(None), state=name, way_on=None)
