"""Reads how to run from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask

from webapp.stripe_sandbox.app import create_sandbox
from webapp.stripe_sandbox.install import install, wants_installing

DEFAULT_PORT = 8000
DEFAULT_SECRET = "whsec_sandbox"  # noqa: S105 - of a sandbox without real money
DEFAULT_KEY = "sk_test_sandbox"


class BadEnvironment(ValueError):
    """Something is missing or wrong; the message says what to set."""


@dataclass(frozen=True)
class Environment:
    dsn: str
    owner_dsn: str
    base_url: str
    webhook_url: str
    webhook_secret: str
    api_key: str
    time_page: str
    host: str
    port: int


def read_environment(environ: Mapping[str, str] = os.environ) -> Environment:
    """Raises BadEnvironment."""
    dsn = environ.get("DATABASE_URL", "")
    if not dsn:
        raise BadEnvironment("Set DATABASE_URL to a PostgreSQL database.")
    port = _port(environ.get("PORT", "")) + 1
    web = environ.get("BASE_URL") or f"http://localhost:{port - 1}"
    own = environ.get("SANDBOX_BASE_URL") or environ.get("STRIPE_API_BASE") or _beside(web, port)
    return Environment(
        dsn=plain_dsn(dsn),
        owner_dsn=plain_dsn(environ.get("DATABASE_OWNER_URL") or dsn),
        base_url=own,
        webhook_url=environ.get("SANDBOX_WEBHOOK_URL") or f"{web.rstrip('/')}/stripe/webhook",
        webhook_secret=environ.get("STRIPE_WEBHOOK_SECRET") or DEFAULT_SECRET,
        api_key=environ.get("SANDBOX_API_KEY") or DEFAULT_KEY,
        time_page=f"{web.rstrip('/')}/sandbox",
        host=environ.get("SANDBOX_HOST") or "127.0.0.1",
        port=port,
    )


def build(environment: Environment) -> Flask:
    """The application over an installed schema. Raises psycopg.Error when it cannot be installed."""
    if environment.owner_dsn != environment.dsn or wants_installing(environment.dsn):
        install(environment.owner_dsn)
    return create_sandbox(
        dsn=environment.dsn,
        base_url=environment.base_url,
        webhook_url=environment.webhook_url,
        webhook_secret=environment.webhook_secret,
        api_key=environment.api_key,
        time_page=environment.time_page,
    )


def plain_dsn(url: str) -> str:
    """A URL as psycopg reads it, without SQLAlchemy's name of the driver."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _port(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and 0 < int(text) < 65_535):
        raise BadEnvironment(f"PORT is a number from 1 to 65534, not {text!r}.")
    return int(text or DEFAULT_PORT)


def _beside(web: str, port: int) -> str:
    parts = urlsplit(web)
    host = parts.hostname or "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
