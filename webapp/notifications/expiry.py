"""Credits that end soon, or have ended: whom to tell. A grant is warned of at most once, and its end told at most once.

Only people are told, and only those who want mails about credits. Everything here goes by chunks of accounts.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger, outbox
from webapp.billing.left_over import GOES_ON, taken_over, taken_over_soon
from webapp.credits.pace import DAYS, LEAST_DAYS, SCAN

# A grant that ends within this time may be warned of.
AHEAD = timedelta(days=7)
# So long it is waited for the month that takes over what was left: its payment may be late, and tried again.
LATE_MONTH = timedelta(days=21)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a walk over the accounts that are due has come to: behind this one."""

    due_at: datetime | None = None
    account_id: int = 0


# An account's due_at is never later than its next grant ends.
_ACCOUNTS = text(
    "SELECT a.account_id, a.due_at FROM ledger.accounts_v a WHERE a.due_at <= :until"
    " AND (CAST(:due_at AS timestamptz) IS NULL OR (a.due_at, a.account_id) > (:due_at, :account_id))"
    " ORDER BY a.due_at, a.account_id LIMIT :limit"
)
_PEOPLE = text("SELECT id, account_id FROM users WHERE credit_mails AND account_id = ANY(:account_ids)")
_GRANTS = text(
    "SELECT account_id, grant_id, remaining, held, expires_at FROM ledger.grants_v"
    " WHERE account_id = ANY(:account_ids) AND open AND NOT frozen AND effective_at <= :now"
    " AND (expires_at IS NULL OR expires_at > :now)"
    " ORDER BY account_id, priority, expires_at, burn_rank, effective_at, grant_id"
)
_SPENT = text(
    "SELECT e.account_id, -sum(e.amount)::bigint AS spent, min(e.occurred_at) AS since, min(a.seq) > :scan AS cut"
    " FROM ledger.accounts_v a JOIN ledger.entries_v e ON e.account_id = a.account_id AND e.seq > a.seq - :scan"
    " WHERE a.account_id = ANY(:account_ids) AND e.kind IN ('spend', 'refund') AND e.occurred_at >= :since"
    " GROUP BY e.account_id"
)
_NOTICE = text(
    "INSERT INTO expiry_notices (account_id, grant_id, expires_at, warned_at)"
    " SELECT * FROM unnest(CAST(:account_ids AS bigint[]), CAST(:grant_ids AS bigint[]),"
    "  CAST(:expire_at AS timestamptz[]), CAST(:warned_at AS timestamptz[]))"
    " ON CONFLICT (account_id, grant_id) DO UPDATE SET warned_at = excluded.warned_at"
    "  WHERE expiry_notices.warned_at IS NULL AND excluded.warned_at IS NOT NULL"
    " RETURNING account_id, grant_id, warned_at"
)
_ENDED = text(
    "UPDATE expiry_notices n SET ended_at = :now FROM (SELECT o.account_id, o.grant_id FROM expiry_notices o"  # noqa: S608
    "  JOIN ledger.grants_v g ON g.account_id = o.account_id AND g.grant_id = o.grant_id AND g.remaining = g.held"
    "  WHERE o.ended_at IS NULL AND o.expires_at <= :now AND NOT (o.expires_at > :patience AND EXISTS ("
    "   SELECT" + GOES_ON + " AND m.account_id = o.account_id AND m.seq = o.grant_id))"
    "  ORDER BY o.expires_at LIMIT :limit FOR UPDATE OF o SKIP LOCKED) d"
    " WHERE n.account_id = d.account_id AND n.grant_id = d.grant_id RETURNING n.account_id, n.grant_id"
)
_EXPIRED = text(
    "SELECT g.account_id, g.grant_id, g.expired FROM ledger.grants_v g"
    " JOIN unnest(CAST(:account_ids AS bigint[]), CAST(:grant_ids AS bigint[])) AS n (account_id, grant_id)"
    " ON n.account_id = g.account_id AND n.grant_id = g.grant_id WHERE g.expired > 0 ORDER BY 1, 2"
)


def warn_chunk(session: Session, *, after: Place, limit: int) -> tuple[Place | None, int]:
    """One chunk of accounts is looked at, and who would lose credits at their present pace is told by a mail.

    Returns where to go on (None: that was the last), and how many mails are on their way. Safe to run twice at once.
    """
    now = ledger.now(session)
    place = {"until": now + AHEAD, "due_at": after.due_at, "account_id": after.account_id, "limit": limit}
    found = session.execute(_ACCOUNTS, place).all()
    if not found:
        return None, 0
    people = {
        row.account_id: row.id for row in session.execute(_PEOPLE, {"account_ids": [row.account_id for row in found]})
    }
    mails = _warn(session, people=people, now=now) if people else 0
    return Place(due_at=found[-1].due_at, account_id=found[-1].account_id), mails


def _warn(session: Session, *, people: dict[int, int], now: datetime) -> int:
    lost = losses(session, account_ids=list(people), now=now)
    notices = {
        "account_ids": [one.account_id for one in lost],
        "grant_ids": [one.grant_id for one in lost],
        "expire_at": [one.expires_at for one in lost],
        "warned_at": [now if one.amount else None for one in lost],
    }
    written = session.execute(_NOTICE, notices).all() if lost else []
    news = {(row.account_id, row.grant_id) for row in written if row.warned_at is not None}
    by_account: dict[int, list[Loss]] = defaultdict(list)
    for one in lost:
        if (one.account_id, one.grant_id) in news:
            by_account[one.account_id].append(one)
    for account_id, ones in by_account.items():
        grants = [[one.grant_id, one.amount] for one in ones]
        _put(session, "credits_expiring", user_id=people[account_id], account_id=account_id, grants=grants)
    return len(by_account)


@dataclass(frozen=True, kw_only=True)
class Loss:
    """`amount` credits of a grant that ends soon would be left at the present pace; it may be 0."""

    account_id: int
    grant_id: int
    expires_at: datetime
    amount: int


def losses(session: Session, *, account_ids: Sequence[int], now: datetime) -> list[Loss]:
    """The grants of these accounts that end within AHEAD, each with what would be lost of it.

    As on the page of credits: at the pace of the last 30 days, in the order in which grants are burnt. What open
    holds reserve is not lost, nor what the next month of a plan will take over.
    """
    per_day = _paces(session, account_ids=account_ids, now=now)
    grants: dict[int, list[Any]] = defaultdict(list)
    for row in session.execute(_GRANTS, {"account_ids": list(account_ids), "now": now}):
        grants[row.account_id].append(row)
    soon = [
        (row.account_id, row.grant_id)
        for rows in grants.values()
        for row in rows
        if row.expires_at is not None and row.expires_at <= now + AHEAD
    ]
    carried = taken_over_soon(session, grants=soon, now=now)
    found = []
    for account_id, rows in grants.items():
        before = 0
        for row in rows:
            free = row.remaining - row.held
            before += free
            if row.expires_at is None or row.expires_at > now + AHEAD or free == 0:
                continue
            days = (row.expires_at - now).total_seconds() / 86_400
            left = min(free, max(0, before - int(per_day.get(account_id, 0.0) * days)))
            lost = max(0, left - carried.get((account_id, row.grant_id), 0))
            found.append(Loss(account_id=account_id, grant_id=row.grant_id, expires_at=row.expires_at, amount=lost))
            before -= left  # what ends unspent leaves its place in the order to the next
    return found


def _paces(session: Session, *, account_ids: Sequence[int], now: datetime) -> dict[int, float]:
    """Credits a day of each of these accounts, as webapp.credits.pace reckons them."""
    rows = session.execute(
        _SPENT, {"account_ids": list(account_ids), "scan": SCAN, "since": now - timedelta(days=DAYS + 1)}
    )
    paces = {}
    for row in rows:
        days = min((now - row.since).total_seconds() / 86_400, DAYS)
        paces[row.account_id] = max(row.spent, 0) / max(days, 0.001 if row.cut else LEAST_DAYS)
    return paces


def end_chunk(session: Session, *, limit: int) -> tuple[int, int]:
    """Of one chunk of grants that have ended, who lost something is told; returns how many grants, and mails.

    One whose end is not booked yet waits for that, and the rest of a month for the next month, of which it may become
    a part. Safe to run twice at once and to be killed.
    """
    now = ledger.now(session)
    ended = session.execute(_ENDED, {"now": now, "patience": now - LATE_MONTH, "limit": limit}).all()
    if not ended:
        return 0, 0
    grants = [(row.account_id, row.grant_id) for row in ended]
    account_ids = [account_id for account_id, _grant_id in grants]
    these = {"account_ids": account_ids, "grant_ids": [grant_id for _account_id, grant_id in grants]}
    expired = session.execute(_EXPIRED, these).all()
    carried = taken_over(session, grants=grants)
    people = {row.account_id: row.id for row in session.execute(_PEOPLE, {"account_ids": account_ids})}
    by_account: dict[int, list[list[int]]] = defaultdict(list)
    for row in expired:
        lost = row.expired - carried.get((row.account_id, row.grant_id), 0)
        if row.account_id in people and lost > 0:
            by_account[row.account_id].append([row.grant_id, lost])
    for account_id, ones in by_account.items():
        _put(session, "credits_expired", user_id=people[account_id], account_id=account_id, grants=ones)
    return len(ended), len(by_account)


def _put(session: Session, mail: str, *, user_id: int, account_id: int, grants: list[list[int]]) -> None:
    key = f"{mail}:{account_id}:{grants[0][0]}"
    args = {"mail": mail, "user_id": user_id, "account_id": account_id, "grants": grants}
    outbox.put(session, job="send_mail", key=key, args=args)
