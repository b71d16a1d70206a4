"""The sandbox's own page and controls under `/_sandbox/`: what happened, and buttons that make things happen.

Every POST takes a form (and goes back to the page) or JSON (and answers JSON).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from webapp.stripe_sandbox.clock import Clock, advance_clock, is_own_clock
from webapp.stripe_sandbox.controls import DEEDS, duration, settle_all
from webapp.stripe_sandbox.dashboard_tables import overview
from webapp.stripe_sandbox.delivery import Deliverer
from webapp.stripe_sandbox.errors import StripeError
from webapp.stripe_sandbox.faults import CHOICES, SWITCHES, BadFault, change_faults, read_faults
from webapp.stripe_sandbox.local_only import require_own_page
from webapp.stripe_sandbox.outages import OpenStore
from webapp.stripe_sandbox.store import Cause, Store

PATH = "/_sandbox"

Action = Callable[[Store], dict[str, Any]]


def make_dashboard(
    *, open_store: OpenStore, base_url: str, deliverer: Deliverer, clock: Clock | None, time_page: str | None
) -> Blueprint:
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
            own = is_own_clock(store.connection, clock)
            page = render_template(
                "stripe_sandbox/dashboard.html", own_clock=own, time_page=time_page, **overview(store)
            )
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
    def settle_now() -> BaseResponse:
        return run(settle_all)

    @board.post("/advance")
    def advance() -> BaseResponse:
        by = _sent().get("by", "")

        def move(store: Store) -> dict[str, Any]:
            return {"now": advance_clock(store.connection, clock=clock, by=duration(by)).isoformat()}

        return run(move)

    @board.post("/<kind>/<id>/<deed>")
    def act(kind: str, id: str, deed: str) -> BaseResponse:
        todo = DEEDS.get((kind, deed))
        if todo is None:
            return _refuse("There is no such button.", status=404)
        sent = _sent()
        return run(lambda store: todo(store, id, sent))

    return board


def _is_form() -> bool:
    return request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data")


def _json() -> Any:
    try:
        return request.get_json(force=True)
    except (HTTPException, RecursionError):
        return None


def _sent() -> Mapping[str, Any]:
    sent = request.form if _is_form() else _json() if request.data else {}
    return sent if isinstance(sent, Mapping) else {"amount": sent, "by": sent}


def _form_faults() -> dict[str, Any]:
    """The page's form always names every setting; an unticked box is sent as nothing."""
    changes: dict[str, Any] = {name: name in request.form for name in SWITCHES}
    for name, value in request.form.items():
        if name not in SWITCHES:
            changes[name] = value if name in CHOICES else _number(value)
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
