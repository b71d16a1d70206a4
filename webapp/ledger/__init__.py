"""The ledger: accounts, grants, entries and draws, kept in PostgreSQL and never wrong.

A thin face over the functions of `sql/`: each call is one round trip in the caller's database transaction, and
nothing here commits. It knows no Flask, no Stripe and no user.
"""

from webapp.ledger.accounts import Account, find_account, get_account, open_account, set_spend_order
from webapp.ledger.balances import (
    Balance,
    Expiring,
    balance,
    balance_at,
    expiring,
    open_grants,
    spendable,
)
from webapp.ledger.call import take_changed
from webapp.ledger.clock import advance_clock, clock_can_move, now
from webapp.ledger.entries import (
    Draw,
    Entry,
    Grant,
    Page,
    draws,
    entries,
    entry,
    get_grant,
    grant_by_source_key,
)
from webapp.ledger.errors import (
    AccountNotFound,
    EntryNotFound,
    ExceedsGrant,
    ExceedsSpend,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
    LedgerRefusal,
    SourceKeyConflict,
)
from webapp.ledger.writes import Written, expire_account, expire_due, grant, refund_spend, revoke, spend

__all__ = [
    "Account",
    "AccountNotFound",
    "Balance",
    "Draw",
    "Entry",
    "EntryNotFound",
    "ExceedsGrant",
    "ExceedsSpend",
    "Expiring",
    "Grant",
    "IdempotencyKeyReused",
    "InsufficientCredits",
    "InvalidRequest",
    "LedgerRefusal",
    "Page",
    "SourceKeyConflict",
    "Written",
    "advance_clock",
    "balance",
    "balance_at",
    "clock_can_move",
    "draws",
    "entries",
    "entry",
    "expire_account",
    "expire_due",
    "expiring",
    "find_account",
    "get_account",
    "get_grant",
    "grant",
    "grant_by_source_key",
    "now",
    "open_account",
    "open_grants",
    "refund_spend",
    "revoke",
    "set_spend_order",
    "spend",
    "spendable",
    "take_changed",
]
