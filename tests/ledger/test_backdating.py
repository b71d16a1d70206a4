"""Credits and usage that are booked late. Asked of the model and of PostgreSQL alike."""

import pytest

from tests.ledger.asking import HOUR, T0, TICK, OpenAccount, drawn, figures, hold, kinds, remaining
from tests.ledger.model import Account, Draw, InsufficientCredits, InvalidRequest

AGO = T0 - 5 * HOUR


def test_a_late_grant_counts_from_the_moment_it_occurred(account: Account) -> None:
    entry = account.grant(now=T0, amount=10, occurred_at=AGO).entry
    assert (entry.occurred_at, entry.booked_at) == (AGO, T0)
    assert account.grants[1].effective_at == AGO
    assert [account.balance_at(moment) for moment in (AGO - TICK, AGO, T0)] == [0, 10, 10]
    assert figures(account) == (10, 0, 10)


def test_a_late_grant_may_say_from_when_it_pays(account: Account) -> None:
    account.grant(now=T0, amount=10, occurred_at=AGO, effective_at=T0 + HOUR)
    with pytest.raises(InsufficientCredits):
        account.spend(now=T0, amount=1)
    assert drawn(account, 1, now=T0 + HOUR) == [Draw(1, -1)]


def test_a_late_grant_is_burnt_before_one_that_came_between(account: Account) -> None:
    account.grant(now=T0 - HOUR, amount=10)
    account.grant(now=T0, amount=10, occurred_at=AGO)
    assert drawn(account, 1) == [Draw(2, -1)]


def test_a_late_grant_that_has_expired_meanwhile_leaves_when_it_expired(account: Account) -> None:
    account.grant(now=T0, amount=10, occurred_at=AGO, expires_at=AGO + HOUR)
    assert kinds(account) == [("grant", 10), ("expire", -10)]
    assert account.entries[-1].occurred_at == AGO + HOUR
    moments = (AGO - TICK, AGO, AGO + HOUR - TICK, AGO + HOUR, T0)
    assert [account.balance_at(moment) for moment in moments] == [0, 10, 10, 0, 0]


def test_a_late_grant_that_had_expired_when_it_occurred_leaves_at_that_moment(account: Account) -> None:
    account.grant(now=T0, amount=10, occurred_at=AGO, expires_at=AGO - HOUR)
    assert [entry.occurred_at for entry in account.entries] == [AGO, AGO]
    assert [account.balance_at(moment) for moment in (AGO - HOUR, AGO, T0)] == [0, 0, 0]


def test_a_grant_that_expires_as_it_is_booked_leaves_then(account: Account) -> None:
    account.grant(now=T0, amount=10, occurred_at=AGO, expires_at=T0)
    assert kinds(account) == [("grant", 10), ("expire", -10)]
    assert account.entries[-1].occurred_at == T0


def test_a_late_grant_pays_the_debt_of_today(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.spend(now=T0, amount=5)
    account.grant(now=T0, amount=8, occurred_at=AGO)
    assert (account.debt, remaining(account)) == (0, [3])
    assert [account.balance_at(moment) for moment in (AGO, T0 - TICK, T0)] == [8, 8, 3]


def test_a_late_grant_that_has_expired_pays_no_debt(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.spend(now=T0, amount=5)
    account.grant(now=T0, amount=8, occurred_at=AGO, expires_at=T0)
    assert (account.debt, remaining(account)) == (5, [0])


def test_nothing_can_be_granted_as_of_the_future(account: Account) -> None:
    with pytest.raises(InvalidRequest):
        account.grant(now=T0, amount=10, occurred_at=T0 + TICK)
    assert account.entries == []
    assert account.grant(now=T0, amount=10, occurred_at=T0).entry.occurred_at == T0


def test_when_it_occurred_is_no_part_of_what_a_grant_is(account: Account) -> None:
    first = account.grant(now=T0, amount=10, source_key="k", occurred_at=AGO)
    for occurred_at in (None, AGO - HOUR, T0):
        again = account.grant(now=T0, amount=10, source_key="k", occurred_at=occurred_at)
        assert again.replayed
        assert again.entry == first.entry


def test_a_late_grant_does_not_change_who_paid_meanwhile(account: Account) -> None:
    account.grant(now=AGO, amount=10)
    account.spend(now=AGO + HOUR, amount=4)
    account.grant(now=T0, amount=10, priority=-1, occurred_at=AGO)
    assert remaining(account) == [6, 10]
    assert account.balance_at(AGO + HOUR) == 16


def test_late_usage_draws_no_slice_that_is_held(account: Account) -> None:
    account.grant(now=AGO, amount=10)
    hold(account, 6)
    entry = account.spend(now=T0, amount=4, occurred_at=AGO).entry
    assert entry.draws == (Draw(1, -4),)
    with pytest.raises(InsufficientCredits):
        account.spend(now=T0, amount=1, occurred_at=AGO)


def test_late_usage_may_draw_on_a_grant_that_came_after_it(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.spend(now=T0, amount=4, occurred_at=AGO)
    seen = account.state_at(AGO, now=T0)
    assert (seen.balance, seen.grants[1].remaining) == (-4, -4)
    assert (account.balance_at(AGO), account.balance_at(T0)) == (-4, 6)
