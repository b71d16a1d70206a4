"""What can be asked of the ledger in a batch: a spend and a grant, the same as one by one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.ledger.arguments import as_json, checked
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
        arguments = checked(
            {
                "account_id": self.account_id,
                "amount": self.amount,
                "idempotency_key": self.idempotency_key,
                "actor": self.actor,
                "feature": self.feature,
                "quantity": self.quantity,
                "partial": self.partial,
                "description": self.description,
                "reference": self.reference,
                "metadata": as_json("metadata", self.metadata or {}),
                "pricing": None if self.pricing is None else as_json("pricing", self.pricing),
                "occurred_at": self.occurred_at,
            }
        )
        intent = self.request
        if intent is None:
            intent = (self.amount, self.feature, self.quantity, self.description, self.reference, self.metadata)
        arguments["fingerprint"] = fingerprint("spend", intent, self.partial, arguments["occurred_at"])
        return arguments


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
