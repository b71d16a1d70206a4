"""What people see when something is refused or breaks. Paths below /api answer problems of their own."""

from collections.abc import Callable

import structlog
from flask import Flask, Response, current_app, g, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from redis.exceptions import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from webapp.extensions import db
from webapp.reading import close_reader

log = structlog.get_logger()

RETRY_AFTER_SECONDS = 10


def register(app: Flask) -> None:
    """Answer every HTTP error and a missing database with a page, a fragment, or the API's problem."""
    app.register_error_handler(HTTPException, show_http_error)
    app.register_error_handler(InternalServerError, show_http_error)
    for error in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(error, show_database_away)
    app.register_error_handler(RedisError, show_redis_away)


def show_http_error(error: HTTPException) -> ResponseReturnValue:
    """The page for one status; redirects and ready-made answers pass as they are."""
    if error.response is not None or error.code is None or error.code < 400:
        return error.get_response()
    if error.code >= 500:
        log.error("server_error", error=repr(getattr(error, "original_exception", None) or error))
    return _answer(error.code, error)


def show_database_away(error: Exception) -> ResponseReturnValue:
    """The database cannot be reached or is too busy: 503, come again. Nothing was written."""
    log.error("database_away", error=str(error)[:500])
    g.user_not_loadable = True
    db.session.remove()
    close_reader()
    return _answer(503, ServiceUnavailable(retry_after=RETRY_AFTER_SECONDS))


def show_redis_away(error: Exception) -> ResponseReturnValue:
    """Redis cannot be reached by what cannot do without it, such as a limit of guesses: 503, come again."""
    log.error("redis_away", error=str(error)[:500])
    return _answer(503, ServiceUnavailable(retry_after=RETRY_AFTER_SECONDS))


def show_refusal(error: HTTPException, *, title: str, text: str) -> ResponseReturnValue:
    """The page for one status, with words of its own."""
    assert error.code is not None
    return _answer(error.code, error, words=(title, text))


def maintenance_page(error: ServiceUnavailable) -> ResponseReturnValue:
    """503 with words of its own: nothing is broken, and it was meant to be. It needs neither database nor session."""
    title = _("We are at work here")
    text = _("This place is being looked after and closed for a short while. Your credits are safe.")
    return _answer(503, error, words=(title, text))


def _answer(status: int, error: HTTPException, *, words: tuple[str, str] | None = None) -> ResponseReturnValue:
    problem: Callable[[int, HTTPException], Response] | None = current_app.extensions.get("api_problem")
    if request.path.startswith("/api/") and problem is not None:
        return problem(status, error)
    title, text = words or _words(status)
    htmx = request.headers.get("HX-Request") == "true"
    if status >= 500:
        g.user_not_loadable = True
    html = render_template(
        "errors/_toast.html" if htmx else "errors/error.html",
        status=status,
        title=title,
        text=text,
        retry=status in (429, 500, 503) and request.method == "GET",
        request_id=g.get("request_id"),
    )
    response = make_response(html.strip() + "\n", status)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    if status == 503:
        response.headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return response


def _words(status: int) -> tuple[str, str]:
    """(title, text): what happened, and what one can do."""
    words = {
        400: (_("This request cannot be understood"), _("Go back, check what was entered and send it once more.")),
        401: (_("Log in first"), _("This page belongs to somebody; log in to see it.")),
        403: (_("This is not yours to do"), _("You are logged in, but may not do this.")),
        404: (_("There is no such page"), _("The address is wrong, or what was here is gone.")),
        405: (_("This address does not do that"), _("Go back and use the form or link of the page.")),
        409: (_("Something else came first"), _("Look at the page again, then decide once more.")),
        410: (_("This is gone"), _("It was here once, and is not offered any more.")),
        413: (_("This is too large"), _("Send less at once.")),
        415: (_("This form of data is not known here"), _("Go back and use the form of the page.")),
        422: (_("This cannot be done as it was entered"), _("Go back, check what was entered and send it once more.")),
        429: (_("Too much at once"), _("Wait a minute, then try again.")),
        500: (_("Something broke here"), _("It is our fault and has been written down. Your credits are safe.")),
        503: (_("Back in a moment"), _("Something that is needed cannot be reached. Nothing was lost; try again.")),
    }
    fallback = words[400] if status < 500 else words[500]
    return words.get(status, fallback)
