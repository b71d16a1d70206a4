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
from webapp.ledger.batches import grant_ids_of_many, grant_many, spend_many
from webapp.ledger.call import take_changed
from webapp.ledger.clock import advance_clock, clock_can_move, now, turn_back
from webapp.ledger.condition import Condition, ConditionFailed, all_of
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
    ExceedsHold,
    ExceedsSpend,
    HoldClosed,
    HoldNotFound,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
    LedgerRefusal,
    SourceKeyConflict,
)
from webapp.ledger.freezes import freeze, frozen_for, unfreeze
from webapp.ledger.holds import (
    Hold,
    WrittenHold,
    capture_hold,
    get_hold,
    hold_draws,
    open_holds,
    place_hold,
    void_hold,
)
from webapp.ledger.past import GrantAt, HoldAt, State, state_at
from webapp.ledger.requests import GrantItem, SpendItem
from webapp.ledger.rollover import RollOver, roll_over, roll_over_many
from webapp.ledger.units import Locked, UnitsOf, lock_accounts, units_used
from webapp.ledger.usages import TooMuchUsage, Usage, usage
from webapp.ledger.writes import (
    Written,
    expire_account,
    expire_accounts,
    expire_due,
    grant,
    refund_spend,
    revoke,
    spend,
)

__all__ = [
    "Account",
    "AccountNotFound",
    "Balance",
    "Condition",
    "ConditionFailed",
    "Draw",
    "Entry",
    "EntryNotFound",
    "ExceedsGrant",
    "ExceedsHold",
    "ExceedsSpend",
    "Expiring",
    "Grant",
    "GrantAt",
    "GrantItem",
    "Hold",
    "HoldAt",
    "HoldClosed",
    "HoldNotFound",
    "IdempotencyKeyReused",
    "InsufficientCredits",
    "InvalidRequest",
    "LedgerRefusal",
    "Locked",
    "Page",
    "RollOver",
    "SourceKeyConflict",
    "SpendItem",
    "State",
    "TooMuchUsage",
    "UnitsOf",
    "Usage",
    "Written",
    "WrittenHold",
    "advance_clock",
    "all_of",
    "balance",
    "balance_at",
    "capture_hold",
    "clock_can_move",
    "draws",
    "entries",
    "entry",
    "expire_account",
    "expire_accounts",
    "expire_due",
    "expiring",
    "find_account",
    "freeze",
    "frozen_for",
    "get_account",
    "get_grant",
    "get_hold",
    "grant",
    "grant_by_source_key",
    "grant_ids_of_many",
    "grant_many",
    "hold_draws",
    "lock_accounts",
    "now",
    "open_account",
    "open_grants",
    "open_holds",
    "place_hold",
    "refund_spend",
    "revoke",
    "roll_over",
    "roll_over_many",
    "set_spend_order",
    "spend",
    "spend_many",
    "spendable",
    "state_at",
    "take_changed",
    "turn_back",
    "unfreeze",
    "units_used",
    "usage",
    "void_hold",
]
