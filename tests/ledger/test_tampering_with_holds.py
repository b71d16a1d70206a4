"""Whoever changes a hold, a freeze, or an entry that obeys a rule of its own, is found out by that rule."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.conftest import TestServers
from tests.ledger import full_history
from tests.ledger.damage import Tamper, tampering
from tests.ledger.database_account import DatabaseAccount
from tests.ledger.test_tampering import findings


@pytest.fixture
def tried(clocked_engine: Engine) -> DatabaseAccount:
    """An account that has been through everything."""
    return full_history.live(clocked_engine)


@pytest.fixture
def tamper(clocked_servers: TestServers, tried: DatabaseAccount) -> Iterator[Tamper]:
    with tampering(clocked_servers, account_id=tried.account_id) as tamper:
        yield tamper


def test_an_account_that_has_been_through_everything_has_no_findings(tried: DatabaseAccount) -> None:
    assert [entry.kind for entry in tried.entries] == (
        ["purchase", "grant", "grant", "spend", "spend", "refund", "spend", "expire", "revoke", *["grant"] * 3]
    )
    assert [hold.state for hold in tried.holds.values()] == ["captured", "open", "voided", "lapsed", "open"]
    assert findings(tried) == []


@pytest.mark.parametrize(
    ("change", "invariant"),
    [
        ("state = 'voided', captured = 0 WHERE number = 1", 9),
        ("captured = 14 WHERE number = 1", 9),
        ("feature = null WHERE number = 1", 9),
        ("closed_after = 5 WHERE number = 1", 9),
        ("amount = 31 WHERE number = 2", 5),
        ("drawn_grants = '{2}' WHERE number = 2", 5),
        ("drawn_amounts = '{29}' WHERE number = 2", 5),
        ("placed_after = 8 WHERE number = 2", 9),
        ("state = 'voided', closed_at = placed_at, closed_after = 7, closed_version = 1 WHERE number = 2", 1),
        ("expires_at = placed_at + interval '25 hours' WHERE number = 2", 9),
        ("state = 'open', closed_at = null WHERE number = 3", 1),
        ("state = 'lapsed' WHERE number = 3", 9),
        ("closed_at = closed_at - interval '1 microsecond' WHERE number = 4", 9),
        ("number = 9 WHERE number = 4", 9),
        ("drawn_amounts = '{null}' WHERE number = 2", 9),
        ("drawn_grants = '{1,2}' WHERE number = 2", 9),
        ("drawn_amounts = '{}' WHERE number = 1", 9),
        ("closed_after = null WHERE number = 4", 9),
    ],
)
def test_a_changed_hold_no_longer_agrees_with_the_history(
    tried: DatabaseAccount, tamper: Tamper, change: str, invariant: int
) -> None:
    tamper(f"UPDATE ledger.holds SET {change} AND account_id = $")
    assert (invariant, tried.account_id) in {(f.invariant, f.account_id) for f in findings(tried)}


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_a_removed_hold_is_missed(tried: DatabaseAccount, tamper: Tamper, number: int) -> None:
    tamper(f"DELETE FROM ledger.holds WHERE account_id = $ AND number = {number}")
    assert 9 in {f.invariant for f in findings(tried)}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.freezes SET grant_id = 3 WHERE account_id = $ AND number = 1",
        "UPDATE ledger.freezes SET unfrozen_at = frozen_at, unfrozen_after = 6 WHERE account_id = $ AND number = 1",
        "UPDATE ledger.freezes SET unfrozen_at = null WHERE account_id = $ AND number = 1;"
        "UPDATE ledger.grants SET frozen = false WHERE account_id = $ AND grant_id = 2",
        "DELETE FROM ledger.freezes WHERE account_id = $ AND number = 1",
    ],
)
def test_a_changed_freeze_no_longer_agrees_with_the_grant(
    tried: DatabaseAccount, tamper: Tamper, statement: str
) -> None:
    for each in statement.split(";"):
        tamper(each)
    assert 5 in {f.invariant for f in findings(tried)}


def test_a_freeze_that_is_said_to_have_come_earlier_makes_a_spend_wrong(tried: DatabaseAccount, tamper: Tamper) -> None:
    tamper("UPDATE ledger.freezes SET grant_id = 1, frozen_after = 3 WHERE account_id = $ AND number = 1")
    assert (5, full_history.SPEND) in {(f.invariant, f.seq) for f in findings(tried)}


@pytest.mark.parametrize(
    ("seq", "change", "invariant"),
    [
        (full_history.CAPTURE, "hold_number = null", 9),
        (full_history.CAPTURE, "hold_number = 2", 9),
        (full_history.SPEND, "hold_number = 4", 9),
        (full_history.ROLLOVER, "about_seq = 2", 10),
        (full_history.ROLLOVER, "occurred_at = booked_at", 10),
        (full_history.EXPIRE, "amount = -52, drawn_amounts = '{-52}'", 6),
        (full_history.EXPIRE, "drawn_grants = '{1,2}', drawn_amounts = '{-21,-1}'", 6),
        (full_history.EXPIRE, "occurred_at = occurred_at - interval '1 second'", 6),
        (full_history.REVOKE, "drawn_grants = '{1}', drawn_amounts = '{-30}', debt_after = 18", 8),
        (full_history.REVOKE, "about_seq = 2", 8),
        (full_history.REPAYING, "drawn_amounts = '{60,-40}', debt_after = 8", 3),
        (full_history.REFUND, "about_seq = 7", 3),
        (full_history.REFUND, "about_seq = 4", 4),
        (full_history.FROZEN_SPEND, "drawn_grants = '{2}'", 5),
        (full_history.SPEND, "drawn_amounts = '{null}'", 3),
        (full_history.SPEND, "drawn_grants = '{1,2}'", 3),
        (full_history.SPEND, "drawn_grants = '{}', drawn_amounts = '{}'", 3),
        (full_history.SPEND, "kind = 'gift'", 3),
        (full_history.LATE, "occurred_at = booked_at + interval '1 hour'", 4),
    ],
)
def test_each_rule_that_a_changed_entry_breaks_is_told(
    tried: DatabaseAccount, tamper: Tamper, seq: int, change: str, invariant: int
) -> None:
    tamper(f"UPDATE ledger.entries SET {change} WHERE account_id = $ AND seq = {seq}")
    assert (invariant, tried.account_id) in {(f.invariant, f.account_id) for f in findings(tried)}


def test_a_revoke_that_the_end_of_a_hold_should_have_finished_is_found(tried: DatabaseAccount, tamper: Tamper) -> None:
    tried.void(now=full_history.END, number=full_history.OPEN)
    assert findings(tried) == []
    tamper("UPDATE ledger.grants SET revoked = 51 WHERE account_id = $ AND grant_id = 10")
    assert [f.invariant for f in findings(tried)] == [8]


def test_a_key_that_names_an_entry_and_a_hold_is_found(tried: DatabaseAccount, tamper: Tamper) -> None:
    tamper("UPDATE ledger.holds SET idempotency_key = 'k' WHERE account_id = $ AND number = 3")
    assert [(f.invariant, f.seq) for f in findings(tried)] == [(7, full_history.SPEND)]


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "0044-03-15 BC"])
def test_a_moment_that_no_clock_has_shown_is_found(tried: DatabaseAccount, tamper: Tamper, moment: str) -> None:
    tamper(f"UPDATE ledger.entries SET occurred_at = '{moment}' WHERE account_id = $ AND seq = 5")
    assert {f.invariant for f in findings(tried)} == {4}
