"""What was spent on which feature, stretch of time by stretch of time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.ledger.call import call, call_all
from webapp.ledger.errors import LedgerRefusal

# Long histories are added up by the half hour beforehand. Of what is not, adding up more entries than this takes
# longer than somebody waits for a page.
MOST_ENTRIES = 2_000_000


class TooMuchUsage(LedgerRefusal):
    """More than `most` entries lie between the moments asked for."""

    code = "too_much_usage"


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Credits spent on one feature (None: on nothing in particular) in one stretch of time, by `spends` spends.

    `stretch` counts from 0. `refunded` is what came back of `spent`, whenever that was.
    """

    stretch: int
    feature: str | None
    spent: int
    refunded: int
    spends: int

    @property
    def used(self) -> int:
        return self.spent - self.refunded


@dataclass(frozen=True, kw_only=True)
class Summed:
    """How many entries of how many accounts have been taken into the sums."""

    accounts: int
    entries: int


_SIZE = text("SELECT ledger.usage_size(:account_id, :since, :until, :most) AS size")
_USAGE = text(
    "SELECT stretch, feature, spent, refunded, spends FROM ledger.usage(:account_id, CAST(:bounds AS timestamptz[]))"
    " ORDER BY stretch, feature"
)


_SUM = text("SELECT accounts, entries FROM ledger.sum_usage(:least, :accounts, :entries)")


def sum_usage(session: Session, *, least: int, accounts: int, entries: int) -> Summed:
    """At most `entries` more entries of each of at most `accounts` accounts are in the sums that `usage` reads.

    Of accounts that have `least` or more which are not. Nothing else reads the sums, and what `usage` says stays the
    same. Locks the accounts' marks, which no write of the ledger touches; those that another one has locked are left
    to it. To be repeated until it says none.
    """
    row = call(session, _SUM, {"least": least, "accounts": accounts, "entries": entries})
    return Summed(accounts=row["accounts"], entries=row["entries"])


def usage(session: Session, *, account_id: int, bounds: list[datetime]) -> list[Usage]:
    """What the account spent from the first of `bounds` until before the last, added up between neighbours.

    `bounds` are moments in ascending order, at least two: midnights of a time zone, say. Captures of holds are
    spends. A refund counts where the spend lies that it undoes, so nothing is ever less than zero. Stretches and
    features without a spend are left out. Reads only. Raises TooMuchUsage beyond MOST_ENTRIES, before reading them.
    """
    span = {"account_id": account_id, "since": bounds[0], "until": bounds[-1], "most": MOST_ENTRIES + 1}
    if call(session, _SIZE, span)["size"] > MOST_ENTRIES:
        raise TooMuchUsage("there are too many entries in this time to be added up", most=MOST_ENTRIES)
    written = [bound.isoformat() for bound in bounds]
    return [
        Usage(
            stretch=row["stretch"] - 1,
            feature=row["feature"],
            spent=int(row["spent"]),
            refunded=int(row["refunded"]),
            spends=row["spends"],
        )
        for row in call_all(session, _USAGE, {"account_id": account_id, "bounds": written})
    ]
