"""The proof of a whole ledger, by several processes at once."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import datetime
from itertools import islice
from typing import Any

import psycopg

from webapp.ledger.proof.guards import find_unguarded
from webapp.ledger.proof.ranges import ranges
from webapp.ledger.proof.reading import Range
from webapp.ledger.verify import Report, telling_what_is_unreadable, verify_range

# A process takes half a second to start: fewer entries are proved sooner by this one.
ENTRIES_WORTH_A_PROCESS = 50_000

Progress = Callable[[int], None]
_connection: psycopg.Connection[Any] | None = None


def count_entries(url: str) -> int:
    """About how many entries there are to prove: what progress is measured by."""
    with connect(url) as connection:
        row = connection.execute("SELECT coalesce(sum(seq + 1), 0)::bigint FROM ledger.accounts_v").fetchone()
    return int(row[0]) if row else 0


def verify_all(url: str, *, jobs: int, now: datetime | None = None, progress: Progress | None = None) -> Report:
    """As `verify` of every account, by at most `jobs` processes, each with a connection of its own to `url`.

    Calls `progress` with the number of entries that were done since the last call.
    """
    report = Report()
    tell = progress or (lambda _entries: None)
    with connect(url) as connection, telling_what_is_unreadable(report):
        report.findings += find_unguarded(connection)
        jobs = min(jobs, 1 + count_entries(url) // ENTRIES_WORTH_A_PROCESS)
        found = _ranges(connection)
        for part, entries in _by_ourselves(url, found, now) if jobs == 1 else _by_others(url, found, now, jobs):
            report += part
            tell(entries)
    report.findings.sort(key=lambda finding: (finding.account_id or 0, finding.seq or 0))
    return report


def verify_accounts(url: str, account_ids: Sequence[int], *, now: datetime | None = None) -> Report:
    """As `verify` of the accounts given, over a connection of its own."""
    report = Report()
    with connect(url) as connection:
        for account_id in account_ids:
            report += _verify(connection, (account_id, account_id), now)
        report.findings += find_unguarded(connection)
    return report


def connect(url: str) -> psycopg.Connection[Any]:
    """A connection whose every database transaction is one snapshot, and which reads only."""
    connection = psycopg.connect(url, options="-c timezone=UTC -c default_transaction_read_only=on")
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return connection


def _ranges(connection: psycopg.Connection[Any]) -> Iterator[tuple[Range, int]]:
    for found in ranges(connection):
        connection.rollback()  # no snapshot stays open while the range is worked on
        yield found


def _by_ourselves(url: str, found: Iterator[tuple[Range, int]], now: datetime | None) -> Iterator[tuple[Report, int]]:
    with connect(url) as connection:
        for within, entries in found:
            yield _verify(connection, within, now), entries


def _by_others(
    url: str, found: Iterator[tuple[Range, int]], now: datetime | None, jobs: int
) -> Iterator[tuple[Report, int]]:
    spawn = multiprocessing.get_context("spawn")  # a fork would share our connections
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_begin, initargs=(url,)) as pool:
        running: dict[Future[Report], int] = {}
        while True:
            for within, entries in islice(found, 2 * jobs - len(running)):
                running[pool.submit(_work, within, now)] = entries
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield done.result(), running.pop(done)


def _begin(url: str) -> None:
    global _connection
    _connection = connect(url)


def _work(within: Range, now: datetime | None) -> Report:
    assert _connection is not None
    return _verify(_connection, within, now)


def _verify(connection: psycopg.Connection[Any], within: Range, now: datetime | None) -> Report:
    with connection.transaction():
        return verify_range(connection, within, now=now)
