"""A hold lapses at its deadline, whether anybody books that or not. Asked of the model and of PostgreSQL alike."""

import pytest

from tests.ledger.asking import HOUR, T0, TICK, OpenAccount, drawn, figures, hold, kinds, remaining
from tests.ledger.model import Account, Draw, HoldClosed, InsufficientCredits


def test_a_lapsed_hold_holds_nothing_though_nobody_writes(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 4)
    assert figures(account, T0 + HOUR - TICK) == (10, 4, 6)
    assert figures(account, T0 + HOUR) == (10, 0, 10)
    assert account.available(T0 + HOUR - TICK) == 6
    assert account.available(T0 + HOUR) == 10
    seen = account.get_hold(now=T0 + HOUR, number=1)
    assert (seen.state, seen.closed_at) == ("lapsed", T0 + HOUR)
    assert account.holds[1].state == "open"


def test_a_hold_is_over_at_the_very_moment_it_lapses(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 4)
    for operation in (account.capture, account.void):
        with pytest.raises(HoldClosed) as refused:
            operation(now=T0 + HOUR, number=1)
        assert (refused.value.number, refused.value.state) == (1, "lapsed")
    assert account.holds[1].state == "open"


def test_the_next_write_books_the_lapse_at_the_moment_it_came_true(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 4)
    assert drawn(account, 10, now=T0 + 2 * HOUR) == [Draw(1, -10)]
    ended = account.holds[1]
    assert (ended.state, ended.closed_at, ended.closed_after, ended.captured) == ("lapsed", T0 + HOUR, 1, 0)


def test_the_sweep_books_a_lapse_by_no_entry(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 4)
    assert account.expire_due(now=T0 + HOUR - TICK) == 0
    assert account.holds[1].state == "open"
    assert account.expire_due(now=T0 + HOUR) == 0
    assert account.holds[1].state == "lapsed"
    assert account.grants[1].held == 0


def test_lapsed_slices_of_an_expired_grant_leave_when_the_hold_lapsed(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    hold(account, 4, lasts=2 * HOUR)
    now = T0 + 5 * HOUR
    balances = [account.balance_at(T0 + n * HOUR - tick) for n in (1, 2) for tick in (TICK, 0 * TICK)]
    assert balances == [10, 4, 4, 0]
    assert figures(account, now) == (0, 0, 0)
    assert account.expire_due(now=now) == 2
    assert kinds(account)[1:] == [("expire", -6), ("expire", -4)]
    assert [entry.occurred_at for entry in account.entries[1:]] == [T0 + HOUR, T0 + 2 * HOUR]
    assert balances == [account.balance_at(T0 + n * HOUR - tick) for n in (1, 2) for tick in (TICK, 0 * TICK)]


def test_a_grant_that_expires_as_its_hold_lapses_is_booked_once_and_whole(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    hold(account, 4, lasts=HOUR)
    assert figures(account, T0 + HOUR - TICK) == (10, 4, 6)
    assert figures(account, T0 + HOUR) == (0, 0, 0)
    account.expire_due(now=T0 + HOUR)
    assert kinds(account)[1:] == [("expire", -10)]
    assert account.entries[-1].occurred_at == T0 + HOUR


def test_two_holds_that_lapse_together_come_back_one_after_the_other(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    first, second = hold(account, 4), hold(account, 5)
    assert first.expires_at == second.expires_at
    account.expire_due(now=T0 + HOUR)
    assert kinds(account)[1:] == [("expire", -5), ("expire", -5)]
    assert [account.holds[n].closed_after for n in (1, 2)] == [1, 2]
    assert {entry.occurred_at for entry in account.entries[1:]} == {T0 + HOUR}


def test_lapses_and_expiries_are_booked_in_the_order_in_which_they_came_true(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=20, expires_at=T0 + 3 * HOUR)
    account.grant(now=T0, amount=30, expires_at=T0 + 2 * HOUR, priority=9)
    hold(account, 15, lasts=2 * HOUR)
    account.expire_due(now=T0 + 4 * HOUR)
    # Grant 1 was held whole and leaves when the hold lapses; the others are none of its business, or expire later.
    assert [(entry.draws, entry.occurred_at - T0) for entry in account.entries[3:]] == [
        ((Draw(1, -10),), 2 * HOUR),
        ((Draw(3, -30),), 2 * HOUR),
        ((Draw(2, -20),), 3 * HOUR),
    ]
    assert account.holds[1].closed_after == 3


def test_lapsed_credits_pay_in_the_same_request_that_books_the_lapse(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + 9 * HOUR)
    account.grant(now=T0, amount=10)
    hold(account, 10)
    again = hold(account, 20, now=T0 + HOUR)
    assert again.slices == (Draw(1, 10), Draw(2, 10))
    assert [account.holds[n].state for n in (1, 2)] == ["lapsed", "open"]


def test_a_refused_request_books_no_lapse(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 4)
    with pytest.raises(InsufficientCredits) as refused:
        account.spend(now=T0 + HOUR, amount=11)
    assert refused.value.available == 10
    assert (account.holds[1].state, account.grants[1].held) == ("open", 4)


def test_a_capture_books_the_holds_that_lapsed_before_it(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 4, lasts=HOUR)
    longer = hold(account, 5, lasts=2 * HOUR)
    entry = account.capture(now=T0 + HOUR, number=longer.number, amount=10, allow_excess=True).entry
    assert entry.draws == (Draw(1, -5), Draw(1, -5))
    assert account.holds[1].state == "lapsed"


def test_what_lapses_and_the_overdraft_are_what_a_partial_spend_finds(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.grant(now=T0, amount=10)
    hold(account, 10)
    assert account.spend(now=T0 + HOUR - TICK, amount=99, partial=True).entry.amount == -5
    assert account.spend(now=T0 + HOUR, amount=99, partial=True).entry.amount == -10
    assert (account.debt, remaining(account)) == (5, [0])
