"""Hashes of what was asked for, to tell a repetition from another request, and a grant's terms from changed ones."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

_JSON = json.JSONEncoder(default=str, sort_keys=True)


def fingerprint(*intent: Any) -> bytes:
    """A hash that tells a repeated request from another one under the same key."""
    return hashlib.sha256(_JSON.encode(intent).encode()).digest()


def fingerprint_of_grant(
    *,
    source: str,
    amount: int,
    expires_at: datetime | None = None,
    priority: int = 0,
    effective_at: datetime | None = None,
    features: Iterable[str] | None = None,
    cost_minor: int = 0,
    cost_currency: str | None = None,
    source_key: str | None = None,
    description: str = "",
) -> bytes:
    """The hash of a grant's terms, the same however they are written: in which time zone, in which order of features.

    The grant's entry keeps it, so the hash chain covers the terms. `effective_at` is None when it was left out.
    Moments must be aware and within UTC's years 1 to 9999.
    """
    return fingerprint(
        "grant",
        source,
        amount,
        _instant(expires_at),
        priority,
        _instant(effective_at),
        canonical_features(features),
        cost_minor,
        cost_currency,
        source_key,
        description,
    )


def canonical_features(features: Iterable[str] | None) -> list[str] | None:
    """Each feature once, sorted; None when the grant pays for everything."""
    return None if features is None else sorted(set(features))


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(sep=" ")
