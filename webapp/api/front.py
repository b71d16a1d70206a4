"""A spend that is answered before Flask has seen it: the plain case of `POST /api/v1/spends`, which nearly each is.

What Flask does around a request takes as long as the spend. So one that has nothing special about it (a key that this
process keeps, a small body of JSON, no query) goes from WSGI to `create_spend` and back, counted, limited and logged
as any other. Whatever is not plain goes on to Flask as if this were not here. So does what the ledger refuses or what
goes wrong, together with the error, which is what Flask's own attempt meets: it is told in the caller's language, and
no lock is waited for twice.
"""

import time
from collections.abc import Iterable
from functools import lru_cache, partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import structlog
from flask import Flask, g
from pydantic import ValidationError
from werkzeug.exceptions import SecurityError
from werkzeug.sansio.utils import get_host

from webapp import maintenance
from webapp.api.authentication import kept_key
from webapp.api.endpoint import Call, Endpoint, Reply, counted, hand_over, idempotency_key_in
from webapp.api.keys import KnownKey
from webapp.api.problems import Problem
from webapp.api.rate_limit import RateLimit, tighter
from webapp.api.spends import SpendRequest, create_spend
from webapp.api.strict_json import read_object
from webapp.api.unit import one_statement
from webapp.metrics import REQUESTS, SECONDS
from webapp.security import fixed_headers, log_request, new_request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_MOST_BYTES = 64 * 1024
_CONTENT_TYPES = ("application/json", "application/json; charset=utf-8")
_UNUSUAL = ("QUERY_STRING", "HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING")


class PlainSpends:
    """The WSGI application of `app` with this layer around it; `one` is the endpoint, served at `path`."""

    def __init__(self, app: Flask, *, one: Endpoint, path: str) -> None:
        assert one.work is create_spend
        self._app = app
        self._next: WSGIApplication = app.wsgi_app
        self._path = path
        self._scopes = one.scopes
        self._limit: RateLimit = app.extensions["api_rate_limit"]
        self._trusts = lru_cache(maxsize=100)(partial(_is_trusted, trusted=app.config["TRUSTED_HOSTS"]))
        self._headers = list(fixed_headers(app.config["SETTINGS"]).items())
        self._counter = REQUESTS.labels("POST", path, "201")
        self._clock = SECONDS.labels("POST", path)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] != self._path or environ["REQUEST_METHOD"] != "POST" or not self._is_plain(environ):
            return self._next(environ, start_response)
        began = time.perf_counter()
        raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = BytesIO(raw)  # for Flask, if it comes to that
        with self._app.app_context():
            request_id = g.request_id = new_request_id()
            reply = self._reply(environ, raw)
            if reply is not None:
                headers, body = self._answer(environ, reply, request_id)
                took = time.perf_counter() - began
                self._counter.inc()
                self._clock.observe(took)
                log_request(method="POST", path=self._path, status=201, seconds=took)
            structlog.contextvars.clear_contextvars()
        if reply is None:
            return self._next(environ, start_response)
        start_response("201 CREATED", headers)
        return (body,)

    def _is_plain(self, environ: "WSGIEnvironment") -> bool:
        length = environ.get("CONTENT_LENGTH") or ""
        return (
            environ.get("CONTENT_TYPE") in _CONTENT_TYPES
            and length.isdecimal()
            and length.isascii()
            and int(length) <= _MOST_BYTES
            and not any(environ.get(name) for name in _UNUSUAL)
            and self._trusts(environ.get("HTTP_HOST", ""))
        )

    def _reply(self, environ: "WSGIEnvironment", raw: bytes) -> Reply | None:
        """What the spend came to; None: ask Flask."""
        if maintenance.now_on() is not None:
            return None
        authorization, address = environ.get("HTTP_AUTHORIZATION", ""), environ.get("REMOTE_ADDR")
        key = kept_key(authorization=authorization, address=address)
        if key is None or not key.scopes.intersection(self._scopes):
            return None
        try:
            call = Call(
                key=key,
                relied_on=key.unchanged,
                body=SpendRequest.model_validate(read_object(raw)),
                query={},
                idempotency_key=idempotency_key_in(environ.get("HTTP_IDEMPOTENCY_KEY", "")),
            )
            self._count(environ, key, account=call.body.account)
        except (Problem, ValidationError):
            return None
        try:
            with one_statement() as session:
                return create_spend(session, call)
        except Problem:  # not in the caller's language
            return None
        except Exception as error:
            hand_over(environ, error)
            return None

    def _count(self, environ: "WSGIEnvironment", key: KnownKey, *, account: str) -> None:
        counted(environ, "key", lambda: self._limit.take(key=key))
        counted(environ, "account", lambda: self._limit.take_of_account(account))

    def _answer(self, environ: "WSGIEnvironment", reply: Reply, request_id: str) -> tuple[list[tuple[str, str]], bytes]:
        assert not isinstance(reply.body, str)
        body = reply.body.model_dump_json().encode()
        limits = counted(environ, "key", dict)
        return [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            *((("Idempotent-Replayed", "true"),) if reply.replayed else ()),
            *tighter(limits, counted(environ, "account", dict)).items(),
            *self._headers,
            ("X-Request-Id", request_id),
        ], body


def _is_trusted(host: str, *, trusted: Any) -> bool:
    """Whether Flask would answer for it."""
    try:
        return bool(get_host("http", host, None, trusted))
    except SecurityError:
        return False
