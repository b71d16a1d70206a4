"""Every write that the ledger knows, each one call of one function of sql/."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.orm import Session

from webapp.ledger.arguments import as_json, checked
from webapp.ledger.call import call, call_all, note_change
from webapp.ledger.condition import Condition, ConditionFailed
from webapp.ledger.entries import ENTRY_COLUMNS, ENTRY_FIELDS, Entry
from webapp.ledger.fingerprints import fingerprint
from webapp.ledger.requests import GrantItem, SpendItem


@dataclass(frozen=True, kw_only=True)
class Written:
    """The entry that stands for a request; `replayed` when an earlier call with the same key had written it."""

    entry: Entry
    replayed: bool


ENTRY_OF = "replayed, " + ", ".join(f"(entry).{name}" for name in ENTRY_FIELDS)
_GRANT = text(
    f"SELECT {ENTRY_OF} FROM ledger.grant(:account_id, :amount, :source, :actor, :fingerprint, :source_key,"
    " :expires_at, :priority, :effective_at, CAST(:features AS text[]), :cost_minor, :cost_currency, :description,"
    " :reference, CAST(:metadata AS jsonb), :idempotency_key, :occurred_at, :about_seq)"
)
_SPENT = (
    "ledger.spend({account_id}, :amount, :idempotency_key, :fingerprint, :actor, :feature, :quantity, :partial,"
    " :description, :reference, CAST(:metadata AS jsonb), CAST(:pricing AS jsonb), :occurred_at)"
)
_SPEND = text(f"SELECT {ENTRY_OF} FROM {_SPENT.format(account_id=':account_id')}")
_REFUND = text(
    f"SELECT {ENTRY_OF} FROM ledger.refund_spend(:account_id, :seq, :amount, :idempotency_key, :fingerprint,"
    " :actor, :reason, :reference, CAST(:metadata AS jsonb))"
)
_REVOKE = text(
    f"SELECT {ENTRY_COLUMNS} FROM ledger.revoke(:account_id, :grant_id, :target, :actor, :reason, :reference,"
    " CAST(:metadata AS jsonb))"
)
_EXPIRE_ACCOUNT = text("SELECT ledger.expire_account(:account_id) AS expired")
_EXPIRE_DUE = text("SELECT account_ids, entries FROM ledger.expire_due(:limit)")


def grant(
    session: Session,
    *,
    account_id: int,
    amount: int,
    source: str,
    actor: str,
    source_key: str | None = None,
    expires_at: datetime | None = None,
    priority: int = 0,
    effective_at: datetime | None = None,
    features: list[str] | None = None,
    cost_minor: int = 0,
    cost_currency: str | None = None,
    description: str = "",
    reference: str | None = None,
    metadata: dict[str, Any] | None = None,
    idempotency_key: str | None = None,
    occurred_at: datetime | None = None,
    about_seq: int | None = None,
) -> Written:
    """The account has one more lot of `amount` credits, which first pays its debt.

    `source` says where from (`purchase`, `sign-up`, `admin`, `api`, …), `source_key` is the business's own name for
    this grant and makes it exist once. One that is booked late counts from `occurred_at`, is effective from then
    unless told otherwise, and expires in the same write when its time has passed. `about_seq` is the grant that this
    one carries on. Locks the account. Repeated with the same content, it returns the first
    entry. Raises SourceKeyConflict or IdempotencyKeyReused for other content under a used key, AccountNotFound,
    InvalidRequest; nothing was written then.
    """
    item = GrantItem(
        account_id=account_id,
        amount=amount,
        source=source,
        actor=actor,
        source_key=source_key,
        expires_at=expires_at,
        priority=priority,
        effective_at=effective_at,
        features=features,
        cost_minor=cost_minor,
        cost_currency=cost_currency,
        description=description,
        reference=reference,
        metadata=metadata,
        idempotency_key=idempotency_key,
        occurred_at=occurred_at,
        about_seq=about_seq,
    )
    return write_grant(session, item)


def write_grant(session: Session, item: GrantItem) -> Written:
    """What `grant` does, asked as an item of a batch is."""
    note_change(session, item.account_id)
    return written(call(session, _GRANT, item.arguments()))


def spend(
    session: Session,
    *,
    account_id: int,
    amount: int,
    idempotency_key: str,
    actor: str,
    feature: str | None = None,
    quantity: int | None = None,
    partial: bool = False,
    description: str = "",
    reference: str | None = None,
    metadata: dict[str, Any] | None = None,
    pricing: dict[str, Any] | None = None,
    occurred_at: datetime | None = None,
    request: Any = None,
    only_if: Condition | None = None,
) -> Written:
    """`amount` credits are burnt in burn order: all of them, or with `partial` what there is.

    `pricing` is the arithmetic that led to the amount, kept with the entry. `request` is what the caller asked for,
    when the amount was computed from it: the same request under the same key is a replay even if prices changed
    meanwhile. `only_if` is looked at in the same statement, before the lock. Locks the account. Raises
    ConditionFailed, InsufficientCredits (the key stays unused), IdempotencyKeyReused, AccountNotFound, InvalidRequest;
    nothing was written then.
    """
    note_change(session, account_id)
    item = SpendItem(
        account_id=account_id,
        amount=amount,
        idempotency_key=idempotency_key,
        actor=actor,
        feature=feature,
        quantity=quantity,
        partial=partial,
        description=description,
        reference=reference,
        metadata=metadata,
        pricing=pricing,
        occurred_at=occurred_at,
        request=request,
    )
    if only_if is None:
        return written(call(session, _SPEND, item.arguments()))
    rows = call_all(session, _spend_if(only_if.sql), {**item.arguments(), **only_if.arguments})
    if not rows:
        raise ConditionFailed
    return written(rows[0])


@lru_cache(maxsize=100)
def _spend_if(condition: str) -> TextClause:
    return text(f"SELECT {ENTRY_OF} FROM {only_where(condition)} CROSS JOIN LATERAL {_SPENT.format(account_id=STILL)}")


STILL = "still.account_id"


def only_where(condition: str) -> str:
    """The account's id, as STILL, comes out of the condition, so that there is none to take from where that fails.

    OFFSET keeps the planner from putting the id in by itself, which would leave it free to write first.
    """
    return f"(SELECT CAST(:account_id AS bigint) AS account_id WHERE EXISTS ({condition}) OFFSET 0) still"


def refund_spend(
    session: Session,
    *,
    account_id: int,
    seq: int,
    actor: str,
    reason: str,
    amount: int | None = None,
    idempotency_key: str | None = None,
    reference: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Written:
    """`amount` credits of the spend (all that is left of it by default) are back in the grants they came from.

    Newest slice first; what had become debt reduces the debt first. A slice whose grant has expired is booked as
    expired at once, by an entry of its own. Locks the account. Raises ExceedsSpend, EntryNotFound (no such entry,
    or not a spend), IdempotencyKeyReused, InvalidRequest; nothing was written then.
    """
    note_change(session, account_id)
    arguments = checked(
        {
            "account_id": account_id,
            "seq": seq,
            "amount": amount,
            "idempotency_key": idempotency_key,
            "actor": actor,
            "reason": reason,
            "reference": reference,
            "metadata": as_json("metadata", metadata or {}),
        }
    )
    arguments["fingerprint"] = fingerprint("refund", seq, amount, reason, reference, metadata)
    return written(call(session, _REFUND, arguments))


def revoke(
    session: Session,
    *,
    account_id: int,
    grant_id: int,
    target: int,
    actor: str,
    reason: str,
    reference: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Entry | None:
    """`target` credits of the grant are revoked in total, whatever was before: revoked or restored to get there.

    What remains of the grant is taken; what was already spent becomes debt; what had expired is simply gone. None
    when nothing had to change, so that a repetition is harmless. Locks the account. Raises ExceedsGrant,
    EntryNotFound; nothing was written then.
    """
    note_change(session, account_id)
    rows = call_all(
        session,
        _REVOKE,
        {
            "account_id": account_id,
            "grant_id": grant_id,
            "target": target,
            "actor": actor,
            "reason": reason,
            "reference": reference,
            "metadata": as_json("metadata", metadata or {}),
        },
    )
    return Entry.of(rows[0]) if rows and rows[0]["seq"] is not None else None


def expire_account(session: Session, *, account_id: int) -> int:
    """What has expired on this account is booked; returns how many entries that took. Locks the account."""
    note_change(session, account_id)
    return int(call(session, _EXPIRE_ACCOUNT, {"account_id": account_id})["expired"])


def expire_due(session: Session, *, limit: int = 500) -> tuple[int, int]:
    """One chunk of the sweep: up to `limit` accounts that are due, those due longest first.

    Returns (accounts, entries); (0, 0) when nobody is due. Locks them all until the commit, which belongs after each
    chunk; what others have locked is left to them, so sweeps at the same time share the work.
    """
    row = call(session, _EXPIRE_DUE, {"limit": limit})
    for account_id in row["account_ids"]:
        note_change(session, account_id)
    return len(row["account_ids"]), int(row["entries"])


def written(row: RowMapping) -> Written:
    return Written(entry=Entry.of(row), replayed=bool(row["replayed"]))
