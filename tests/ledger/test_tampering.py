"""Whoever changes history past every guard is found out: the verifier names the account and the entry."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine

from tests.conftest import TestServers, _new_database
from tests.ledger.asking import HOUR, T0
from tests.ledger.damage import Tamper, tampering
from tests.ledger.database_account import DatabaseAccount
from webapp.database import sqlalchemy_url
from webapp.ledger.fingerprints import fingerprint_of_grant
from webapp.ledger.proof.facts import Finding
from webapp.ledger.verify import verify

# The history that is tampered with.
GRANT, SECOND_GRANT, SPEND, REFUND, EXPIRE, REVOKE, LAST = 1, 2, 3, 4, 5, 6, 7


@pytest.fixture
def account(clocked_engine: Engine) -> DatabaseAccount:
    account = DatabaseAccount(clocked_engine, now=T0)
    account.grant(now=T0, amount=100, expires_at=T0 + HOUR, source_key="first")
    account.grant(now=T0, amount=50)
    account.spend(now=T0, amount=40, feature="image", idempotency_key="k")
    account.refund(now=T0, spend_seq=SPEND, amount=10)
    account.expire_due(now=T0 + HOUR)
    account.revoke(now=T0 + HOUR, grant_id=SECOND_GRANT, target=20)
    account.spend(now=T0 + HOUR, amount=5)
    return account


@pytest.fixture
def tamper(clocked_servers: TestServers, account: DatabaseAccount) -> Iterator[Tamper]:
    with tampering(clocked_servers, account_id=account.account_id) as tamper:
        yield tamper


def findings(account: DatabaseAccount) -> list[Finding]:
    with account.engine.connect() as connection:
        return verify(connection, account_ids=[account.account_id]).findings


def test_an_honest_history_has_no_findings(account: DatabaseAccount) -> None:
    assert [entry.kind for entry in account.entries] == [
        "grant",
        "grant",
        "spend",
        "refund",
        "expire",
        "revoke",
        "spend",
    ]
    assert findings(account) == []


@pytest.mark.parametrize("seq", [GRANT, SPEND, EXPIRE, LAST])
@pytest.mark.parametrize(
    "change",
    [
        "amount = amount + 1",
        "balance_after = balance_after + 1",
        "debt_after = debt_after + 1",
        "drawn_amounts[1] = drawn_amounts[1] + 1",
        "kind = CASE kind WHEN 'spend' THEN 'expire' ELSE 'spend' END",
        "feature = 'export'",
        "description = 'nothing to see'",
        "metadata = '{\"a\": 1}'",
        "actor = 'somebody else'",
        "idempotency_key = 'other'",
        "occurred_at = occurred_at - interval '1 microsecond'",
        "booked_at = booked_at + interval '1 microsecond'",
        "hash = sha256('forged')",
    ],
)
def test_a_changed_entry_is_named(account: DatabaseAccount, tamper: Tamper, seq: int, change: str) -> None:
    tamper(f"UPDATE ledger.entries SET {change} WHERE account_id = $ AND seq = {seq}")
    found = findings(account)
    assert {finding.account_id for finding in found} == {account.account_id}
    assert seq in {finding.seq for finding in found}


@pytest.mark.parametrize("seq", [GRANT, SPEND, REVOKE])
def test_a_deleted_entry_is_missed_before_the_next(account: DatabaseAccount, tamper: Tamper, seq: int) -> None:
    tamper(f"DELETE FROM ledger.entries WHERE account_id = $ AND seq = {seq}")
    assert Finding(4, account.account_id, seq + 1, f"entry {seq} is missing before it") in findings(account)


def test_a_deleted_last_entry_is_missed(account: DatabaseAccount, tamper: Tamper) -> None:
    tamper(f"DELETE FROM ledger.entries WHERE account_id = $ AND seq = {LAST}")
    assert Finding(4, account.account_id, None, "seq is 7, and by the history 6") in findings(account)


def test_a_last_entry_that_was_deleted_with_its_effects_breaks_the_head(
    account: DatabaseAccount, tamper: Tamper
) -> None:
    tamper(f"DELETE FROM ledger.entries WHERE account_id = $ AND seq = {LAST}")
    tamper("UPDATE ledger.accounts SET balance = balance + 5, seq = 6 WHERE account_id = $")
    tamper("UPDATE ledger.grants SET remaining = remaining + 5 WHERE account_id = $ AND grant_id = 2")
    assert [(f.invariant, f.account_id) for f in findings(account)] == [(4, account.account_id)]


def test_a_deleted_history_is_missed(account: DatabaseAccount, tamper: Tamper) -> None:
    tamper("DELETE FROM ledger.entries WHERE account_id = $")
    assert {4, 2, 1} <= {finding.invariant for finding in findings(account)}


def test_a_forged_entry_is_named_even_when_all_its_numbers_agree(account: DatabaseAccount, tamper: Tamper) -> None:
    tamper(
        'INSERT INTO ledger.entries SELECT (jsonb_populate_record(e, \'{"seq": 8, "balance_after": 10,'
        ' "idempotency_key": "forged"}\')).* FROM ledger.entries e WHERE account_id = $ AND seq = 7'
    )
    tamper("UPDATE ledger.accounts a SET balance = 10, seq = 8 WHERE account_id = $")
    tamper("UPDATE ledger.grants SET remaining = remaining - 5 WHERE account_id = $ AND grant_id = 2")
    assert 8 in {finding.seq for finding in findings(account)}


def test_two_entries_that_changed_places_are_named(account: DatabaseAccount, tamper: Tamper) -> None:
    for old, new in [(SPEND, 1000), (REFUND, SPEND), (1000, REFUND)]:
        tamper(f"UPDATE ledger.entries SET seq = {new} WHERE account_id = $ AND seq = {old}")
    assert {SPEND, REFUND} <= {finding.seq for finding in findings(account)}


@pytest.mark.parametrize(
    ("change", "invariant"),
    [
        ("UPDATE ledger.accounts SET balance = balance + 1 WHERE account_id = $", 1),
        ("UPDATE ledger.accounts SET debt = debt + 1 WHERE account_id = $", 3),
        ("UPDATE ledger.accounts SET head = sha256('') WHERE account_id = $", 4),
        ("UPDATE ledger.grants SET remaining = remaining + 1 WHERE account_id = $ AND grant_id = 2", 2),
        ("DELETE FROM ledger.grants WHERE account_id = $ AND grant_id = 2", 2),
        ("UPDATE ledger.grants SET amount = amount + 1 WHERE account_id = $ AND grant_id = 2", 2),
        ("UPDATE ledger.grants SET revoked_taken = 0 WHERE account_id = $ AND grant_id = 2", 8),
        ("UPDATE ledger.grants SET revoked_as_debt = 1, revoked_taken = 19 WHERE account_id = $ AND grant_id = 2", 8),
        ("UPDATE ledger.grants SET revoked = 10 WHERE account_id = $ AND grant_id = 2", 8),
        ("UPDATE ledger.grants SET expired = 0 WHERE account_id = $ AND grant_id = 1", 10),
        ("UPDATE ledger.grants SET repaid = 1 WHERE account_id = $ AND grant_id = 2", 10),
        ("UPDATE ledger.grants SET expires_at = null WHERE account_id = $ AND grant_id = 1", 6),
        ("UPDATE ledger.grants SET priority = -1 WHERE account_id = $ AND grant_id = 2", 5),
        ("UPDATE ledger.grants SET features = '{export}' WHERE account_id = $ AND grant_id = 1", 5),
        ("UPDATE ledger.grants SET effective_at = expires_at WHERE account_id = $ AND grant_id = 1", 5),
    ],
)
def test_a_changed_account_or_grant_no_longer_agrees_with_its_history(
    account: DatabaseAccount, tamper: Tamper, change: str, invariant: int
) -> None:
    tamper(change)
    assert (invariant, account.account_id) in {(f.invariant, f.account_id) for f in findings(account)}


@pytest.fixture
def promising(clocked_engine: Engine) -> DatabaseAccount:
    """An account with grants of which nothing was spent yet: only their terms say what they are worth."""
    account = DatabaseAccount(clocked_engine, now=T0)
    account.grant(
        now=T0,
        amount=100,
        expires_at=T0 + HOUR,
        effective_at=T0 - HOUR,
        features=["image", "export"],
        source_key="first",
        description="Spring",
    )
    account.grant(now=T0, amount=100, source="purchase", cost_minor=900)
    return account


def test_grants_whose_terms_nobody_changed_have_no_findings(promising: DatabaseAccount) -> None:
    assert findings(promising) == []
    assert promising.read("SELECT features FROM ledger.grants_v WHERE account_id = :account_id ORDER BY grant_id") == [
        (["export", "image"],),
        (None,),
    ]


@pytest.mark.parametrize("grant_id", [1, 2])
@pytest.mark.parametrize(
    "change",
    [
        "expires_at = coalesce(expires_at, effective_at) + interval '1 year'",
        "expires_at = null",
        "effective_at = effective_at - interval '1 microsecond'",
        "effective_at = effective_at + interval '1 hour'",
        "priority = 1",
        "features = '{export}'",
        "features = null",
        "source = 'admin'",
        "source_key = 'another'",
        "source_key = null",
        "cost_minor = cost_minor + 1",
        "cost_currency = 'USD'",
        "description = 'Autumn'",
        "fingerprint = sha256('forged')",
    ],
)
def test_a_grant_whose_terms_were_changed_afterwards_is_named(
    promising: DatabaseAccount, clocked_servers: TestServers, grant_id: int, change: str
) -> None:
    column, _, value = change.partition(" = ")
    query = f"SELECT {column} IS DISTINCT FROM ({value}) FROM ledger.grants WHERE account_id = %s AND grant_id = %s"
    ids = [promising.account_id, grant_id]
    with psycopg.connect(clocked_servers.owner_url, autocommit=True) as owner:
        differs = owner.execute(query, ids).fetchone()  # type: ignore[arg-type]
        owner.execute(f"UPDATE ledger.grants SET {change} WHERE account_id = %s AND grant_id = %s", ids)  # type: ignore[arg-type]
    expected = {(4, grant_id, "the terms of the grant that it made were changed afterwards")} if differs[0] else set()  # type: ignore[index]
    assert expected <= {(f.invariant, f.seq, f.detail) for f in findings(promising)}


def test_a_grant_whose_fingerprint_was_changed_with_its_terms_is_named(
    promising: DatabaseAccount, clocked_servers: TestServers
) -> None:
    forged = fingerprint_of_grant(source="purchase", amount=100, cost_minor=900, cost_currency="EUR", priority=-1)
    with psycopg.connect(clocked_servers.owner_url, autocommit=True) as owner:
        owner.execute(
            "UPDATE ledger.grants SET priority = -1, fingerprint = %s WHERE account_id = %s AND grant_id = 2",
            [forged, promising.account_id],
        )
    assert [(f.invariant, f.seq) for f in findings(promising)] == [(4, 2)]


def test_an_expiry_that_the_sweep_would_not_find_is_named(account: DatabaseAccount, tamper: Tamper) -> None:
    account.grant(now=T0 + HOUR, amount=1, expires_at=T0 + 2 * HOUR)
    tamper("UPDATE ledger.accounts SET due_at = null WHERE account_id = $")
    assert [f.invariant for f in findings(account)] == [11]


def test_the_same_lies_are_seen_by_the_view(account: DatabaseAccount, tamper: Tamper) -> None:
    tamper(f"UPDATE ledger.entries SET amount = amount + 1 WHERE account_id = $ AND seq = {SPEND}")
    rows = account.read("SELECT invariant FROM ledger.violations_v WHERE account_id = :account_id")
    assert {1, 3, 4} <= {row.invariant for row in rows}


# -- a database of their own, for lies about everything ---------------------------------------------------


@pytest.fixture
def lying_servers(server_addresses: Any) -> TestServers:
    return _new_database(server_addresses)


def all_findings(servers: TestServers) -> list[Finding]:
    engine = create_engine(sqlalchemy_url(servers.owner_url))
    try:
        with engine.connect() as connection:
            return verify(connection).findings
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "GRANT INSERT ON ledger.entries TO tallystick_app",
        "GRANT UPDATE (amount) ON ledger.grants TO tallystick_app",
        "GRANT CREATE ON SCHEMA ledger TO tallystick_app",
        "ALTER TABLE ledger.account_ids OWNER TO tallystick_app",
        "ALTER FUNCTION ledger.now() OWNER TO tallystick_app",
        "ALTER TABLE ledger.entries DISABLE TRIGGER ALL",
        "DROP TRIGGER entries_written_once ON ledger.entries",
        "DROP TRIGGER grants_kept ON ledger.grants",
        "ALTER TABLE ledger.accounts DISABLE TRIGGER accounts_kept",
        "ALTER TABLE ledger.account_ids ENABLE REPLICA TRIGGER account_ids_kept",
        "DROP TRIGGER holds_kept ON ledger.holds",
        "ALTER TABLE ledger.freezes DISABLE TRIGGER freezes_kept",
        "ALTER TABLE ledger.sealed_heads DISABLE TRIGGER ALL",
        "DROP TRIGGER seals_written_once ON ledger.seals",
    ],
)
def test_rights_that_the_application_must_not_have_are_named(lying_servers: TestServers, statement: str) -> None:
    assert all_findings(lying_servers) == []
    with psycopg.connect(lying_servers.superuser_url, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]
    assert {(f.invariant, f.account_id) for f in all_findings(lying_servers)} == {(12, None)}


def test_entries_whose_account_was_deleted_are_named(lying_servers: TestServers) -> None:
    engine = create_engine(sqlalchemy_url(lying_servers.database_url))
    account = DatabaseAccount(engine, now=T0)
    account.grant(now=T0, amount=1)
    engine.dispose()
    with psycopg.connect(lying_servers.superuser_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM ledger.accounts WHERE account_id = %s", [account.account_id])
    assert (4, account.account_id, 1) in {(f.invariant, f.account_id, f.seq) for f in all_findings(lying_servers)}
