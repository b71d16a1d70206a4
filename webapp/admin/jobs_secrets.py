"""Errors and traces as they may be shown: without passwords, keys and tokens."""

import re

from flask import current_app

from webapp.config import Settings

_HIDDEN = "…"
_PATTERNS = (
    re.compile(r"(?<=://)[^/\s:@]*:[^\s@]+(?=@)"),  # login and password of a URL
    re.compile(r"\b(?:sk|rk|pk|whsec|tsk)_[A-Za-z0-9_]{6,}"),  # keys of Stripe and of ours
    re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)\b(password|secret|token|api_key|authorization|cookie)\b(['\"]?\s*[=:]\s*)(['\"]?)[^\s'\",)]+"),
)
_SHORTEST = 8


def without_secrets(trace: str) -> str:
    """The text without what only the servers may know."""
    for secret in _own_secrets():
        trace = trace.replace(secret, _HIDDEN)
    for pattern in _PATTERNS:
        trace = pattern.sub(rf"\1\2\3{_HIDDEN}" if pattern.groups else _HIDDEN, trace)
    return trace


def _own_secrets() -> list[str]:
    settings: Settings = current_app.config["SETTINGS"]
    names = ("secret_key", "stripe_secret_key", "stripe_webhook_secret", "ledger_seal_key", "metrics_token")
    found = [str(getattr(settings, name, "") or "") for name in names]
    return [part for one in found for part in (one, *one.split(",")) if len(part) >= _SHORTEST]
