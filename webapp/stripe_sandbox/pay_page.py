"""The page on which a person pays: `/c/pay/<session>`, one form without JavaScript."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from webapp.stripe_sandbox import payments
from webapp.stripe_sandbox.api import OpenStore
from webapp.stripe_sandbox.local_only import require_own_page
from webapp.stripe_sandbox.money import format_money
from webapp.stripe_sandbox.params import is_email
from webapp.stripe_sandbox.resources.payment_methods import delayed_type
from webapp.stripe_sandbox.store import Cause, Store, Stored
from webapp.stripe_sandbox.texts import Texts, choose_texts

SUGGESTED_EMAIL = "buyer@example.com"
ACTIONS = ("pay", "decline", "delay", "fail_later", "cancel")


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
                return _page("gone", _texts(None), status=404)
            payments.is_payable(store, session)
        return _state_page(session)

    @pages.post("/c/pay/<id>")
    def act(id: str) -> BaseResponse:
        with open_store(Cause()) as store:
            session = store.lock("checkout.session", id)
            if session is None:
                return _page("gone", _texts(None), status=404)
            answer = _act(store, session, action=request.form.get("action", ""))
        wake()
        return answer

    @pages.get("/receipts/<id>")
    def receipt(id: str) -> BaseResponse:
        with open_store(Cause()) as store:
            charge = store.find("charge", id)
        if charge is None or not charge.data["paid"]:
            return _page("gone", _texts(None), status=404)
        total = format_money(charge.data["amount"], charge.data["currency"])
        return _page("receipt", _texts(None), charge=charge.data, total=total)

    return pages


def _act(store: Store, session: Stored, *, action: str) -> BaseResponse:
    """What the pressed button does; of two presses at once the second finds what the first did."""
    texts = _texts(session)
    if not payments.is_payable(store, session):
        if session.data["status"] == "complete":
            return redirect(return_url(session.data), code=303)
        return _state_page(session)
    if action == "cancel":
        if session.data["cancel_url"]:
            return redirect(session.data["cancel_url"], code=303)
        return _open_page(session, problem=texts["no_way_back"], status=200)
    if action not in ACTIONS:
        return _open_page(session, problem=texts["choose"], status=400)
    email = _given_email(session)
    if email is not None and not is_email(email):
        return _open_page(session, problem=texts["bad_email"], status=422)
    return _try(store, session, action=action, email=email)


def _try(store: Store, session: Stored, *, action: str, email: str | None) -> BaseResponse:
    if action == "decline" and session.data["amount_total"] > 0:
        payments.decline(store, session, email=email)
        return _open_page(session, problem=_texts(session)["declined"], status=402)
    if action in ("delay", "fail_later"):
        payments.delay(store, session, email=email, succeeds=action == "delay")
    else:
        payments.pay(store, session, email=email)
    return redirect(return_url(session.data), code=303)


def return_url(session: dict[str, Any]) -> str:
    """`success_url` with the session's id, where the merchant put Stripe's placeholder."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _given_email(session: Stored) -> str | None:
    """What the buyer typed; a form without the field means the suggested one."""
    if session.data["customer"] is not None or session.data["customer_email"] is not None:
        return None
    return request.form.get("email", SUGGESTED_EMAIL).strip()


def _state_page(session: Stored) -> BaseResponse:
    if session.data["status"] == "open":
        return _open_page(session)
    if session.data["status"] == "complete":
        paid = session.data["payment_status"] != "unpaid"
        name = "paid" if paid else "pending"
        return _page("closed", _texts(session), state=name, way_on=return_url(session.data))
    return _page("closed", _texts(session), state="expired", way_on=session.data["cancel_url"], status=410)


def _open_page(session: Stored, *, problem: str | None = None, status: int = 200) -> BaseResponse:
    data, texts = session.data, _texts(session)
    return _page(
        "pay",
        texts,
        status=status,
        goes_to=(data["success_url"], data["cancel_url"]),
        session=data,
        problem=problem,
        total=texts.money(data["amount_total"], data["currency"]),
        lines=[
            (item["description"], item["quantity"], texts.money(item["amount_total"], item["currency"]))
            for item in session.private["items"]
        ],
        merchant=urlsplit(data["success_url"]).netloc,
        email=request.form.get("email", SUGGESTED_EMAIL),
        asks_email=data["customer"] is None and data["customer_email"] is None,
        known_email=(data["customer_details"] or {}).get("email"),
        delayed=delayed_type(data["currency"]).replace("_", " "),
    )


def _page(
    name: str, texts: Texts, *, status: int = 200, goes_to: tuple[str | None, ...] = (), **values: Any
) -> Response:
    response = make_response(render_template(f"stripe_sandbox/{name}.html", t=texts, **values), status)
    targets = " ".join(sorted({_origin(url) for url in goes_to if url}))
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; form-action 'self' {targets}; frame-ancestors 'none'; base-uri 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _origin(url: str) -> str:
    """Only what may stand in a header: the URL was checked for spaces when the session was made."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".replace(";", "").replace(",", "")


def _texts(session: Stored | None) -> Texts:
    asked = session.data["locale"] if session else None
    preferred = [tag for tag, _ in request.accept_languages]
    return choose_texts(asked, preferred=preferred)
