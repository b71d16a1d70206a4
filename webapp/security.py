"""What every answer carries and every request must pass: headers, request ids, hosts, tokens, limits."""

import re
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, current_app, g, render_template, request, request_started, session
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from redis.exceptions import RedisError
from werkzeug.exceptions import SecurityError, ServiceUnavailable

from webapp.application import Application
from webapp.config import Settings

log = structlog.get_logger()

STRIPE_PAGES = ("https://checkout.stripe.com", "https://billing.stripe.com")
RETRY_AFTER_SECONDS = 10
_HSTS = "max-age=31536000"
_PERMISSIONS = ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
# Probes come every few seconds and say nothing.
_UNLOGGED = {"healthz", "readyz", "metrics", "static"}


def register(app: Application) -> None:
    """Put headers on every answer, a number on every request, and one line in the log for each."""
    settings: Settings = app.config["SETTINGS"]
    headers = fixed_headers(settings)
    request_started.connect(_begin, app)
    app.after_every_request(_finish)

    def add_headers(response: Response) -> Response:
        given = {name.lower() for name in response.headers.keys()}  # noqa: SIM118 - pairs otherwise
        for name, value in headers.items():
            if name.lower() not in given:
                response.headers.add(name, value)
        _keep_out_of_caches(response)
        return response

    app.after_every_request(add_headers)
    app.teardown_request(_forget)
    app.register_error_handler(SecurityError, refuse_host)
    app.register_error_handler(CSRFError, refuse_form)
    app.register_error_handler(RedisError, redis_is_away)


def content_security_policy(settings: Settings, *, framed_by: tuple[str, ...] = ()) -> str:
    """Our own scripts, styles and images; forms go to us and to Stripe's pages; nothing else.

    No page may be framed, but for those that name the origins which may.

    Browsers apply form-action to the redirect after a form, too: that is how a buyer gets to Stripe's pages, or to
    the sandbox's.
    """
    directives = {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'", *STRIPE_PAGES, *sandbox_origins(settings)],
        "base-uri": ["'none'"],
        "frame-ancestors": list(framed_by) or ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())


def sandbox_origins(settings: Settings) -> list[str]:
    """Where the pay pages of the Stripe sandbox are, by each name that a developer's machine has."""
    if not settings.sandbox or not settings.stripe_api_base:
        return []
    parts = urlsplit(settings.stripe_api_base)
    local = ("127.0.0.1", "localhost")
    hosts = local if parts.hostname in (*local, "::1") else (parts.hostname or "",)
    port = f":{parts.port}" if parts.port else ""
    return [f"{parts.scheme}://{host}{port}" for host in hosts]


def fixed_headers(settings: Settings) -> dict[str, str]:
    """What every answer says that does not say otherwise."""
    headers = {
        "Content-Security-Policy": content_security_policy(settings),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _PERMISSIONS),
    }
    if settings.secure_cookies:
        headers["Strict-Transport-Security"] = _HSTS
    return headers


def _keep_out_of_caches(response: Response) -> None:
    """What is made for somebody, or holds a form's token, is kept nowhere, unless its view says otherwise."""
    if "Cache-Control" not in response.headers and request.endpoint != "static" and session:
        response.headers["Cache-Control"] = "no-store"


# ---------------------------------------------------------------- one number and one line for each request


def _begin(_app: Flask, **_extra: Any) -> None:
    """Before anything else: a number of our own making, whatever the caller sends."""
    g.request_began = time.perf_counter()
    g.request_id = new_request_id()


def new_request_id() -> str:
    """A number of our own making, which each line of this thread's log bears until the context is cleared."""
    request_id = secrets.token_hex(8)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    if response.status_code == 503:
        response.headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    elif response.status_code == 429:
        response.headers.setdefault("Retry-After", "60")
    quiet_tick = request.endpoint == "credits.balance" and response.status_code == 204  # each open tab, each second
    if request.endpoint not in _UNLOGGED and not quiet_tick:
        log_request(
            method=request.method,
            path=path_without_secrets(),
            status=response.status_code,
            seconds=time.perf_counter() - g.get("request_began", time.perf_counter()),
            user=getattr(g.get("_login_user"), "id", None),
        )
    return response


def log_request(*, method: str, path: str, status: int, seconds: float, user: int | None = None) -> None:
    """The one line that each request leaves; `path` is fit for a log."""
    log.info("request", method=method, path=path, status=status, ms=round(seconds * 1000, 1), user=user)


def path_without_secrets() -> str:
    """The path as it may stand in a log: without the query, and the rule in place of a token."""
    if request.url_rule is not None and "token" in (request.view_args or {}):
        return request.url_rule.rule
    return re.sub(r"[^ -~]", "?", request.path)[:300]


def _forget(_error: BaseException | None) -> None:
    structlog.contextvars.clear_contextvars()


# ---------------------------------------------------------------- refusals


def refuse_host(_error: SecurityError) -> ResponseReturnValue:
    """The Host header names none of TRUSTED_HOSTS; such a request has no routes, so no page can be made for it."""
    return Response("This server does not answer for that host.\n", 400, mimetype="text/plain")


def refuse_form(_error: CSRFError) -> ResponseReturnValue:
    """The form's token is missing or belongs to another log-in: say so, and lead back to a fresh one."""
    from webapp.people.next_page import page_to_come_back_to

    back = page_to_come_back_to() or "/"
    return render_template("people/stale_form.html", back=back, request_id=g.request_id), 400


def redis_is_away(error: RedisError) -> ResponseReturnValue:
    """What needs Redis must wait: a log-in without its limits is worse than none for a while."""
    log.warning("redis_away", error=type(error).__name__)
    return current_app.handle_http_exception(ServiceUnavailable(retry_after=RETRY_AFTER_SECONDS))
