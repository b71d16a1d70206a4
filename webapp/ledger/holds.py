"""Reserving credits before the work is done: a hold is placed, and ends once: captured, voided or lapsed."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.orm import Session

from webapp.ledger.arguments import as_json, checked
from webapp.ledger.call import call, call_all, note_change
from webapp.ledger.condition import Condition, ConditionFailed
from webapp.ledger.entries import GRANT_COLUMNS, Draw, Grant
from webapp.ledger.errors import HoldNotFound, InvalidRequest
from webapp.ledger.fingerprints import fingerprint
from webapp.ledger.writes import ENTRY_OF, STILL, Written, only_where, written

DEFAULT_LENGTH = timedelta(minutes=15)
LONGEST = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Credits reserved: `amount` of them, pinned in `drawn_grants` by `drawn_amounts`, in burn order.

    `number` counts the account's holds from 1. `captured` is how many of the reserved credits a spend took. `state`
    is `lapsed` from `expires_at` on, whether or not anybody has booked that.
    """

    account_id: int
    number: int
    amount: int
    captured: int
    state: str
    drawn_grants: list[int]
    drawn_amounts: list[int]
    feature: str | None
    quantity: int | None
    description: str
    reference: str | None
    metadata: dict[str, Any]
    pricing: dict[str, Any] | None
    idempotency_key: str
    actor: str
    placed_at: datetime
    expires_at: datetime
    closed_at: datetime | None
    closed_by: str | None

    @classmethod
    def of(cls, row: RowMapping) -> "Hold":
        return cls(**{name: row[name] for name in _FIELDS})


@dataclass(frozen=True, kw_only=True)
class WrittenHold:
    """The hold that stands for a request; `replayed` when an earlier call with the same key had done it."""

    hold: Hold
    replayed: bool


_FIELDS = tuple(field.name for field in fields(Hold))
_HOLD_OF = "replayed, " + ", ".join(f"(hold).{name}" for name in _FIELDS)
_LAPSED = "h.state = 'open' AND h.expires_at <= ledger.now()"
_FACTS = {
    "state": f"CASE WHEN {_LAPSED} THEN 'lapsed' ELSE h.state END AS state",
    "closed_at": f"CASE WHEN {_LAPSED} THEN h.expires_at ELSE h.closed_at END AS closed_at",
    "closed_by": f"CASE WHEN {_LAPSED} THEN 'ledger' ELSE h.closed_by END AS closed_by",
}
_READ = ", ".join(_FACTS.get(name, f"h.{name}") for name in _FIELDS)
_PLACED = (
    "ledger.place_hold({account_id}, :amount, :idempotency_key, :fingerprint, :actor,"
    " :expires_in, :feature, :quantity, :description, :reference, CAST(:metadata AS jsonb), CAST(:pricing AS jsonb))"
)
_PLACE = text(f"SELECT {_HOLD_OF} FROM {_PLACED.format(account_id=':account_id')}")
_CAPTURE = text(
    f"SELECT {ENTRY_OF} FROM ledger.capture_hold(:account_id, :number, :amount, :allow_excess, :idempotency_key,"
    " :fingerprint, :actor, :quantity, :description, :reference, CAST(:metadata AS jsonb), CAST(:pricing AS jsonb))"
)
_VOID = text(f"SELECT {_HOLD_OF} FROM ledger.void_hold(:account_id, :number, :idempotency_key, :fingerprint, :actor)")
_GET = text(f"SELECT {_READ} FROM ledger.holds_v h WHERE h.account_id = :account_id AND h.number = :number")
_OPEN = text(
    f"SELECT {_READ} FROM ledger.holds_v h WHERE h.account_id = :account_id AND h.state = 'open'"
    " AND h.expires_at > ledger.now() ORDER BY h.expires_at, h.number LIMIT :limit"
)
_DRAWS = text(
    f"SELECT d.amount AS drawn, {', '.join('g.' + name for name in GRANT_COLUMNS.split(', '))}"
    " FROM ledger.hold_draws_v d JOIN ledger.grants_v g ON g.account_id = d.account_id AND g.grant_id = d.grant_id"
    " WHERE d.account_id = :account_id AND d.number = :number ORDER BY d.position"
)


def place_hold(
    session: Session,
    *,
    account_id: int,
    amount: int,
    idempotency_key: str,
    actor: str,
    expires_in: timedelta = DEFAULT_LENGTH,
    feature: str | None = None,
    quantity: int | None = None,
    description: str = "",
    reference: str | None = None,
    metadata: dict[str, Any] | None = None,
    pricing: dict[str, Any] | None = None,
    request: Any = None,
    only_if: Condition | None = None,
) -> WrittenHold:
    """`amount` credits are reserved in burn order for `expires_in` (1 s to 24 h): in the balance, not available.

    All of them or none, and never out of the overdraft. `pricing`, `request` and `only_if` as in `spend`. Locks the
    account. Raises ConditionFailed, InsufficientCredits (the key stays unused), IdempotencyKeyReused, AccountNotFound,
    InvalidRequest; nothing was written then.
    """
    note_change(session, account_id)
    if not timedelta(seconds=1) <= expires_in <= LONGEST:
        raise InvalidRequest("must be from one second to 24 hours", field="expires_in")
    arguments = checked(
        {
            "account_id": account_id,
            "amount": amount,
            "idempotency_key": idempotency_key,
            "actor": actor,
            "expires_in": expires_in,
            "feature": feature,
            "quantity": quantity,
            "description": description,
            "reference": reference,
            "metadata": as_json("metadata", metadata or {}),
            "pricing": None if pricing is None else as_json("pricing", pricing),
        }
    )
    intent = request if request is not None else (amount, feature, quantity, description, reference, metadata)
    arguments["fingerprint"] = fingerprint("hold", intent, expires_in.total_seconds())
    if only_if is None:
        return _written_hold(call(session, _PLACE, arguments))
    rows = call_all(session, _place_if(only_if.sql), {**arguments, **only_if.arguments})
    if not rows:
        raise ConditionFailed
    return _written_hold(rows[0])


@lru_cache(maxsize=100)
def _place_if(condition: str) -> TextClause:
    return text(f"SELECT {_HOLD_OF} FROM {only_where(condition)} CROSS JOIN LATERAL {_PLACED.format(account_id=STILL)}")


def capture_hold(
    session: Session,
    *,
    account_id: int,
    number: int,
    actor: str,
    idempotency_key: str,
    amount: int | None = None,
    allow_excess: bool = False,
    quantity: int | None = None,
    pricing: dict[str, Any] | None = None,
    description: str | None = None,
    reference: str | None = None,
    metadata: dict[str, Any] | None = None,
    request: Any = None,
) -> Written:
    """The hold has ended in a spend of `amount` credits (all of it by default), of which the entry is returned.

    The first slices are spent and the rest is back in its grants; what of that had expired meanwhile is booked as
    expired at once. More than is held needs `allow_excess`: the excess is drawn in the ordinary way in the same entry,
    out of the overdraft too. What is not given is taken over from the hold. Locks the account. Raises HoldNotFound,
    HoldClosed, ExceedsHold, InsufficientCredits (for the excess), IdempotencyKeyReused, AccountNotFound,
    InvalidRequest; nothing was written then and the hold is as it was.
    """
    note_change(session, account_id)
    arguments = checked(
        {
            "account_id": account_id,
            "number": number,
            "amount": amount,
            "allow_excess": allow_excess,
            "idempotency_key": idempotency_key,
            "actor": actor,
            "quantity": quantity,
            "pricing": None if pricing is None else as_json("pricing", pricing),
            "description": description,
            "reference": reference,
            "metadata": None if metadata is None else as_json("metadata", metadata),
        }
    )
    intent = request if request is not None else (amount, allow_excess, quantity, description, reference, metadata)
    arguments["fingerprint"] = fingerprint("capture", number, intent)
    return written(call(session, _CAPTURE, arguments))


def void_hold(
    session: Session, *, account_id: int, number: int, actor: str, idempotency_key: str | None = None
) -> WrittenHold:
    """The hold has ended without a spend and its credits are back in the grants they came from.

    What of them lies in a grant that has expired meanwhile is booked as expired at once. Locks the account. Raises
    HoldNotFound, HoldClosed, IdempotencyKeyReused, AccountNotFound; nothing was written then.
    """
    note_change(session, account_id)
    arguments = {
        "account_id": account_id,
        "number": number,
        "idempotency_key": idempotency_key,
        "fingerprint": fingerprint("void", number),
        "actor": actor,
    }
    return _written_hold(call(session, _VOID, arguments))


def get_hold(session: Session, *, account_id: int, number: int) -> Hold:
    """The hold as it is now. Raises HoldNotFound."""
    rows = call_all(session, _GET, {"account_id": account_id, "number": number})
    if not rows:
        raise HoldNotFound("no such hold", number=number)
    return Hold.of(rows[0])


def open_holds(session: Session, *, account_id: int, limit: int = 100) -> list[Hold]:
    """What is reserved now, in the order in which it lapses."""
    return [Hold.of(row) for row in call_all(session, _OPEN, {"account_id": account_id, "limit": limit})]


def hold_draws(session: Session, *, account_id: int, number: int) -> list[Draw]:
    """The slices that the hold pins, or pinned until it ended, in burn order; amounts are positive."""
    rows = call_all(session, _DRAWS, {"account_id": account_id, "number": number})
    return [Draw(amount=row["drawn"], grant=Grant.of(row)) for row in rows]


def _written_hold(row: RowMapping) -> WrittenHold:
    return WrittenHold(hold=Hold.of(row), replayed=bool(row["replayed"]))
