"""What can be asked of the ledger in a batch: a spend and a grant, the same as one by one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.ledger.arguments import as_json, checked, checked_column
from webapp.ledger.fingerprints import canonical_features, fingerprint, fingerprint_of_grant


@dataclass(frozen=True, kw_only=True, slots=True)
class SpendItem:
    """One spend; `webapp.ledger.spend` says what its fields mean."""

    account_id: int
    amount: int
    idempotency_key: str
    actor: str
    feature: str | None = None
    quantity: int | None = None
    partial: bool = False
    description: str = ""
    reference: str | None = None
    metadata: dict[str, Any] | None = None
    pricing: dict[str, Any] | None = None
    occurred_at: datetime | None = None
    request: Any = None

    def arguments(self) -> dict[str, Any]:
        """As PostgreSQL takes them, the fingerprint of the request included. Raises InvalidRequest."""
        arguments = checked({name: getattr(self, name) for name in _PLAIN})
        arguments["metadata"] = _metadata(self)
        arguments["pricing"] = _pricing(self)
        arguments["fingerprint"] = self.fingerprint(arguments["occurred_at"])
        return arguments

    @staticmethod
    def columns(items: "Sequence[SpendItem]") -> dict[str, Sequence[Any]]:
        """The `arguments` of all items, by name the values in their order. Raises InvalidRequest if one's would."""
        columns = {name: checked_column(name, [getattr(item, name) for item in items]) for name in _PLAIN}
        columns["metadata"] = list(map(_metadata, items))
        once = {id(item.pricing): item for item in items}  # many may have the very same arithmetic
        pricings = {same: _pricing(item) for same, item in once.items()}
        columns["pricing"] = [pricings[id(item.pricing)] for item in items]
        moments = columns["occurred_at"]
        columns["fingerprint"] = [item.fingerprint(moment) for item, moment in zip(items, moments, strict=True)]
        return columns

    def fingerprint(self, occurred_at: datetime | None) -> bytes:
        """The hash that tells a repetition of this request from another one; the moment is given in UTC."""
        intent = self.request
        if intent is None:
            intent = (self.amount, self.feature, self.quantity, self.description, self.reference, self.metadata)
        return fingerprint("spend", intent, self.partial, occurred_at)


# The fields whose values go to PostgreSQL as they are.
_PLAIN = (
    "account_id",
    "amount",
    "idempotency_key",
    "actor",
    "feature",
    "quantity",
    "partial",
    "description",
    "reference",
    "occurred_at",
)


def _metadata(item: SpendItem) -> str:
    return as_json("metadata", item.metadata) if item.metadata else "{}"


def _pricing(item: SpendItem) -> str | None:
    return None if item.pricing is None else as_json("pricing", item.pricing)


@dataclass(frozen=True, kw_only=True, slots=True)
class GrantItem:
    """One grant; `webapp.ledger.grant` says what its fields mean."""

    account_id: int
    amount: int
    source: str
    actor: str
    source_key: str | None = None
    expires_at: datetime | None = None
    priority: int = 0
    effective_at: datetime | None = None
    features: list[str] | None = None
    cost_minor: int = 0
    cost_currency: str | None = None
    description: str = ""
    reference: str | None = None
    metadata: dict[str, Any] | None = None
    idempotency_key: str | None = None
    occurred_at: datetime | None = None
    about_seq: int | None = None

    def arguments(self) -> dict[str, Any]:
        """As PostgreSQL takes them, the fingerprint of the terms included. Raises InvalidRequest."""
        terms = checked(
            {
                "source": self.source,
                "amount": self.amount,
                "expires_at": self.expires_at,
                "priority": self.priority,
                "effective_at": self.effective_at,
                "features": self.features,
                "cost_minor": self.cost_minor,
                "cost_currency": self.cost_currency,
                "source_key": self.source_key,
                "description": self.description,
            }
        )
        terms["features"] = canonical_features(self.features)
        others = checked(
            {
                "account_id": self.account_id,
                "actor": self.actor,
                "reference": self.reference,
                "metadata": as_json("metadata", self.metadata or {}),
                "idempotency_key": self.idempotency_key,
                "occurred_at": self.occurred_at,
                "about_seq": self.about_seq,
            }
        )
        return {**terms, **others, "fingerprint": fingerprint_of_grant(**terms)}

    @staticmethod
    def columns(items: "Sequence[GrantItem]") -> dict[str, Sequence[Any]]:
        """The `arguments` of all items, by name the values in their order. Raises InvalidRequest if one's would.

        The features of a grant are JSON: there is no array of lists of different lengths.
        """
        rows = [item.arguments() for item in items]
        for row in rows:
            row["features"] = None if row["features"] is None else json.dumps(row["features"])
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
