"""What a period left unspent is carried on, up to a cap. Asked of the model and of PostgreSQL alike."""

from datetime import datetime

import pytest

from tests.ledger.asking import HOUR, T0, TICK, OpenAccount, drawn, figures, hold, kinds, remaining
from tests.ledger.model import (
    Account,
    Draw,
    Entry,
    EntryNotFound,
    InsufficientCredits,
    InvalidRequest,
    SourceKeyConflict,
)

END = T0 + HOUR


def roll_over(account: Account, *, cap: int, now: datetime = END, grant_id: int = 1, key: str = "r") -> Entry | None:
    result = account.roll_over(now=now, grant_id=grant_id, cap=cap, source_key=key, expires_at=now + 9 * HOUR)
    return result and result.entry


def test_the_unspent_remainder_becomes_a_grant_of_its_own(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END, features=["image"], priority=5)
    account.spend(now=T0, amount=3, feature="image")
    entry = roll_over(account, cap=100)
    assert entry is not None
    assert kinds(account)[2:] == [("expire", -7), ("grant", 7)]
    assert (entry.about_seq, entry.draws, entry.occurred_at) == (1, (Draw(4, 7),), END)
    grant = account.grants[4]
    assert (grant.source, grant.source_key, grant.priority, grant.effective_at) == ("rollover", "r", 4, END)
    assert (grant.features, grant.expires_at) == (frozenset({"image"}), END + 9 * HOUR)


def test_no_more_is_rolled_over_than_the_cap(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    roll_over(account, cap=4)
    assert remaining(account) == [0, 4]
    assert account.grants[1].expired == 10


def test_nothing_is_rolled_over_when_nothing_was_left(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    account.spend(now=T0, amount=10)
    assert roll_over(account, cap=100) is None
    assert len(account.entries) == 2


def test_a_cap_of_nothing_rolls_nothing_over_but_books_what_is_due(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    assert roll_over(account, cap=0) is None
    assert kinds(account)[1:] == [("expire", -10)]


def test_a_negative_cap_is_refused(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    with pytest.raises(InvalidRequest):
        roll_over(account, cap=-1)
    assert len(account.entries) == 1


def test_only_a_grant_that_has_expired_is_rolled_over(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    account.grant(now=T0, amount=10)
    with pytest.raises(InvalidRequest):
        roll_over(account, cap=5, now=END - TICK)
    with pytest.raises(InvalidRequest):
        roll_over(account, cap=5, grant_id=2)
    with pytest.raises(EntryNotFound):
        roll_over(account, cap=5, grant_id=3)
    assert len(account.entries) == 2


def test_a_refused_rollover_books_nothing_that_is_due(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    account.grant(now=T0, amount=10)
    with pytest.raises(InvalidRequest):
        roll_over(account, cap=5, grant_id=2)
    with pytest.raises(EntryNotFound):
        roll_over(account, cap=5, grant_id=9)
    assert len(account.entries) == 2


def test_the_same_rollover_again_is_the_first_entry_whatever_the_figures_are_now(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    spend = account.spend(now=T0, amount=6).entry
    first = roll_over(account, cap=100)
    account.refund(now=END, spend_seq=spend.seq)
    assert account.grants[1].expired == 10
    again = account.roll_over(now=END, grant_id=1, cap=7, source_key="r")
    assert again is not None
    assert again.replayed
    assert again.entry == first


def test_a_repeated_rollover_writes_nothing_not_even_due_expirations(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    account.grant(now=T0, amount=10, expires_at=END + HOUR)
    roll_over(account, cap=4)
    entries = list(account.entries)
    roll_over(account, cap=4, now=END + 99 * HOUR)
    assert account.entries == entries


def test_the_key_of_another_grant_is_a_conflict(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END, source_key="bought")
    account.grant(now=T0, amount=10, expires_at=END)
    roll_over(account, cap=4, key="first")
    for key in ("bought", "first"):
        with pytest.raises(SourceKeyConflict):
            roll_over(account, cap=4, grant_id=2, key=key)
    with pytest.raises(SourceKeyConflict):
        account.grant(now=END, amount=4, source_key="first")


def test_rolled_over_credits_are_burnt_before_their_like(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    account.grant(now=T0, amount=10, expires_at=END + HOUR)
    roll_over(account, cap=4)
    assert drawn(account, 5, now=END) == [Draw(4, -4), Draw(2, -1)]


@pytest.mark.parametrize(("spent", "cap", "cost"), [(0, 10, 999), (7, 10, 300), (8, 10, 200), (5, 1, 100), (5, 3, 300)])
def test_a_rollover_takes_its_share_of_what_was_paid(account: Account, spent: int, cap: int, cost: int) -> None:
    account.grant(now=T0, amount=10, expires_at=END, cost_minor=999)
    if spent:
        account.spend(now=T0, amount=spent)
    entry = roll_over(account, cap=cap)
    assert entry is not None
    assert account.grants[entry.seq].cost_minor == cost


def test_half_a_minor_unit_is_rounded_up(account: Account) -> None:
    account.grant(now=T0, amount=2, expires_at=END, cost_minor=5)
    entry = roll_over(account, cap=1)
    assert entry is not None
    assert account.grants[entry.seq].cost_minor == 3


def test_a_rollover_counts_from_the_moment_the_old_grant_expired(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    roll_over(account, cap=4, now=END + 5 * HOUR)
    assert [account.balance_at(moment) for moment in (END - TICK, END)] == [10, 4]


def test_a_rollover_that_comes_too_late_has_expired_itself_and_repays_nothing(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.grant(now=T0, amount=10, expires_at=END)
    account.spend(now=T0 + HOUR, amount=5)
    late = T0 + 9 * HOUR
    account.roll_over(now=late, grant_id=1, cap=4, source_key="r", expires_at=END + 2 * HOUR)
    assert kinds(account)[-2:] == [("grant", 4), ("expire", -4)]
    assert account.entries[-1].occurred_at == END + 2 * HOUR
    assert (account.balance(late), account.debt) == (-5, 5)
    assert [account.balance_at(END + n * HOUR) for n in (0, 1, 2)] == [-1, -1, -5]


def test_a_rollover_pays_debt_first(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.grant(now=T0, amount=10, expires_at=END)
    account.spend(now=END, amount=3)
    entry = roll_over(account, cap=4)
    assert entry is not None
    assert (entry.draws, entry.debt_after) == ((Draw(4, 4), Draw(4, -3)), 0)


def test_what_is_still_held_is_not_rolled_over(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    hold(account, 4, lasts=3 * HOUR)
    roll_over(account, cap=100)
    assert remaining(account) == [4, 6]
    assert figures(account, END) == (10, 4, 6)


def test_what_lapsed_into_the_expired_grant_is_rolled_over_too(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    hold(account, 4, lasts=3 * HOUR)
    roll_over(account, cap=100, now=T0 + 3 * HOUR)
    assert kinds(account)[1:] == [("expire", -6), ("expire", -4), ("grant", 10)]


def test_a_rollover_can_be_rolled_over_in_turn(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    roll_over(account, cap=6)
    roll_over(account, cap=4, now=END + 9 * HOUR, grant_id=3, key="second")
    assert remaining(account) == [0, 0, 4]
    assert account.grants[5].priority == -2


def test_what_was_frozen_when_it_expired_is_rolled_over_and_pays(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=END)
    account.freeze(now=T0, grant_id=1, reference="dispute")
    roll_over(account, cap=4)
    assert drawn(account, 4, now=END) == [Draw(3, -4)]
    with pytest.raises(InsufficientCredits):
        account.spend(now=END, amount=1)
