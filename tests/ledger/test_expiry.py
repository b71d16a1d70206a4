"""Expiry is a fact, not a job. Asked of the model and of PostgreSQL alike."""

import pytest

from tests.ledger.asking import HOUR, T0, TICK, OpenAccount, drawn, kinds, remaining
from tests.ledger.model import Account, Draw, InsufficientCredits


def test_credits_can_be_spent_until_the_last_moment_before_they_expire(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    assert drawn(account, 10, now=T0 + HOUR - TICK) == [Draw(1, -10)]


def test_credits_cannot_be_spent_at_the_very_moment_they_expire(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    with pytest.raises(InsufficientCredits) as refused:
        account.spend(now=T0 + HOUR, amount=1)
    assert refused.value.available == 0
    assert kinds(account) == [("grant", 10)]


def test_no_balance_includes_expired_credits_swept_or_not(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=5)
    assert account.balance(T0 + HOUR - TICK) == 15
    assert account.balance(T0 + HOUR) == 5
    account.expire_due(now=T0 + 2 * HOUR)
    assert account.balance(T0 + 2 * HOUR) == 5


def test_the_next_write_books_what_expired_at_the_moment_it_expired(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + 2 * HOUR)
    account.grant(now=T0, amount=20, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=5)
    account.spend(now=T0 + 3 * HOUR, amount=5)
    assert kinds(account)[3:] == [("expire", -20), ("expire", -10), ("spend", -5)]
    first, second, spend = account.entries[3:]
    assert (first.occurred_at, second.occurred_at) == (T0 + HOUR, T0 + 2 * HOUR)
    assert first.booked_at == second.booked_at == spend.booked_at == T0 + 3 * HOUR
    assert (first.draws, second.draws) == ((Draw(2, -20),), (Draw(1, -10),))


def test_only_what_remains_of_a_grant_expires(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=10)
    account.spend(now=T0, amount=7)
    assert account.expire_due(now=T0 + HOUR) == 1
    assert kinds(account)[-1] == ("expire", -3)
    assert remaining(account) == [0, 10]


def test_a_sweep_with_nothing_due_writes_nothing_and_a_second_sweep_neither(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    assert account.expire_due(now=T0 + HOUR - TICK) == 0
    assert account.expire_due(now=T0 + HOUR) == 1
    assert account.expire_due(now=T0 + HOUR) == 0
    assert len(account.entries) == 2


def test_the_balance_of_a_past_moment_comes_from_the_entries_alone(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + 2 * HOUR)
    account.spend(now=T0 + HOUR, amount=3)
    account.grant(now=T0 + 3 * HOUR, amount=1)
    moments = [T0 - TICK, T0, T0 + HOUR, T0 + 2 * HOUR - TICK, T0 + 2 * HOUR, T0 + 3 * HOUR]
    assert [account.balance_at(moment) for moment in moments] == [0, 10, 7, 7, 0, 1]


def test_a_past_balance_is_the_same_before_and_after_the_sweep(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    moments = [T0, T0 + HOUR - TICK, T0 + HOUR, T0 + 2 * HOUR]
    unswept = [account.balance_at(moment) for moment in moments]
    account.expire_due(now=T0 + 2 * HOUR)
    assert unswept == [account.balance_at(moment) for moment in moments] == [10, 10, 0, 0]


def test_a_grant_that_is_born_expired_pays_for_nothing_and_expires_at_once(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=4)
    account.spend(now=T0, amount=4)
    account.grant(now=T0 + HOUR, amount=10, effective_at=T0 - HOUR, expires_at=T0)
    assert kinds(account) == [("spend", -4), ("grant", 10), ("expire", -10)]
    assert account.balance(T0 + HOUR) == account.balance_at(T0) == -4
    assert account.entries[-1].occurred_at == T0 + HOUR
