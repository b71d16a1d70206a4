"""Batches beside each other and beside everything else, from processes of their own: nobody deadlocks, all adds up."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from threading import Barrier
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from tests.conftest import TestServers, _new_database
from tests.ledger.twins import findings_of
from webapp import ledger
from webapp.database import sqlalchemy_url

ACTOR = "race"
ACCOUNTS = 30
ROUNDS = 8


@pytest.fixture(scope="module")
def race_servers(server_addresses: Any) -> TestServers:
    return _new_database(server_addresses)


@pytest.fixture(scope="module")
def engine(race_servers: TestServers) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(race_servers.database_url))
    yield engine
    engine.dispose()


def deadlocks(servers: TestServers) -> int:
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


def open_accounts(engine: Engine) -> list[int]:
    """Accounts with a few grants each, some of which expire within the next minutes of a clock that is moved."""
    with Session(engine) as session, session.begin():
        now = ledger.now(session)
        ids = [ledger.open_account(session, external_id=f"br-{uuid4()}")[0].account_id for _ in range(ACCOUNTS)]
        grants = [
            ledger.GrantItem(
                account_id=account_id,
                amount=40,
                source="race",
                actor=ACTOR,
                expires_at=None if number == 4 else now + timedelta(minutes=number + 1),
            )
            for account_id in ids
            for number in range(5)
        ]
        assert all(isinstance(one, ledger.Written) for one in ledger.grant_many(session, items=grants))
    return ids


def spending_batches(url: str, ids: list[int], seed: int) -> int:
    """Returns how many credits its batches spent."""
    chance = random.Random(seed)
    spent = 0
    engine = create_engine(sqlalchemy_url(url))
    for number in range(ROUNDS):
        items = [
            ledger.SpendItem(
                account_id=chance.choice(ids), amount=chance.randint(1, 3), idempotency_key=f"{seed}-{number}-{place}",
                actor=ACTOR,
            )
            for place in range(60)
        ]  # fmt: skip
        with Session(engine) as session, session.begin():
            outcomes = ledger.spend_many(session, items=items)
        spent -= sum(one.entry.amount for one in outcomes if isinstance(one, ledger.Written))
    engine.dispose()
    return spent


def everything_else(url: str, ids: list[int], seed: int) -> int:
    """Single spends, batches of grants and sweeps; returns how many credits were spent."""
    chance = random.Random(seed)
    spent = 0
    engine = create_engine(sqlalchemy_url(url))
    for number in range(ROUNDS):
        with Session(engine) as session, session.begin():
            grants = [
                ledger.GrantItem(account_id=one, amount=1, source="race", source_key=f"g{number}", actor=ACTOR)
                for one in chance.sample(ids, 10)
            ]
            ledger.grant_many(session, items=grants)
        with Session(engine) as session, session.begin():
            ledger.expire_due(session, limit=10)
        for place in range(20):
            with Session(engine) as session:
                try:
                    written = ledger.spend(
                        session, account_id=chance.choice(ids), amount=2, idempotency_key=f"{seed}-{number}-{place}",
                        actor=ACTOR,
                    )  # fmt: skip
                except ledger.InsufficientCredits:
                    continue
                session.commit()
                spent -= written.entry.amount
    engine.dispose()
    return spent


def moving_clock(url: str, _ids: list[int], _seed: int) -> int:
    with psycopg.connect(url, autocommit=True) as owner:
        for _ in range(ROUNDS):
            owner.execute("SELECT ledger.advance_clock('20 seconds')")
            owner.execute("SELECT pg_sleep(0.03)")
    return 0


def test_batches_single_spends_and_sweeps_from_five_processes_never_deadlock(
    engine: Engine, race_servers: TestServers
) -> None:
    ids = open_accounts(engine)
    before = deadlocks(race_servers)
    url = race_servers.database_url
    with get_context("spawn").Pool(5) as pool:
        running = [
            pool.apply_async(spending_batches, (url, ids, 1)),
            pool.apply_async(spending_batches, (url, ids, 2)),
            pool.apply_async(everything_else, (url, ids, 3)),
            pool.apply_async(everything_else, (url, ids, 4)),
            pool.apply_async(moving_clock, (race_servers.owner_url, ids, 5)),
        ]
        spent = sum(one.get(timeout=120) for one in running)
    assert deadlocks(race_servers) == before
    with Session(engine) as session:
        query = "SELECT -sum(amount) FROM ledger.entries_v WHERE kind = 'spend' AND account_id = ANY (:ids)"
        assert session.execute(text(query), {"ids": ids}).scalar_one() == spent > 0
    assert findings_of(engine, ids) == []


def test_one_batch_sent_twice_at_once_is_charged_once(engine: Engine) -> None:
    """Whichever comes second waits for the first's accounts and finds replays alone."""
    ids = open_accounts(engine)
    items = [ledger.SpendItem(account_id=one, amount=1, idempotency_key="once", actor=ACTOR) for one in ids]
    gate = Barrier(2)

    def send(_: int) -> list[Any]:
        with Session(engine) as session, session.begin():
            session.connection()
            gate.wait(timeout=60)
            return ledger.spend_many(session, items=items)

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(send, range(2)))
    assert sorted({one.replayed for one in outcomes} == {True} for outcomes in both) == [False, True]
    assert [one.entry for one in both[0]] == [one.entry for one in both[1]]
