"""The sweep over all accounts books what each account's own next write would, in chunks that bear being cut off."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.conftest import TestServers
from tests.ledger.asking import HOUR, T0, TICK
from tests.ledger.conftest import new_clocked_database
from tests.ledger.twins import ACTOR, PASTS, at, findings_of, make_account, make_twins, state_of
from webapp import ledger
from webapp.database import sqlalchemy_url

AFTER = T0 + 9 * HOUR


@pytest.fixture(scope="module")
def sweep_servers(server_addresses: Any) -> TestServers:
    """A database of our own: a sweep takes whatever is due in it."""
    return new_clocked_database(server_addresses)


@pytest.fixture(scope="module")
def engine(sweep_servers: TestServers) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(sweep_servers.database_url))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def owner_engine(sweep_servers: TestServers) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(sweep_servers.owner_url))
    yield engine
    engine.dispose()


@pytest.fixture
def swept_before(engine: Engine) -> None:
    """Nothing of other tests is due."""
    sweep(engine, AFTER)


def sweep(engine: Engine, now: Any, *, limit: int = 500) -> list[tuple[int, int]]:
    chunks = []
    while not chunks or chunks[-1][0]:
        with at(engine, now) as session:
            chunks.append(ledger.expire_due(session, limit=limit))
    return chunks[:-1]


def due_accounts(engine: Engine, count: int, *, grants: int = 1) -> list[int]:
    """Accounts with grants that expire one hour after T0."""
    with at(engine, T0) as session:
        ids = [ledger.open_account(session, external_id=f"s-{uuid4()}")[0].account_id for _ in range(count)]
        for account_id in ids:
            outcomes = ledger.grant_many(
                session,
                items=[ledger.GrantItem(account_id=account_id, amount=5, source="s", actor=ACTOR, expires_at=T0 + HOUR)]
                * grants,
            )
            assert all(isinstance(outcome, ledger.Written) for outcome in outcomes)
    return ids


@given(
    pasts=PASTS,
    now=st.sampled_from([T0, T0 + HOUR - TICK, *(T0 + n * HOUR for n in (1, 2, 3, 4, 6))]),
    limit=st.integers(1, 3),
)
def test_the_sweep_books_what_each_account_alone_would(
    engine: Engine, owner_engine: Engine, pasts: Any, now: Any, limit: int
) -> None:
    swept, single = make_twins(engine, pasts)
    for account_id in single:
        with at(engine, now) as session:
            ledger.expire_account(session, account_id=account_id)
    sweep(engine, now, limit=limit)
    with Session(owner_engine) as session:
        for one, other in zip(swept, single, strict=True):
            assert state_of(session, one) == state_of(session, other)
    assert findings_of(engine, swept) == []


@pytest.mark.usefixtures("swept_before")
def test_a_chunk_that_was_cut_off_has_booked_nothing_and_the_next_sweep_books_it(
    engine: Engine, sweep_servers: TestServers
) -> None:
    ids = due_accounts(engine, 6)
    with Session(engine) as session, psycopg.connect(sweep_servers.superuser_url, autocommit=True) as killer:
        session.execute(text("SELECT set_config('test.now', :now, true)"), {"now": AFTER.isoformat()})
        assert ledger.expire_due(session, limit=4) == (4, 4)
        backend = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        killer.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
        with pytest.raises(OperationalError):
            session.execute(text("SELECT 1"))
        session.invalidate()
    assert kinds_of(engine, ids) == {"grant": 6}
    assert sweep(engine, AFTER, limit=4) == [(4, 4), (2, 2)]
    assert kinds_of(engine, ids) == {"grant": 6, "expire": 6}
    assert sweep(engine, AFTER) == []


def kinds_of(engine: Engine, ids: list[int]) -> dict[str, int]:
    with Session(engine) as session:
        query = "SELECT kind, count(*) AS count FROM ledger.entries_v WHERE account_id = ANY (:ids) GROUP BY kind"
        return {row.kind: row.count for row in session.execute(text(query), {"ids": ids})}


@pytest.mark.usefixtures("swept_before")
def test_spends_of_accounts_that_are_not_due_do_not_wait_for_the_sweep(engine: Engine) -> None:
    due_accounts(engine, 3)
    other = make_account(engine, overdraft_limit=5, past=[])
    with at(engine, AFTER) as sweeping, at(engine, AFTER) as spending:
        assert ledger.expire_due(sweeping) == (3, 3)
        spending.execute(text("SET LOCAL lock_timeout = '1s'"))
        written = ledger.spend(spending, account_id=other, amount=5, idempotency_key="k", actor=ACTOR)
        assert written.entry.balance_after == -5


@pytest.mark.usefixtures("swept_before")
def test_accounts_with_very_many_grants_make_a_chunk_shorter(engine: Engine) -> None:
    ids = due_accounts(engine, 3, grants=10_000)
    assert sweep(engine, AFTER) == [(2, 20_000), (1, 10_000)]
    assert findings_of(engine, ids[:1]) == []


def test_an_account_that_was_due_for_a_grants_start_alone_gets_no_entry(engine: Engine) -> None:
    past = [("grant", {"amount": 3, "effective_at": T0 + HOUR, "cost_minor": 0})]
    account_id = make_account(engine, overdraft_limit=0, past=past)
    sweep(engine, T0 + HOUR)
    assert kinds_of(engine, [account_id]) == {"grant": 1}
    with at(engine, T0 + HOUR) as session:
        assert ledger.balance(session, account_id=account_id).available == 3
        assert account_id not in {row.account_id for row in session.execute(text(_DUE), {"now": T0 + HOUR})}


_DUE = "SELECT account_id FROM ledger.accounts_v WHERE due_at <= :now"
