"""Races on real connections: whoever comes at the same moment, the credits add up."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from time import monotonic
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


def spending(account_id: int, amount: int, key: str) -> Callable[[Session], Any]:
    return lambda session: ledger.spend(session, account_id=account_id, amount=amount, idempotency_key=key, actor=ACTOR)


def succeeded(results: list[Any]) -> list[ledger.Written]:
    unexpected = [r for r in results if not isinstance(r, ledger.Written | ledger.InsufficientCredits)]
    assert unexpected == []
    return [r for r in results if isinstance(r, ledger.Written)]


def assert_whole(engine: Engine, account_id: int, *, balance: int) -> None:
    with Session(engine) as session:
        assert ledger.balance(session, account_id=account_id).balance == balance
    with engine.connect() as connection:
        assert verify(connection, account_ids=[account_id]).findings == []


@pytest.mark.parametrize("round_", range(3))
def test_of_fifty_simultaneous_spends_of_ten_from_a_hundred_exactly_ten_succeed(engine: Engine, round_: int) -> None:
    account_id = open_account(engine, *[7] * 14, 2)
    results = at_once(engine, [spending(account_id, 10, f"k{n}") for n in range(50)])
    assert len(succeeded(results)) == 10
    assert_whole(engine, account_id, balance=0)


def test_fifty_simultaneous_requests_with_one_key_spend_once(engine: Engine) -> None:
    account_id = open_account(engine, 1_000)
    results = succeeded(at_once(engine, [spending(account_id, 10, "same") for _ in range(50)]))
    assert len(results) == 50
    assert {written.entry.seq for written in results} == {2}
    assert sum(written.replayed for written in results) == 49
    assert_whole(engine, account_id, balance=990)


def test_one_source_key_from_twenty_connections_grants_once(engine: Engine) -> None:
    account_id = open_account(engine)

    def granting(session: Session) -> ledger.Written:
        return ledger.grant(session, account_id=account_id, amount=500, source="purchase", source_key="p1", actor=ACTOR)

    results = succeeded(at_once(engine, [granting] * 20))
    assert len(results) == 20
    assert {written.entry.seq for written in results} == {1}
    assert sum(not written.replayed for written in results) == 1
    assert_whole(engine, account_id, balance=500)


def test_one_external_id_from_twenty_connections_opens_one_account(engine: Engine) -> None:
    external_id = f"race-{uuid4()}"
    results = at_once(engine, [lambda session: ledger.open_account(session, external_id=external_id)] * 20)
    assert len({account.account_id for account, _ in results}) == 1
    assert sum(created for _, created in results) == 1


def test_spends_and_a_revoke_at_once_leave_the_revoked_credits_owed_or_taken(engine: Engine) -> None:
    account_id = open_account(engine, 100)
    actions: list[Callable[[Session], Any]] = [spending(account_id, 10, f"k{n}") for n in range(20)]
    actions.insert(
        10,
        lambda session: ledger.revoke(
            session, account_id=account_id, grant_id=1, target=100, actor=ACTOR, reason="race"
        ),
    )
    results = at_once(engine, actions)
    revoke = results.pop(10)
    assert revoke.amount == -100
    spent = 10 * len(succeeded(results))
    assert revoke.debt_after == spent
    assert_whole(engine, account_id, balance=-spent)


def test_simultaneous_refunds_never_return_more_than_was_spent(engine: Engine) -> None:
    account_id = open_account(engine, *[7] * 10)
    with Session(engine) as session, session.begin():
        seq = spending(account_id, 50, "spend")(session).entry.seq
    results = at_once(
        engine,
        [
            lambda session: ledger.refund_spend(
                session, account_id=account_id, seq=seq, amount=8, actor=ACTOR, reason="race"
            )
        ]
        * 20,
    )
    assert sum(isinstance(r, ledger.Written) for r in results) == 6
    assert all(isinstance(r, ledger.Written | ledger.ExceedsSpend) for r in results)
    assert_whole(engine, account_id, balance=68)


def test_spends_and_sweeps_across_an_expiry_lose_no_credit(engine: Engine, advance_clock: Advance) -> None:
    with Session(engine) as session:
        expiry = ledger.now(session) + HOUR
    account_id = open_account(engine, *[5] * 10, expires_at=expiry)
    spends = [spending(account_id, 2, f"k{n}") for n in range(20)]
    sweeps: list[Callable[[Session], Any]] = [
        lambda session: ledger.expire_account(session, account_id=account_id)
    ] * 20
    actions = [action for pair in zip(spends, sweeps, strict=True) for action in pair]
    actions.insert(20, lambda _: advance_clock(2 * HOUR))
    results = at_once(engine, actions)
    spent = [r for r in results if isinstance(r, ledger.Written)]
    assert all(written.entry.booked_at < expiry for written in spent)
    with Session(engine) as session, session.begin():
        ledger.expire_account(session, account_id=account_id)
    assert_whole(engine, account_id, balance=0)


def test_the_clock_is_read_after_the_lock(engine: Engine, race_servers: TestServers, advance_clock: Advance) -> None:
    """A spend that waited for the account's lock until its credits had expired is refused."""
    with Session(engine) as session:
        expiry = ledger.now(session) + HOUR
    account_id = open_account(engine, 10, expires_at=expiry)

    def spend() -> Any:
        with Session(engine) as session, session.begin():
            return spending(account_id, 10, "late")(session)

    with Session(engine) as holder, ThreadPoolExecutor(1) as pool:
        ledger.grant(holder, account_id=account_id, amount=1, source="race", actor=ACTOR)
        waiting = pool.submit(spend)
        until_somebody_waits_for_a_lock(race_servers)
        advance_clock(2 * HOUR)
        holder.commit()
        with pytest.raises(ledger.InsufficientCredits) as refused:
            waiting.result(timeout=30)
    assert refused.value.available == 1
    assert_whole(engine, account_id, balance=1)


def until_somebody_waits_for_a_lock(servers: TestServers) -> None:
    deadline = monotonic() + 30
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        while monotonic() < deadline:
            query = "SELECT 1 FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"
            if connection.execute(query).fetchone():
                return
    pytest.fail("nobody waits")


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
