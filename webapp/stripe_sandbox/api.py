"""Answers `/v1`: key, parameters, idempotency, one transaction, errors in Stripe's words."""

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from webapp.stripe_sandbox.errors import INVALID_REQUEST, StripeError, bad_key, no_key
from webapp.stripe_sandbox.events import API_VERSION
from webapp.stripe_sandbox.expand import expand
from webapp.stripe_sandbox.form import Nested, decode_form
from webapp.stripe_sandbox.idempotency import SavedAnswer, save_answer, saved_answer
from webapp.stripe_sandbox.operations import Call, Operation
from webapp.stripe_sandbox.outages import OpenStore, drop_answer, suffer_outage
from webapp.stripe_sandbox.params import read_params
from webapp.stripe_sandbox.store import Cause, Store, new_id

FORM = "application/x-www-form-urlencoded"


def add_api(
    app: Flask,
    *,
    operations: Iterable[Operation],
    open_store: OpenStore,
    api_key: str,
    wake: Callable[[], None],
) -> None:
    """`app` answers these operations, and everything else under /v1 with Stripe's 404."""
    for operation in operations:
        name = f"{operation.method} {operation.path}"
        view = _view_of(operation, open_store=open_store, api_key=api_key, wake=wake)
        app.add_url_rule(operation.path, name.replace(".", "-"), view, methods=[operation.method])
    app.register_error_handler(HTTPException, _answer_http_error)


def _view_of(
    operation: Operation, *, open_store: OpenStore, api_key: str, wake: Callable[[], None]
) -> Callable[..., Response]:
    def view(id: str = "") -> Response:
        request_id = new_id("req", length=14)
        try:
            _require_key(api_key)
            answer, replayed, dropped = _answer(operation, id=id, open_store=open_store, request_id=request_id)
        except StripeError as error:
            answer, replayed, dropped = _refusal(error, request_id=request_id), False, False
        if operation.method != "GET":
            wake()
            if dropped and drop_answer(open_store, request.environ):
                return Response(status=500)
        response = _json_response(answer.body, status=answer.status, request_id=request_id)
        key = request.headers.get("Idempotency-Key")
        if key and operation.method == "POST":
            response.headers["Idempotency-Key"] = key.encode("latin-1", "replace").decode("latin-1")
            response.headers["Original-Request"] = answer.request_id
            if replayed:
                response.headers["Idempotent-Replayed"] = "true"
        return response

    return view


def _answer(operation: Operation, *, id: str, open_store: OpenStore, request_id: str) -> tuple[SavedAnswer, bool, bool]:
    """The answer, whether it is a replay, and whether the next answers are to be lost."""
    raw = _decoded_params(operation.method)
    key = request.headers.get("Idempotency-Key") if operation.method == "POST" else None
    with open_store(Cause(request_id=request_id, idempotency_key=key)) as store:
        dropped = suffer_outage(store).drop_answers > 0
        if key:
            saved = saved_answer(store, key=key, path=request.path, params=raw)
            if saved is not None:
                return saved, True, dropped
        params = read_params(operation.params, raw)
        answer = _execute(operation, store=store, id=id, params=params, request_id=request_id)
        if key:
            save_answer(store, key=key, path=request.path, params=raw, answer=answer)
        return answer, False, dropped


def _execute(operation: Operation, *, store: Store, id: str, params: dict[str, Any], request_id: str) -> SavedAnswer:
    """The operation's answer; a refusal that a replay must repeat is an answer too, and wrote nothing."""
    paths = params.pop("expand", [])
    try:
        with store.connection.transaction():
            try:
                shown = expand(store, operation.run(Call(store=store, id=id, params=params)), paths)
            except StripeError as error:
                if not error.kept:
                    raise
                return _refusal(error, request_id=request_id)
    except StripeError as error:
        if not error.saved:
            raise
        return _refusal(error, request_id=request_id)
    return SavedAnswer(status=200, body=_to_json(shown), request_id=request_id)


def _decoded_params(method: str) -> dict[str, Nested]:
    if method != "POST":
        return decode_form(request.query_string)
    body = request.get_data()
    if body and request.mimetype != FORM:
        raise StripeError(
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded). "
            "If you have questions, we can help at https://support.stripe.com/."
        )
    return decode_form(body) if body else decode_form(request.query_string)


def _require_key(api_key: str) -> None:
    given = _given_key(request.headers.get("Authorization", ""))
    if not given:
        raise no_key()
    if not hmac.compare_digest(given.encode(), api_key.encode()):
        raise bad_key(given)


def _given_key(header: str) -> str:
    """Bearer, or Basic with the key as the user's name."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _refusal(error: StripeError, *, request_id: str) -> SavedAnswer:
    log_url = f"{request.host_url}_sandbox/?request={request_id}"
    body = _to_json(error.to_json(request_log_url=log_url))
    return SavedAnswer(status=error.status, body=body, request_id=request_id)


def _answer_http_error(error: HTTPException) -> Response | HTTPException:
    """Under /v1 even the router's refusals are Stripe's."""
    if not request.path.startswith("/v1"):
        return error
    status = error.code or 500
    message = f"Unrecognized request URL ({request.method}: {request.path})."
    if status == 413:
        message = "The request is too large."
    elif status not in (404, 405):
        message = error.description or "Invalid request"
    kind = "api_error" if status >= 500 else INVALID_REQUEST
    refusal = StripeError(message, status=404 if status == 405 else status, type=kind)
    request_id = new_id("req", length=14)
    return _json_response(_refusal(refusal, request_id=request_id).body, status=refusal.status, request_id=request_id)


def _to_json(answer: dict[str, Any]) -> str:
    return json.dumps(answer, indent=2, sort_keys=True, ensure_ascii=False)


def _json_response(body: str, *, status: int, request_id: str) -> Response:
    response = Response(body, status=status, mimetype="application/json")
    response.headers["Request-Id"] = request_id
    response.headers["Stripe-Version"] = API_VERSION
    response.headers["Cache-Control"] = "no-cache, no-store"
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="Stripe"'
    return response
