"""How jobs of many chunks leave room for whoever is at work beside them, in sessions of PostgreSQL's own."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from flask import Flask

from jobs import pace
from jobs.pace import count_busy, paced, rest_of
from tests.conftest import TestServers
from webapp import ledger
from webapp.database import unit_of_work

SPEND = "SELECT 1 FROM ledger.spend(%s, 1, %s, '\\x00', 'test', NULL, 1, false, '', NULL, '{}', NULL, NULL)"

# So many wait for a lock, and nobody else has done anything lately.
OTHERS_REST = """
SELECT count(*) FILTER (WHERE wait_event_type = 'Lock') = %(waiting)s
   AND count(*) FILTER (WHERE wait_event_type IS DISTINCT FROM 'Lock'
                          AND (state = 'active' OR state_change > clock_timestamp() - interval '60 milliseconds')) = 0
FROM pg_stat_activity WHERE datname = %(database)s AND pid <> pg_backend_pid()
"""


@pytest.fixture
def account_id(fresh_app: Flask) -> int:
    """Of somebody who has credits."""
    with fresh_app.app_context(), unit_of_work() as session:
        account, _ = ledger.open_account(session, external_id=f"pace-{uuid4()}")
        ledger.grant(
            session, account_id=account.account_id, amount=9, source="s", source_key="g", actor="test",
            expires_at=ledger.now(session) + timedelta(days=1),
        )  # fmt: skip
        return account.account_id


class Spender:
    """A session of the application's role that can be in the midst of a spend: it waits for the account's lock."""

    def __init__(self, database: TestServers, account_id: int) -> None:
        self._database = database
        self._account_id = account_id

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Within, one session spends; after it both are at rest."""
        url = self._database.database_url
        with psycopg.connect(url) as holder, psycopg.connect(url) as spender, ThreadPoolExecutor() as threads:
            holder.execute(SPEND, [self._account_id, "held"])
            spend = threads.submit(spender.execute, SPEND, [self._account_id, "waits"])
            try:
                self._until_others_rest(waiting=1)
                yield
            finally:
                holder.rollback()
            spend.result()
            spender.commit()
            self.rest()

    def rest(self) -> None:
        """Nobody has done anything for a while."""
        self._until_others_rest(waiting=0)

    def _until_others_rest(self, *, waiting: int) -> None:
        given = {"waiting": waiting, "database": self._database.database}
        with psycopg.connect(self._database.superuser_url, autocommit=True) as watcher:
            while watcher.execute(OTHERS_REST, given).fetchone() != (True,):
                watcher.execute("SELECT pg_sleep(0.01)")


@pytest.fixture
def spender(fresh_database: TestServers, account_id: int) -> Spender:
    return Spender(fresh_database, account_id)


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each rest; nobody waits for them here."""
    seen: list[float] = []
    monkeypatch.setattr(pace, "sleep", seen.append)
    return seen


def work(app: Flask, chunks: int) -> list[int]:
    left = iter([*range(chunks, 0, -1), 0])
    with app.app_context():
        return list(paced(lambda: next(left), longest_seconds=60))


def busy(app: Flask) -> int:
    with app.app_context(), unit_of_work() as session:
        return count_busy(session)


def test_whom_nobody_disturbs_works_without_a_rest_and_beside_a_spend_it_rests_after_each_chunk(
    fresh_app: Flask, spender: Spender, rests: list[float]
) -> None:
    spender.rest()
    assert busy(fresh_app) == 0
    assert work(fresh_app, 3) == [3, 2, 1]
    assert rests == []
    with spender.spending():
        assert busy(fresh_app) == 1
        assert work(fresh_app, 3) == [3, 2, 1]
        assert len(rests) == 3
    assert busy(fresh_app) == 0
    work(fresh_app, 3)
    assert len(rests) == 3


def test_sessions_that_are_open_and_a_transaction_that_was_forgotten_are_nobody_at_work(
    fresh_app: Flask, fresh_database: TestServers, spender: Spender
) -> None:
    with psycopg.connect(fresh_database.database_url) as forgotten, psycopg.connect(fresh_database.database_url):
        forgotten.execute("SELECT 1")
        spender.rest()
        assert busy(fresh_app) == 0
        forgotten.execute("SELECT 1")


def test_where_sessions_are_hidden_one_is_taken_to_be_busy(
    make_app: Callable[..., Flask], fresh_database: TestServers
) -> None:
    url = fresh_database.superuser_url
    app = make_app(fresh_database, DATABASE_URL=url, DATABASE_OWNER_URL=url)
    assert busy(app) == 0
    with psycopg.connect(url), psycopg.connect(url):
        assert busy(app) == 1


def test_a_rest_grows_with_those_at_work_and_is_bounded() -> None:
    assert [rest_of(0.2, busy=others) for others in range(5)] == pytest.approx([0, 0.4, 0.8, 0.8, 0.8])
    assert rest_of(30, busy=1) == pace.LONGEST_SECONDS


def test_no_chunk_is_begun_when_the_time_is_up() -> None:
    assert list(paced(lambda: 1, longest_seconds=0)) == []
