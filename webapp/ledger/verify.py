"""The proof: everything that the ledger says of itself, worked out anew and compared."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, text

from webapp.ledger.replay import AccountFacts, EntryFacts, Finding, GrantFacts, Replay

CHUNK = 200  # accounts a database transaction
ROWS_AT_ONCE = 2_000

_NEXT_ACCOUNTS = text(
    "SELECT account_id FROM ledger.accounts_v WHERE account_id > :after ORDER BY account_id LIMIT :chunk"
)
_ACCOUNTS = text(
    "SELECT account_id, balance, held, debt, seq, spend_order FROM ledger.accounts_v"
    " WHERE account_id = ANY (:ids) ORDER BY account_id"
)
_GRANTS = text(
    "SELECT account_id, grant_id, amount, remaining, held, priority, effective_at, expires_at, features,"
    " cost_minor > 0 AS is_paid, frozen, expired, revoked, revoked_taken, revoked_as_debt"
    " FROM ledger.grants_v WHERE account_id = ANY (:ids) ORDER BY account_id, grant_id"
)
_ENTRIES = text(
    "SELECT account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts, about_seq,"
    " feature, occurred_at, booked_at FROM ledger.entries_v"
    " WHERE account_id = ANY (:ids) ORDER BY account_id, seq"
)
_VIOLATIONS = text(
    "SELECT invariant, account_id, detail FROM ledger.violations_v WHERE account_id = ANY (:ids)"
)
_VIOLATIONS_OF_NO_ACCOUNT = text(
    "SELECT invariant, account_id, detail FROM ledger.violations_v WHERE account_id IS NULL"
)
_DUPLICATES = text(
    "SELECT account_id, max(seq) AS seq, 'idempotency key ' || idempotency_key AS name"
    " FROM ledger.entries_v WHERE account_id = ANY (:ids) AND idempotency_key IS NOT NULL"
    " GROUP BY account_id, idempotency_key HAVING count(*) > 1"
    " UNION ALL SELECT account_id, max(grant_id), 'source key ' || source_key"
    " FROM ledger.grants_v WHERE account_id = ANY (:ids) AND source_key IS NOT NULL"
    " GROUP BY account_id, source_key HAVING count(*) > 1"
)


@dataclass
class Report:
    """What was looked at, and every lie that was found."""

    accounts: int = 0
    grants: int = 0
    entries: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.findings


def verify(connection: Connection, *, account_ids: Sequence[int] | None = None) -> Report:
    """Recompute every invariant of the accounts given, or of all, and report each that does not hold.

    Reads only. Works through the accounts in chunks, each in a REPEATABLE READ snapshot of its own, so that it
    may run beside any traffic; `connection` must not be in a database transaction. Memory grows with the
    grants of one chunk and not with its entries.
    """
    report = Report()
    connection = connection.execution_options(isolation_level="REPEATABLE READ")
    for ids in _chunks(connection, account_ids):
        with connection.begin():
            _verify_chunk(connection, ids, report)
    if account_ids is None:
        with connection.begin():
            report.findings += map(_violation, connection.execute(_VIOLATIONS_OF_NO_ACCOUNT))
    return report


def _chunks(connection: Connection, account_ids: Sequence[int] | None) -> Iterator[list[int]]:
    if account_ids is not None:
        for start in range(0, len(account_ids), CHUNK):
            yield list(account_ids[start : start + CHUNK])
        return
    last = 0
    while True:
        with connection.begin():
            rows = connection.execute(_NEXT_ACCOUNTS, {"after": last, "chunk": CHUNK})
            ids = list(rows.scalars())
        if not ids:
            return
        yield ids
        last = ids[-1]


def _verify_chunk(connection: Connection, ids: list[int], report: Report) -> None:
    arguments = {"ids": ids}
    accounts = [_account(row) for row in connection.execute(_ACCOUNTS, arguments)]
    grants: dict[int, dict[int, GrantFacts]] = {account.account_id: {} for account in accounts}
    for row in _stream(connection, _GRANTS, arguments):
        grants[row.account_id][row.grant_id] = _grant(row)
        report.grants += 1
    replays = {a.account_id: Replay(a, grants.pop(a.account_id)) for a in accounts}
    for account_id, rows in groupby(_stream(connection, _ENTRIES, arguments), attrgetter("account_id")):
        for row in rows:
            replays[account_id].play(_entry(row))
            report.entries += 1
    for replay in replays.values():
        report.findings += replay.finish()
    for row in connection.execute(_DUPLICATES, arguments):
        report.findings.append(Finding(7, row.account_id, row.seq, f"{row.name} is used twice"))
    report.findings += map(_violation, connection.execute(_VIOLATIONS, arguments))
    report.accounts += len(accounts)


def _stream(connection: Connection, query: Any, arguments: dict[str, Any]) -> Iterable[Row[Any]]:
    return connection.execute(query, arguments, execution_options={"yield_per": ROWS_AT_ONCE})


def _violation(row: Row[Any]) -> Finding:
    return Finding(row.invariant, row.account_id, None, row.detail)


def _account(row: Row[Any]) -> AccountFacts:
    return AccountFacts(
        account_id=row.account_id,
        balance=row.balance,
        held=row.held,
        debt=row.debt,
        seq=row.seq,
        paid_first=row.spend_order == "paid_first",
    )


def _grant(row: Row[Any]) -> GrantFacts:
    return GrantFacts(
        grant_id=row.grant_id,
        amount=row.amount,
        stored_remaining=row.remaining,
        stored_held=row.held,
        priority=row.priority,
        effective_at=row.effective_at,
        expires_at=row.expires_at,
        features=None if row.features is None else frozenset(row.features),
        is_paid=row.is_paid,
        frozen=row.frozen,
        stored_expired=row.expired,
        stored_revoked=row.revoked,
        stored_revoked_effect=row.revoked_taken + row.revoked_as_debt,
    )


def _entry(row: Row[Any]) -> EntryFacts:
    return EntryFacts(
        seq=row.seq,
        kind=row.kind,
        amount=row.amount,
        balance_after=row.balance_after,
        debt_after=row.debt_after,
        draws=tuple(zip(row.drawn_grants, row.drawn_amounts, strict=True)),
        about_seq=row.about_seq,
        feature=row.feature,
        occurred_at=row.occurred_at,
        booked_at=row.booked_at,
    )
