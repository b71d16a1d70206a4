"""Sweeps at the same time, on real connections: they share the accounts, and each expiry is booked once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from tests.conftest import TestServers, _new_database
from webapp import ledger
from webapp.database import sqlalchemy_url
from webapp.ledger.fingerprints import fingerprint_of_grant
from webapp.ledger.verify import verify

ACTOR = "race"
HOUR = timedelta(hours=1)

Advance = Callable[[timedelta], None]


@pytest.fixture(scope="module")
def race_servers(server_addresses: Any) -> TestServers:
    """A database of our own: its clock is moved on."""
    return _new_database(server_addresses)


@pytest.fixture(scope="module")
def engine(race_servers: TestServers) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(race_servers.database_url), pool_size=50)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def no_deadlocks(race_servers: TestServers) -> Iterator[None]:
    before = deadlocks(race_servers)
    yield
    assert deadlocks(race_servers) == before


@pytest.fixture
def advance_clock(race_servers: TestServers) -> Iterator[Callable[[timedelta], None]]:
    with psycopg.connect(race_servers.owner_url, autocommit=True) as owner:
        yield lambda by: void(owner.execute("SELECT ledger.advance_clock(%s)", [by]))


def void(_: Any) -> None:
    pass


def deadlocks(servers: TestServers) -> int:
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


def open_account(engine: Engine, *grants: int, **attributes: Any) -> int:
    with Session(engine) as session, session.begin():
        account, _ = ledger.open_account(session, external_id=f"race-{uuid4()}")
        for amount in grants:
            ledger.grant(
                session,
                account_id=account.account_id,
                amount=amount,
                source="race",
                actor=ACTOR,
                **attributes,
            )
    return account.account_id


def at_once(engine: Engine, actions: list[Callable[[Session], Any]]) -> list[Any]:
    """Run each action on its own connection, all from one moment on; results or refusals, in order."""
    gate = Barrier(len(actions))

    def run(action: Callable[[Session], Any]) -> Any:
        with Session(engine) as session:
            session.connection()
            gate.wait(timeout=60)
            try:
                result = action(session)
                session.commit()
            except ledger.LedgerRefusal as refused:
                return refused
            return result

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def assert_whole(engine: Engine, account_id: int, *, balance: int) -> None:
    with Session(engine) as session:
        assert ledger.balance(session, account_id=account_id).balance == balance
    with engine.connect() as connection:
        assert verify(connection, account_ids=[account_id]).findings == []


def test_two_sweeps_at_once_book_each_expiry_once(engine: Engine, advance_clock: Advance) -> None:
    with Session(engine) as session:
        expiry = ledger.now(session) + HOUR
    ids = [open_account(engine, 5, 5, expires_at=expiry) for _ in range(20)]
    advance_clock(2 * HOUR)

    def sweep(session: Session) -> None:
        while ledger.expire_due(session, limit=3) != (0, 0):
            session.commit()

    at_once(engine, [sweep] * 4)
    for account_id in ids:
        assert_whole(engine, account_id, balance=0)
        with Session(engine) as session:
            assert ledger.balance(session, account_id=account_id).seq == 4


@pytest.fixture
def many_due(engine: Engine, advance_clock: Advance) -> list[int]:
    """A thousand and some accounts, each with one grant that has just expired."""
    with Session(engine) as session, session.begin():
        expiry = ledger.now(session) + HOUR
        terms = fingerprint_of_grant(source="race", amount=7, expires_at=expiry)
        session.execute(
            text("SELECT ledger.open_account(:prefix || n) FROM generate_series(1, 1200) n"),
            {"prefix": f"due-{uuid4()}-"},
        )
        ids = session.execute(
            text("SELECT account_id FROM ledger.accounts_v WHERE external_id LIKE 'due-%' AND seq = 0")
        ).scalars()
        account_ids = list(ids)
        session.execute(
            text(
                "SELECT ledger.grant(id, 7, 'race', 'race', :terms, p_expires_at => :expiry)"
                " FROM unnest(CAST(:ids AS bigint[])) id"
            ),
            {"terms": terms, "expiry": expiry, "ids": account_ids},
        )
    advance_clock(2 * HOUR)
    return account_ids


def test_sweeps_at_the_same_time_share_the_accounts(engine: Engine, many_due: list[int]) -> None:
    """The second neither waits for the first nor finds its accounts; what is left over is for the next chunk."""
    with Session(engine) as one, Session(engine) as other, Session(engine) as late:
        assert [ledger.expire_due(session, limit=500)[0] for session in (one, other)] == [500, 500]
        assert 200 <= ledger.expire_due(late, limit=500)[0] < 500
        taken = [ledger.take_changed(session) for session in (one, other, late)]
        for session in (one, other, late):
            session.commit()
    assert sum(len(ids) for ids in taken) == len(set.union(*taken))
    assert set(many_due) <= set.union(*taken)
    assert_each_expired_once(engine, many_due)


def test_two_sweeps_of_many_accounts_book_nothing_twice(engine: Engine, many_due: list[int]) -> None:
    def sweep(session: Session) -> int:
        swept = 0
        while (chunk := ledger.expire_due(session, limit=100))[0]:
            session.commit()
            swept += chunk[0]
        return swept

    swept = at_once(engine, [sweep, sweep])
    assert sum(swept) >= len(many_due)
    assert all(swept)
    assert_each_expired_once(engine, many_due)


def assert_each_expired_once(engine: Engine, account_ids: list[int]) -> None:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT seq, kind, count(*) FROM ledger.entries_v WHERE account_id = ANY (:ids)"
                " GROUP BY seq, kind ORDER BY seq"
            ),
            {"ids": account_ids},
        ).all()
        connection.rollback()
        assert rows == [(1, "grant", len(account_ids)), (2, "expire", len(account_ids))]
        assert verify(connection, account_ids=account_ids[:20]).findings == []
