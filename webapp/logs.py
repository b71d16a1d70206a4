"""Structured logs: readable lines on a terminal, JSON otherwise; never a secret in either."""

import logging
import sys
from functools import lru_cache
from typing import Any

import structlog

from webapp.config import Settings

_SECRET_WORDS = ("password", "secret", "token", "authorization", "cookie", "api_key")


def configure(settings: Settings) -> None:
    """One line an event, on standard error: for people in sandbox mode on a terminal, JSON elsewhere."""
    readable = settings.sandbox and sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            hide_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def hide_secrets(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Values whose name speaks of a secret are not written."""
    for name in event:
        if _is_secret(name):
            event[name] = "…"
    return event


@lru_cache(maxsize=1_000)
def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET_WORDS)
