"""The sandbox's own page and controls under `/_sandbox/`: what happened, and buttons that make things happen.

Every POST takes a form (and goes back to the page) or JSON (and answers JSON).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from webapp.stripe_sandbox.delivery import Deliverer
from webapp.stripe_sandbox.errors import StripeError, no_such
from webapp.stripe_sandbox.events import send_again
from webapp.stripe_sandbox.faults import BadFault, change_faults, read_faults
from webapp.stripe_sandbox.local_only import require_own_page
from webapp.stripe_sandbox.money import format_money
from webapp.stripe_sandbox.outages import OpenStore
from webapp.stripe_sandbox.payments import expire_session, is_payable, settle
from webapp.stripe_sandbox.resources.refunds import fail_refund, refund_charge
from webapp.stripe_sandbox.store import Cause, Store, Stored

PATH = "/_sandbox"
SHOWN = 30
SWITCHES = ("reorder", "paused")

SELECT_EVENTS = """
    SELECT objects.id, data ->> 'type', objects.created, data -> 'data' -> 'object' ->> 'id',
           (SELECT array_agg(state || ' · ' || attempts || ' · ' || coalesce(answer, '–') ORDER BY id)
            FROM stripe_sandbox.deliveries WHERE event_id = objects.id)
    FROM stripe_sandbox.objects WHERE type = 'event' ORDER BY seq DESC LIMIT %s
"""

Action = Callable[[Store], dict[str, Any]]


def make_dashboard(*, open_store: OpenStore, base_url: str, deliverer: Deliverer) -> Blueprint:
    board = Blueprint("dashboard", __name__, url_prefix=PATH)

    def run(action: Action) -> BaseResponse:
        """One transaction; then the page again, or JSON for who sent JSON."""
        try:
            with open_store(Cause()) as store:
                told = action(store)
        except StripeError as error:
            return _refuse(error.message, status=error.status)
        except BadFault as error:
            return _refuse(str(error), status=400)
        deliverer.wake()
        return redirect(PATH + "/", code=303) if _is_form() else jsonify(told)

    @board.before_request
    def keep_local() -> None:
        require_own_page(request, base_url=base_url)

    @board.get("/")
    def show() -> Response:
        with open_store(Cause()) as store:
            page = render_template("stripe_sandbox/dashboard.html", **_overview(store))
        response = make_response(page)
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    @board.get("/settings")
    def settings() -> Response:
        with open_store(Cause()) as store:
            return jsonify(asdict(read_faults(store.connection)))

    @board.post("/settings")
    def change() -> BaseResponse:
        changes = _form_faults() if _is_form() else _json()
        return run(lambda store: asdict(change_faults(store.connection, changes)))

    @board.post("/run")
    def run_due() -> BaseResponse:
        sent = deliverer.run_due()
        return redirect(PATH + "/", code=303) if _is_form() else jsonify(sent=sent)

    @board.post("/settle")
    def settle_all() -> BaseResponse:
        return run(_settle_all)

    @board.post("/sessions/<id>/expire")
    def expire(id: str) -> BaseResponse:
        return run(lambda store: _expire(store, id))

    @board.post("/charges/<id>/refund")
    def refund(id: str) -> BaseResponse:
        amount = _asked_amount()
        return run(lambda store: refund_charge(store, charge_id=id, amount=amount))

    @board.post("/refunds/<id>/fail")
    def fail(id: str) -> BaseResponse:
        return run(lambda store: fail_refund(store, refund_id=id))

    @board.post("/events/<id>/deliver")
    def deliver(id: str) -> BaseResponse:
        return run(lambda store: _deliver(store, id))

    return board


def _overview(store: Store) -> dict[str, Any]:
    return {
        "now": store.now,
        "faults": asdict(read_faults(store.connection)),
        "endpoint": store.endpoint,
        "sessions": _newest(store, "checkout.session", amount="amount_total"),
        "charges": _newest(store, "charge", amount="amount"),
        "refunds": _newest(store, "refund", amount="amount"),
        "events": store.connection.execute(SELECT_EVENTS, [SHOWN * 2]).fetchall(),
    }


def _newest(store: Store, type: str, *, amount: str) -> list[dict[str, Any]]:
    return [_with_money(stored, amount) for stored in store.match(type, {}, limit=SHOWN)]


def _with_money(stored: Stored, key: str) -> dict[str, Any]:
    created = datetime.fromtimestamp(stored.data["created"], UTC)
    shown = format_money(stored.data[key], stored.data["currency"])
    owed = stored.private.get("settlement")
    return stored.data | {"shown_amount": shown, "created_at": created, "owed": owed}


def _settle_all(store: Store) -> dict[str, Any]:
    rows = store.connection.execute(
        "SELECT id FROM stripe_sandbox.objects WHERE type = 'checkout.session' AND due_at IS NOT NULL"
        " AND private ? 'settlement' ORDER BY seq FOR UPDATE"
    ).fetchall()
    for (id,) in rows:
        session = store.lock("checkout.session", id)
        if session is not None:
            settle(store, session)
    return {"settled": len(rows)}


def _expire(store: Store, id: str) -> dict[str, Any]:
    session = store.lock("checkout.session", id)
    if session is None:
        raise no_such("checkout.session", id, param="session")
    if is_payable(store, session):
        expire_session(store, session)
    return session.data


def _deliver(store: Store, id: str) -> dict[str, Any]:
    if store.find("event", id) is None:
        raise no_such("event", id, param="id")
    if store.endpoint is None:
        raise StripeError("The sandbox has no address to send events to.")
    send_again(store, event_id=id)
    return {"event": id, "state": "pending"}


def _is_form() -> bool:
    return request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data")


def _json() -> Any:
    try:
        return request.get_json(force=True)
    except (HTTPException, RecursionError):
        return None


def _asked_amount() -> int | None:
    """Minor units; nothing, or an empty field, means all that is left."""
    sent = request.form if _is_form() else _json() if request.data else {}
    if not isinstance(sent, Mapping):
        raise _BadAmount
    given = sent.get("amount")
    if given in (None, ""):
        return None
    text = str(given).strip()
    if isinstance(given, bool) or not (text.isascii() and text.isdigit() and int(text[:12]) > 0 and len(text) <= 12):
        raise _BadAmount
    return int(text)


class _BadAmount(HTTPException):
    code = 400
    description = "The amount is a whole number of minor units (cents), at least 1."


def _form_faults() -> dict[str, Any]:
    """The page's form always names every setting; an unticked box is sent as nothing."""
    changes: dict[str, Any] = {name: name in request.form for name in SWITCHES}
    for name, value in request.form.items():
        if name not in SWITCHES:
            changes[name] = _number(value)
    return changes


def _number(value: str) -> Any:
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number == number and abs(number) < 1e12 and number == int(number) else number


def _refuse(message: str, *, status: int) -> BaseResponse:
    if _is_form():
        return Response(f"{message}\n", status=status, mimetype="text/plain")
    response = jsonify(error=message)
    response.status_code = status
    return response
