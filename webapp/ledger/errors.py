"""What the ledger refuses, one class for each reason, with its data. Nothing was written when one is raised."""

import json
from typing import Any, ClassVar

from sqlalchemy.exc import DBAPIError


class LedgerRefusal(Exception):
    """The ledger refused; `code` is stable and `data` says why in figures."""

    code: ClassVar[str] = "refused"

    def __init__(self, message: str = "", **data: Any) -> None:
        self.data = data
        super().__init__(message or self.code)


class InvalidRequest(LedgerRefusal):
    """An argument is out of its bounds; `field` names it."""

    code = "invalid_request"

    @property
    def field(self) -> str:
        return str(self.data.get("field", ""))


class AccountNotFound(LedgerRefusal):
    code = "account_not_found"


class EntryNotFound(LedgerRefusal):
    code = "entry_not_found"


class InsufficientCredits(LedgerRefusal):
    """`required` credits were asked for, `available` are what could pay for this (never negative)."""

    code = "insufficient_credits"

    @property
    def required(self) -> int:
        return int(self.data["required"])

    @property
    def available(self) -> int:
        return int(self.data["available"])


class IdempotencyKeyReused(LedgerRefusal):
    """The key already names another request on this account."""

    code = "idempotency_key_reused"


class SourceKeyConflict(LedgerRefusal):
    """The source key already names a grant with other content."""

    code = "source_key_conflict"


class ExceedsSpend(LedgerRefusal):
    """More was to be refunded than `left` of the spend."""

    code = "exceeds_spend"

    @property
    def left(self) -> int:
        return int(self.data["left"])


class ExceedsGrant(LedgerRefusal):
    """A revoke's target lies outside 0 … `amount` of the grant."""

    code = "exceeds_grant"


class HoldNotFound(LedgerRefusal):
    code = "hold_not_found"


class HoldClosed(LedgerRefusal):
    """The hold has ended: `state` is captured, voided or lapsed."""

    code = "hold_closed"

    @property
    def state(self) -> str:
        return str(self.data["state"])


class ExceedsHold(LedgerRefusal):
    """More was to be captured than `held`, and no excess was allowed."""

    code = "exceeds_hold"

    @property
    def held(self) -> int:
        return int(self.data["held"])


# The SQLSTATEs that the functions of sql/ raise; their DETAIL is a JSON object.
_BY_SQLSTATE: dict[str, type[LedgerRefusal]] = {
    "TS001": InvalidRequest,
    "TS002": AccountNotFound,
    "TS003": EntryNotFound,
    "TS004": InsufficientCredits,
    "TS005": IdempotencyKeyReused,
    "TS006": SourceKeyConflict,
    "TS007": ExceedsSpend,
    "TS008": ExceedsGrant,
    "TS009": HoldNotFound,
    "TS010": HoldClosed,
    "TS011": ExceedsHold,
}


def refusal_of(error: DBAPIError) -> LedgerRefusal | None:
    """The refusal that a database error carries, or None when it is an error of another kind."""
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate not in _BY_SQLSTATE:
        return None
    diagnostics = error.orig.diag  # type: ignore[union-attr]
    return refusal_for(sqlstate, diagnostics.message_primary, diagnostics.message_detail)


def refusal_for(sqlstate: str, message: str | None, detail: str | None) -> LedgerRefusal:
    """The refusal of that SQLSTATE; `detail` is the JSON object of its data."""
    return _BY_SQLSTATE[sqlstate](message or "", **(json.loads(detail) if detail else {}))
