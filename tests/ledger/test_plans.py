"""No write reads a whole table: among many rows, every statement on the write path finds its own by an index.

PostgreSQL itself counts the sequential scans of each table. Every operation is repeated in one session, so that the
plans made for given values are seen as well as those kept for any.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from bench.accounts import make_accounts, make_old_holds, settle
from bench.scans import sequential_scans
from tests.conftest import TestServers, _new_database
from webapp import ledger
from webapp.database import sqlalchemy_url

ACTOR = "plan"
REPETITIONS = 12  # PostgreSQL thinks of a kept plan from the sixth on
ACCOUNTS, GRANTS, SPENDS = 2_000, 5, 95

# Old rows of what an ordinary account has few of.
OLD_FREEZES = """
INSERT INTO ledger.freezes (account_id, number, grant_id, reference, actor, frozen_at, frozen_after, frozen_version,
                            unfrozen_at, unfrozen_after, unfrozen_version, unfrozen_by)
SELECT account_id, n, 1, 'old', 'plan', now(), 1, 1, now(), 1, 1, 'plan' FROM ledger.accounts, generate_series(1, 10) n
"""


@pytest.fixture(scope="module")
def full_servers(server_addresses: Any) -> TestServers:
    """200,000 entries of 2,000 accounts."""
    servers = _new_database(server_addresses)
    where = make_accounts(servers.superuser_url, prefix="p-", accounts=ACCOUNTS, grants=GRANTS, spends=SPENDS)
    make_old_holds(servers.superuser_url, where=where, each=10)
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        connection.execute(OLD_FREEZES)
    settle(servers.superuser_url)
    return servers


@pytest.fixture(scope="module")
def engine(full_servers: TestServers) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(full_servers.database_url))
    yield engine
    engine.dispose()


Operation = Callable[[Session, int, str], Any]


def spend(session: Session, account_id: int, key: str, amount: int = 3, **request: Any) -> ledger.Written:
    return ledger.spend(
        session, account_id=account_id, amount=amount, idempotency_key=key, feature="api-call", actor=ACTOR, **request
    )


def spend_across_grants(session: Session, account_id: int, key: str) -> None:
    spend(session, account_id, key, amount=2_500)


def repeat_a_spend(session: Session, account_id: int, key: str) -> None:
    assert not spend(session, account_id, key).replayed
    assert spend(session, account_id, key).replayed


def spend_into_debt_and_repay(session: Session, account_id: int, key: str) -> None:
    ledger.open_account(session, external_id=external_id_of(session, account_id), overdraft_limit=10**6)
    spend(session, account_id, key, amount=10_000)
    spend(session, account_id, key + "b")
    grant(session, account_id, key, amount=20_000)


def external_id_of(session: Session, account_id: int) -> str:
    return f"p-{account_id}"


def grant(session: Session, account_id: int, key: str, amount: int = 10, **terms: Any) -> ledger.Written:
    return ledger.grant(
        session, account_id=account_id, amount=amount, source="plan", source_key=key, actor=ACTOR,
        idempotency_key=key + "-grant", **terms,
    )  # fmt: skip


def place(session: Session, account_id: int, key: str, amount: int = 3) -> int:
    return ledger.place_hold(
        session, account_id=account_id, amount=amount, idempotency_key=key, actor=ACTOR
    ).hold.number


def capture(session: Session, account_id: int, key: str) -> None:
    number = place(session, account_id, key, amount=1_500)
    ledger.capture_hold(
        session, account_id=account_id, number=number, actor=ACTOR, idempotency_key=key + "-c", amount=2_600,
        allow_excess=True,
    )  # fmt: skip


def void(session: Session, account_id: int, key: str) -> None:
    number = place(session, account_id, key)
    ledger.void_hold(session, account_id=account_id, number=number, actor=ACTOR, idempotency_key=key + "-v")


def refund(session: Session, account_id: int, key: str) -> None:
    seq = spend(session, account_id, key, amount=2_500).entry.seq
    for part in (100, None):
        ledger.refund_spend(
            session, account_id=account_id, seq=seq, amount=part, actor=ACTOR, reason="plan",
            idempotency_key=f"{key}-r{part}",
        )  # fmt: skip


def revoke_and_restore(session: Session, account_id: int, key: str) -> None:
    spend(session, account_id, key, amount=500)
    for target in (900, 100, 0):
        ledger.revoke(session, account_id=account_id, grant_id=1, target=target, actor=ACTOR, reason="plan")


def revoke_what_is_held(session: Session, account_id: int, key: str) -> None:
    number = place(session, account_id, key, amount=800)
    ledger.revoke(session, account_id=account_id, grant_id=1, target=1_000, actor=ACTOR, reason="plan")
    ledger.capture_hold(session, account_id=account_id, number=number, actor=ACTOR, idempotency_key=key + "-c")


def freeze_and_unfreeze(session: Session, account_id: int, key: str) -> None:
    ledger.freeze(session, account_id=account_id, grant_id=1, reference=key, actor=ACTOR)
    ledger.unfreeze(session, account_id=account_id, grant_id=1, reference=key, actor=ACTOR)


def roll_over(session: Session, account_id: int, key: str) -> None:
    now = ledger.now(session)
    before = grant(
        session, account_id, key, occurred_at=now - timedelta(days=2), expires_at=now - timedelta(days=1)
    )  # fmt: skip
    ledger.roll_over(
        session, account_id=account_id, grant_id=before.entry.seq, cap=5, source_key=key + "-roll", actor=ACTOR
    )


def reorder(session: Session, account_id: int, _key: str) -> None:
    for order in ("paid_first", "free_first"):
        ledger.set_spend_order(session, account_id=account_id, spend_order=order)


def open_account(session: Session, _account_id: int, key: str) -> None:
    ledger.open_account(session, external_id=key)


def batch_of_spends(session: Session, account_id: int, key: str) -> None:
    others = [account_id + n for n in range(50)]
    items = [
        ledger.SpendItem(account_id=one, amount=amount, idempotency_key=f"{key}-{amount}", actor=ACTOR)
        for one in others
        for amount in (1, 400)
    ]
    for _ in range(2):
        assert all(isinstance(one, ledger.Written) for one in ledger.spend_many(session, items=items))


def batch_of_grants(session: Session, account_id: int, key: str) -> None:
    items = [
        ledger.GrantItem(
            account_id=account_id + n, amount=1, source="plan", source_key=key, idempotency_key=key, actor=ACTOR
        )
        for n in range(50)
    ]
    for _ in range(2):
        assert all(isinstance(one, ledger.Written) for one in ledger.grant_many(session, items=items))


WRITES: list[Operation] = [
    spend, spend_across_grants, repeat_a_spend, spend_into_debt_and_repay, grant, place, capture, void, refund,
    revoke_and_restore, revoke_what_is_held, freeze_and_unfreeze, roll_over, reorder, open_account, batch_of_spends,
    batch_of_grants,
]  # fmt: skip


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_a_write_finds_its_rows_by_indexes(engine: Engine, full_servers: TestServers, write: Operation) -> None:
    first = 1 + WRITES.index(write) * 100
    assert scans_of(engine, full_servers, [(write, first + n) for n in range(REPETITIONS)]) == {}


def test_expiry_and_lapse_find_their_rows_by_indexes(engine: Engine, full_servers: TestServers) -> None:
    with Session(engine) as session, session.begin():
        soon = ledger.now(session) + timedelta(minutes=1)
        for account_id in range(1_801, 1_900):
            grant(session, account_id, "short", expires_at=soon, priority=-1)
            if account_id % 2:
                place(session, account_id, "short")
    with psycopg.connect(full_servers.owner_url, autocommit=True) as owner:
        owner.execute("SELECT ledger.advance_clock('1 day')")

    def expire_one(session: Session, account_id: int, _key: str) -> None:
        assert ledger.expire_account(session, account_id=account_id) > 0

    def expire_some(session: Session, _account_id: int, _key: str) -> None:
        assert ledger.expire_due(session, limit=5)[0] == 5

    assert scans_of(engine, full_servers, [(expire_one, 1_801 + n) for n in range(REPETITIONS)]) == {}
    assert scans_of(engine, full_servers, [(expire_some, 0)] * REPETITIONS) == {}


def scans_of(engine: Engine, servers: TestServers, calls: list[tuple[Operation, int]]) -> dict[str, int]:
    """How many sequential scans of which of the ledger's tables these calls took, in one session."""
    with psycopg.connect(servers.superuser_url, autocommit=True) as watcher:
        before = sequential_scans(watcher)
        with Session(engine) as session:
            for number, (call, account_id) in enumerate(calls):
                call(session, account_id, f"{call.__name__}-{number}")
                session.commit()
            session.execute(text("SELECT pg_stat_force_next_flush()"))
            session.commit()
        after = sequential_scans(watcher)
    return {table: after[table] - before[table] for table in after if after[table] > before[table]}


def test_what_counts_sequential_scans_sees_one(engine: Engine, full_servers: TestServers) -> None:
    def read_all(session: Session, _account_id: int, _key: str) -> None:
        session.execute(text("SELECT sum(amount) FROM ledger.entries_v"))

    assert set(scans_of(engine, full_servers, [(read_all, 0)])) == {"entries"}
