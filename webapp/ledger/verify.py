"""The proof: everything that the ledger says of itself, worked out anew and compared."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import Connection

from webapp.ledger.proof.facts import Finding
from webapp.ledger.proof.guards import find_unguarded
from webapp.ledger.proof.ranges import ranges
from webapp.ledger.proof.reading import History, Range


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

    def __iadd__(self, other: "Report") -> "Report":
        self.accounts += other.accounts
        self.grants += other.grants
        self.entries += other.entries
        self.findings += other.findings
        return self


def verify(connection: Connection, *, account_ids: Sequence[int] | None = None, now: datetime | None = None) -> Report:
    """Recompute every invariant of the accounts given, or of all, and report each that does not hold.

    Reads only, and nothing but what the application's role may read. Works through the accounts in ranges, each in a
    REPEATABLE READ snapshot of its own, so that it may run beside any traffic; `connection` must not be in a database
    transaction. With `now`, what should have been booked by then and was not is found as well. Memory grows with the
    grants of one range and not with its entries.
    """
    driver = driver_of(connection.execution_options(isolation_level="REPEATABLE READ"))
    report = Report()
    with driver.transaction():
        report.findings += find_unguarded(driver)
    with telling_what_is_unreadable(report):
        if account_ids is None:
            for within, _ in ranges(driver):
                driver.rollback()  # the snapshot in which the range was found
                with driver.transaction():
                    report += verify_range(driver, within, now=now)
        for account_id in account_ids or ():
            with driver.transaction():
                report += verify_range(driver, (account_id, account_id), now=now)
    return report


@contextmanager
def telling_what_is_unreadable(report: Report) -> Iterator[None]:
    """What the functions never wrote, and what its owner may not read, is a finding and no accident: it ends there."""
    try:
        yield
    except psycopg.DataError as error:
        report.findings.append(Finding(4, None, None, f"a value cannot be read: {error}"))
    except psycopg.errors.InsufficientPrivilege as error:
        report.findings.append(Finding(12, None, None, f"the ledger cannot be read: {error.diag.message_primary}"))


def verify_range(connection: psycopg.Connection[Any], within: Range, *, now: datetime | None = None) -> Report:
    """The same for the accounts whose ids lie in the range, in the caller's snapshot, without rights and guards."""
    history = History(connection, within)
    replays = history.play()
    report = Report(len(replays), history.grants, history.entries, history.findings)
    for replay in replays.values():
        report.findings += replay.finish(now=now)
    report.findings += history.used_twice()
    return report


def driver_of(connection: Connection) -> psycopg.Connection[Any]:
    """The driver's own connection: a proof reads millions of rows, and each layer between costs."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver
