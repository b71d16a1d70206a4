"""The JSON API at /api/v1: for the product's backend, with operator keys."""

from typing import Any

from apiflask import APIFlask
from flask import Blueprint, Flask

from webapp.api import (
    accounts,
    batches,
    catalog,
    charge_refusals,
    checkout_sessions,
    entries,
    estimates,
    grants,
    holds,
    limits,
    portal_sessions,
    spends,
    unlocks,
    usage,
)
from webapp.api.docs_page import show_docs
from webapp.api.endpoint import add_to
from webapp.api.front import PlainSpends
from webapp.api.identifiers import AccountIds
from webapp.api.kept import KeptByProcess
from webapp.api.openapi import PREFIX, describe
from webapp.api.problems import problem_for_status
from webapp.api.rate_limit import RateLimit
from webapp.api.unit import prepare_direct
from webapp.extensions import csrf, db, limiter

ENDPOINTS = (
    *accounts.ENDPOINTS,
    *spends.ENDPOINTS,
    *batches.ENDPOINTS,
    *usage.ENDPOINTS,
    *estimates.ENDPOINTS,
    *holds.ENDPOINTS,
    *limits.ENDPOINTS,
    *grants.ENDPOINTS,
    *checkout_sessions.ENDPOINTS,
    *portal_sessions.ENDPOINTS,
    *entries.ENDPOINTS,
    *catalog.ENDPOINTS,
    *unlocks.ENDPOINTS,
)


def register(app: Flask) -> None:
    """Serve the API and its OpenAPI document; everything under /api fails as a problem, never as a page."""
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    for one in ENDPOINTS:
        add_to(blueprint, one)
    csrf.exempt(blueprint)  # a key in a header is not sent by a browser on its own, and cookies have no say here
    limiter.exempt(blueprint)
    app.register_blueprint(blueprint)
    charge_refusals.register(app)
    app.extensions["api_rate_limit"] = RateLimit(per_account=app.config["SETTINGS"].account_rate_per_minute)
    app.extensions["api_kept"] = KeptByProcess()
    app.extensions["api_problem"] = problem_for_status
    with app.app_context():
        app.extensions["api_account_ids"] = AccountIds(db.engine)
        prepare_direct(app)
    spend = next(one for one in ENDPOINTS if one.work is spends.create_spend)
    app.wsgi_app = PlainSpends(app, one=spend, path=PREFIX + spend.path)  # type: ignore[method-assign]
    if isinstance(app, APIFlask):
        app.add_url_rule("/api/docs", "api_docs", show_docs)
        settings = app.config["SETTINGS"]

        @app.spec_processor
        def document(spec: Any) -> Any:
            return describe(spec, ENDPOINTS, base_url=settings.base_url)
