"""Refusals as `application/problem+json` (RFC 9457), in the language that the caller asked for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from babel import Locale
from flask import Response, current_app, g, request
from flask_babel import force_locale
from flask_babel import gettext as _
from werkzeug.exceptions import HTTPException

from webapp.config import Settings
from webapp.i18n.locale import babel_name, match_tag

MIMETYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5


class Problem(Exception):
    """A request is refused and changed nothing. `extra` are further members of the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}
        self.extra = extra
        super().__init__(f"{status} {code}: {detail}")


def invalid(detail: str, *, field: str | None = None) -> Problem:
    """400 `invalid_request`; `field` names what to mend."""
    if field is None:
        return Problem(400, "invalid_request", detail)
    return Problem(400, "invalid_request", detail, field=field)


def respond(problem: Problem) -> Response:
    """The answer that says so. Called within the caller's language."""
    response = Response(json.dumps(body_of(problem), ensure_ascii=False), status=problem.status, mimetype=MIMETYPE)
    response.headers["Content-Language"] = language()
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept-Language")
    response.headers.extend(problem.headers)
    return response


def body_of(problem: Problem) -> dict[str, Any]:
    """Its members. Called within the caller's language."""
    return {
        "type": f"urn:tallystick:problem:{problem.code}",
        "title": title_of(problem),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id(),
        **problem.extra,
    }


def title_of(problem: Problem) -> str:
    """What it is called, in the current language."""
    return _titles().get(problem.code) or _title_of_status(problem.status)


def problem_for_status(status: int, exc: BaseException | None = None) -> Response:
    """The answer under /api to what happened outside the API's own code: 404, 405, 413, 500, 503 and their like.

    webapp/errors.py calls this for every path under /api.
    """
    code, detail = "http_error", ""
    headers: dict[str, str] = {}
    if isinstance(exc, HTTPException):
        headers = {
            name: value for name, value in exc.get_headers() if name in ("Allow", "Retry-After", "WWW-Authenticate")
        }
    with in_callers_language():
        if status >= 500 and status not in (501, 503):
            code, detail = (
                "internal_error",
                _("Something went wrong on our side. Try again with the same key: nothing is done twice."),
            )
        elif status == 503:
            code, detail = "unavailable", _("The service cannot answer just now. Try again soon.")
            headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
        elif status == 404:
            code, detail = "not_found", _("There is nothing at this address.")
        elif status == 405:
            code, detail = "method_not_allowed", _("This address does not know that method.")
        elif status == 413:
            code, detail = "too_large", _("The request is larger than allowed.")
        elif status == 429:
            code, detail = "rate_limited", _("Too many requests. Try again later.")
        elif status == 400:
            code, detail = "invalid_request", _("The request is malformed.")
        return respond(Problem(status, code, detail or _title_of_status(status), headers=headers))


@contextmanager
def in_callers_language() -> Iterator[None]:
    """Texts are in the best of our languages for `Accept-Language`; no cookie and no account has a say."""
    with force_locale(_locale(language())):
        yield


@lru_cache(maxsize=100)
def _locale(tag: str) -> Locale:
    """Babel looks into its files for a name, each time."""
    return Locale.parse(babel_name(tag))


def language() -> str:
    """The tag of the language that the caller gets."""
    settings: Settings = current_app.config["SETTINGS"]
    for wanted, quality in request.accept_languages:
        tag = match_tag(wanted) if quality > 0 else None
        if tag is not None:
            return tag
    return settings.default_locale


def language_headers() -> dict[str, str]:
    """What an answer says whose texts are in the caller's language."""
    return {"Content-Language": language(), "Vary": "Accept-Language"}


def request_id() -> str:
    """The name under which the logs know this request."""
    known: str | None = getattr(g, "request_id", None)
    if known is None:
        known = g.request_id = uuid4().hex
    return known


def _titles() -> dict[str, str]:
    return {
        "invalid_request": _("Invalid request"),
        "unauthorized": _("Key missing or not valid"),
        "insufficient_credits": _("Not enough credits"),
        "missing_scope": _("The key may not do this"),
        "account_suspended": _("The account is suspended"),
        "address_not_allowed": _("The key may not be used from here"),
        "not_found": _("Not found"),
        "account_not_found": _("No such account"),
        "entry_not_found": _("No such entry"),
        "unlock_not_found": _("No such unlock"),
        "method_not_allowed": _("Method not allowed"),
        "in_progress": _("Still in progress"),
        "already_charged": _("Already charged"),
        "already_subscribed": _("Already on a plan"),
        "source_key_conflict": _("Source key already used"),
        "too_large": _("Too large"),
        "unsupported_media_type": _("Unsupported content type"),
        "idempotency_key_reused": _("Idempotency key already used"),
        "exceeds_spend": _("More than is left of the spend"),
        "hold_not_found": _("No such hold"),
        "hold_closed": _("The hold has ended"),
        "exceeds_hold": _("More than is held"),
        "rate_limited": _("Too many requests"),
        "limit_reached": _("The plan allows no more of this"),
        "internal_error": _("Internal error"),
        "unavailable": _("Not available just now"),
    }


def _title_of_status(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return str(status)
