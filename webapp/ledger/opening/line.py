"""One line of the file: a grant for an account."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from webapp.ledger.fingerprints import fingerprint_of_grant

DEFAULT_SOURCE = "opening"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A grant as the file has it. `number` is the file's line where it begins; moments are in UTC."""

    number: int
    account: str
    amount: int
    expires_at: datetime | None = None
    effective_at: datetime | None = None
    granted_at: datetime | None = None
    priority: int = 0
    features: list[str] | None = None
    source: str = DEFAULT_SOURCE
    source_key: str | None = None
    cost_minor: int | None = None
    cost_currency: str | None = None
    description: str = ""
    account_name: str | None = None
    account_kind: str | None = None
    time_zone: str | None = None
    overdraft_limit: int | None = None

    @property
    def terms(self) -> dict[str, Any]:
        """What makes the grant this one and no other, as `ledger.grant` takes it."""
        return {
            "source": self.source,
            "amount": self.amount,
            "expires_at": self.expires_at,
            "priority": self.priority,
            "effective_at": self.effective_at,
            "features": self.features,
            "cost_minor": self.cost_minor or 0,
            "cost_currency": self.cost_currency,
            "source_key": self.source_key,
            "description": self.description,
        }

    @property
    def fingerprint(self) -> bytes:
        return fingerprint_of_grant(**self.terms)

    def content(self) -> bytes:
        """A hash of the account and the grant, the same wherever in whichever file the line stands."""
        told = [self.account, self.granted_at and self.granted_at.isoformat(), self.fingerprint.hex()]
        return hashlib.sha256(json.dumps(told).encode()).digest()

    def contradictions(self, *, now: datetime) -> Iterator[tuple[str, str]]:
        """(column, what to do) for values that cannot stand together."""
        if self.granted_at is not None and self.granted_at > now:
            yield "granted_at", "lies in the future; use effective_at for a grant that starts later"
        if self.expires_at is not None:
            for column in ("effective_at", "granted_at"):
                begins = getattr(self, column)
                if begins is not None and begins >= self.expires_at:
                    yield column, "must lie before expires_at"
        if self.cost_minor and self.cost_currency is None:
            yield "cost_currency", "name the currency of cost_minor, such as EUR"
        if self.cost_currency is not None and self.cost_minor is None:
            yield "cost_minor", "write what was paid, 0 for free, or leave cost_currency empty"

    def as_json(self) -> str:
        return json.dumps({field.name: _plain(getattr(self, field.name)) for field in fields(self)})

    @classmethod
    def of_json(cls, text: str) -> "Line":
        told: Mapping[str, Any] = json.loads(text)
        moments = ("expires_at", "effective_at", "granted_at")
        read = {name: datetime.fromisoformat(told[name]) for name in moments if told[name] is not None}
        return cls(**{**told, **read})


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
