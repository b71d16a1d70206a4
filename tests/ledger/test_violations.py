"""`ledger.violations_v`: what SQL alone can see, empty when all is right, and cheap for one account."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from tests.conftest import TestServers
from tests.ledger import full_history
from tests.ledger.damage import past_every_guard
from tests.ledger.database_account import DatabaseAccount


@pytest.fixture
def account(clocked_engine: Engine) -> DatabaseAccount:
    return full_history.live(clocked_engine)


@pytest.fixture
def superuser(clocked_servers: TestServers, account: DatabaseAccount) -> Iterator[psycopg.Connection]:
    with past_every_guard(clocked_servers, account_id=account.account_id) as connection:
        yield connection


def violations(account: DatabaseAccount) -> set[int]:
    rows = account.read("SELECT invariant, detail FROM ledger.violations_v WHERE account_id = :account_id")
    assert all(row.detail for row in rows)
    return {row.invariant for row in rows}


def test_an_honest_account_has_none(account: DatabaseAccount) -> None:
    assert violations(account) == set()


@pytest.mark.parametrize(
    ("change", "invariant"),
    [
        ("accounts SET balance = balance + 1", 1),
        ("accounts SET held = held + 1", 1),
        ("accounts SET debt = debt + 1", 1),
        ("accounts SET seq = seq + 1", 4),
        ("accounts SET head = sha256('')", 4),
        ("accounts SET holds = holds + 1", 9),
        ("accounts SET due_at = null", 11),
        ("accounts SET waiting = false", 11),
        ("grants SET remaining = remaining + 1 WHERE grant_id = 10", 2),
        ("grants SET held = held + 1 WHERE grant_id = 10", 2),
        ("grants SET amount = amount + 1 WHERE grant_id = 2", 2),
        ("grants SET frozen = NOT frozen WHERE grant_id = 2", 5),
        ("grants SET features = '{export}' WHERE grant_id = 1", 5),
        ("grants SET expires_at = null WHERE grant_id = 1", 6),
        ("grants SET revoked_taken = 1 WHERE grant_id = 1", 8),
        ("grants SET revoked = 1 WHERE grant_id = 1", 8),
        ("grants SET expired = 0 WHERE grant_id = 1", 10),
        ("entries SET amount = amount + 1 WHERE seq = 5", 3),
        ("entries SET balance_after = balance_after + 1 WHERE seq = 5", 4),
        ("entries SET description = 'other' WHERE seq = 5", 4),
        ("entries SET drawn_grants = '{77}' WHERE seq = 5", 2),
        ("entries SET drawn_grants = '{2}' WHERE seq = 7", 5),
        ("entries SET seq = 99 WHERE seq = 5", 4),
        ("entries SET hold_number = 2 WHERE seq = 4", 9),
        ("holds SET idempotency_key = 'k' WHERE number = 3", 7),
        ("holds SET amount = 31 WHERE number = 2", 2),
        ("holds SET drawn_amounts = '{29}' WHERE number = 2", 2),
        ("holds SET captured = 14 WHERE number = 1", 9),
        ("holds SET state = 'lapsed', captured = 0 WHERE number = 1", 9),
        ("holds SET state = 'lapsed' WHERE number = 3", 9),
        ("holds SET state = 'open', closed_at = null WHERE number = 3", 1),
        ("freezes SET unfrozen_at = frozen_at, unfrozen_after = 6 WHERE number = 1", 5),
    ],
)
def test_each_lie_is_seen(account: DatabaseAccount, superuser: psycopg.Connection, change: str, invariant: int) -> None:
    glue = "AND" if "WHERE" in change else "WHERE"
    changed = superuser.execute(f"UPDATE ledger.{change} {glue} account_id = {account.account_id}".encode())
    assert changed.rowcount == 1
    assert invariant in violations(account)


def test_what_is_overdue_for_an_hour_is_seen(account: DatabaseAccount, superuser: psycopg.Connection) -> None:
    superuser.execute(
        "UPDATE ledger.holds SET expires_at = now() - interval '2 hours', placed_at = now() - interval '3 hours'"
        " WHERE account_id = %s AND number = 2",
        [account.account_id],
    )
    assert 11 in violations(account)


def test_an_entry_that_is_not_what_was_sealed_is_seen(account: DatabaseAccount, superuser: psycopg.Connection) -> None:
    superuser.execute(
        "INSERT INTO ledger.sealed_heads (account_id, seq, number, head) VALUES (%s, 5, 1, sha256(''))",
        [account.account_id],
    )
    assert violations(account) == {4}
    superuser.execute("DELETE FROM ledger.sealed_heads WHERE account_id = %s", [account.account_id])


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if plan.get("Schema") == "ledger":
        yield plan
    for inner in plan.get("Plans", []):
        yield from scans(inner)


def test_one_account_is_read_by_keys_alone(account: DatabaseAccount, superuser: psycopg.Connection) -> None:
    """Nothing of the ledger is scanned whole, and nothing is joined before it is narrowed to the account."""
    superuser.execute("SET enable_seqscan = off")
    query = f"SELECT * FROM ledger.violations_v WHERE account_id = {account.account_id}"
    row = superuser.execute(f"EXPLAIN (FORMAT JSON, VERBOSE) {query}".encode()).fetchone()
    assert row is not None
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    found = list(scans(plan[0]["Plan"]))
    assert {each["Relation Name"] for each in found} >= {"accounts", "grants", "entries", "holds", "freezes"}
    for each in found:
        if each["Relation Name"] != "clock":
            asked = each.get("Index Cond", "") + str(each.get("Plans", ""))
            assert "account_id = " in asked, each
