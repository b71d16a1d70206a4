"""The rules of the ledger as a plain-Python model: no database, no SQL, readable as a specification.

Whoever changes the SQL changes this first. `test_state_machine.py` drives both side by side.

DECISIONS, where the written rules leave room:

 1. A grant's id is the seq of the entry that created it.
 2. Credits that come back to a grant which has expired (a refund, a restore, a grant that was born expired)
    leave again at the moment they came, not at `expires_at`: else the balance of a time in between would
    count their going and not their coming. Swept credits leave at `expires_at`. In one sentence: credits leave
    when their grant expires or when they came, whichever is later.
 3. What a refund or a restore undoes may once have been debt. It lowers the debt first; what was repaid
    meanwhile returns to the grants that repaid it, newest first. (Returning it to the revoked grant could
    lift that grant's remainder above its amount once its spends are refunded too.)
 4. Within a spend the debt is the last slice taken, so a refund undoes it first.
 5. A revoke takes in this order: what is free; what was spent (it becomes debt); what is held or had expired
    (no effect, only counted towards the target). A restore undoes the last of these first, so that the state
    depends on the target and not on the path to it.
 6. A revoke or restore without effect on balance or debt writes no entry; the grant remembers the target.
 7. A refused request writes nothing, not even the expirations that were due. Neither does a replay.
 8. `balance` counts a grant from the moment it is booked; `available` only while it may be spent.
 9. What a spend may take is what its candidates hold, less the debt, plus the overdraft limit. This is what a
    refusal names as available.
10. A grant repays debt whether it is limited to features or starts later: credits are credits. One that has
    expired before it is booked pays for nothing, so it repays nothing.
11. A grant may be booked late, after it has expired, with or without the moment from which it was effective.
12. A source key names one grant of its account, whatever its source.
13. A slice that is refunded to a grant whose revoke had made debt of it settles that debt: the credits come
    back and are revoked at once, as they would have been, had the refund come before the revoke.
14. A hold takes no overdraft: what it may pin is what its candidates have free, less the debt. A captured slice
    is spent whatever has become of its grant.
15. A hold's slices are freed when it closes, captured or not; then what lies free in grants of it that have
    expired leaves, by (expires_at, id); then revokes reach what it had kept from them, by id. All that counts
    from now when it is captured or voided, from its `expires_at` when it lapsed.
16. What is due is booked in the order in which it came true: the holds that lapsed by (expires_at, number), each
    after the grants that had expired before it; last, all other grants that have expired.
17. Whoever reads, reads what the account will say once all that is due is booked.
18. Spends, refunds, captures, grants, placements and voids share one namespace of keys. A used key is looked at
    before the hold: another request under it is a conflict, though the hold be closed. A replayed placement or
    void returns the hold as it is now.
19. A rollover's source key stands for the grant it rolls over, and for nothing else of what was asked.
20. Freezing and lifting are two facts without entries; an entry that pays debt or returns credits asks for neither.
21. What a price came to may be nothing: a spend, a hold and a capture of 0 take, pin and need nothing, whatever is
    owed. A spend of 0 is given back once, whole, by a refund of 0. What a caller says is from 1 on.
"""

from dataclasses import dataclass
from datetime import datetime

from tests.ledger.model_reads import Reads
from tests.ledger.model_words import (
    Draw,
    Entry,
    EntryNotFound,
    ExceedsGrant,
    ExceedsHold,
    ExceedsSpend,
    Freeze,
    Grant,
    GrantAt,
    Hold,
    HoldClosed,
    HoldNotFound,
    HoldResult,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
    Refused,
    Result,
    SourceKeyConflict,
    State,
)

__all__ = [
    "Account",
    "Draw",
    "Entry",
    "EntryNotFound",
    "ExceedsGrant",
    "ExceedsHold",
    "ExceedsSpend",
    "Freeze",
    "Grant",
    "GrantAt",
    "Hold",
    "HoldClosed",
    "HoldNotFound",
    "HoldResult",
    "IdempotencyKeyReused",
    "InsufficientCredits",
    "InvalidRequest",
    "Refused",
    "Result",
    "SourceKeyConflict",
    "State",
]


@dataclass
class Account(Reads):
    """An account by the rules. What it remembers: `model_book`; what time does to it: `model_due`; what one may ask
    of it: `model_grants`, `model_spends`, `model_holds`; what it says: `model_reads`.
    """

    def choose_spend_order(self, *, now: datetime, order: str) -> None:
        """Of equal expiry, free or paid credits first, from now on. What a hold has pinned stays pinned."""
        self.spend_order = order

    def set_overdraft_limit(self, *, now: datetime, limit: int) -> None:
        self.overdraft_limit = limit
