"""Tallystick, the credits system of a SaaS. `create_app` is the only place where its parts meet."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webapp.application import Application
    from webapp.config import Settings


def create_app(settings: "Settings | None" = None) -> "Application":
    """The whole application, ready for any WSGI server.

    `settings` default to the environment's. Where they name no database or Redis, the embedded servers of
    `settings.data_dir` are used, and started if they don't run. Raises UnsafeSettings before anything is started.
    """
    # Not above: whoever needs one module of this package (the runner, the Stripe sandbox) need not wait for all.
    from werkzeug.middleware.proxy_fix import ProxyFix

    from webapp import database, logs, queue
    from webapp.application import Application
    from webapp.config import Settings
    from webapp.extensions import csrf, htmx, limiter
    from webapp.parts import PARTS

    settings = with_servers(settings or Settings.from_environment())
    app = Application(
        "webapp",
        title=settings.brand_name,
        version="1",
        spec_path="/api/v1/openapi.json",
        docs_path=None,
        json_errors=False,
        static_folder="../static",
        template_folder="../templates",
    )
    _configure(app, settings)
    logs.configure(settings)
    assert settings.database_url is not None
    assert settings.redis_url is not None
    database.configure(app, database_url=settings.database_url, database_owner_url=settings.database_owner_url)
    queue.configure(app, redis_url=settings.redis_url)
    csrf.init_app(app)
    htmx.init_app(app)
    limiter.init_app(app)
    for part in PARTS:
        part.register(app)
    if settings.proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies, x_host=settings.proxies
        )
    return app


def with_servers(settings: "Settings") -> "Settings":
    """`settings` with a database and a Redis: where they name none, the embedded ones, started if need be."""
    if settings.database_url and settings.redis_url:
        return settings
    from webapp.embedded.servers import ensure_servers  # an extra that production installs without

    servers = ensure_servers(settings.data_dir, database=not settings.database_url, redis=not settings.redis_url)
    return replace(
        settings,
        database_url=settings.database_url or servers.database_url,
        database_owner_url=settings.database_owner_url if settings.database_url else servers.owner_url,
        redis_url=settings.redis_url or servers.redis_url,
    )


def _configure(app: "Application", settings: "Settings") -> None:
    app.config.update(
        SETTINGS=settings,
        SANDBOX=settings.sandbox,
        SECRET_KEY=settings.secret_key,
        TRUSTED_HOSTS=list(settings.trusted_hosts),
        SESSION_COOKIE_NAME="tallystick",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),
        MAX_CONTENT_LENGTH=1024 * 1024,
        MAX_FORM_PARTS=200,
        WTF_CSRF_TIME_LIMIT=None,
        RATELIMIT_STORAGE_URI=settings.redis_url and settings.redis_url.replace("unix://", "redis+unix://"),
        RATELIMIT_STRATEGY="moving-window",
        RATELIMIT_KEY_PREFIX="tallystick",
        RATELIMIT_SWALLOW_ERRORS=False,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
