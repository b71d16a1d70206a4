"""A hold that ends in a spend: less, all or more of it. Asked of the model and of PostgreSQL alike."""

import pytest

from tests.ledger.asking import HOUR, T0, TICK, OpenAccount, figures, hold, kinds, remaining
from tests.ledger.model import Account, Draw, ExceedsHold, ExceedsSpend, HoldClosed, InsufficientCredits


def test_a_capture_is_one_spend_of_the_slices_that_were_held(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + 9 * HOUR)
    account.grant(now=T0, amount=10)
    placed = hold(account, 15, feature="image")
    entry = account.capture(now=T0 + TICK, number=placed.number).entry
    assert (entry.kind, entry.amount, entry.feature, entry.hold_number) == ("spend", -15, "image", 1)
    assert entry.draws == (Draw(1, -10), Draw(2, -5))
    assert figures(account, T0 + TICK) == (5, 0, 5)
    ended = account.holds[1]
    assert (ended.state, ended.captured, ended.closed_at, ended.closed_after) == ("captured", 15, T0 + TICK, 3)


def test_a_capture_of_one_credit_takes_the_first_slice_and_frees_the_rest(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + 9 * HOUR)
    account.grant(now=T0, amount=10)
    placed = hold(account, 15)
    entry = account.capture(now=T0, number=placed.number, amount=1).entry
    assert entry.draws == (Draw(1, -1),)
    assert remaining(account) == [9, 10]
    assert figures(account) == (19, 0, 19)
    assert account.holds[1].captured == 1


def test_a_partial_capture_takes_the_first_slices_and_the_last_return(account: Account) -> None:
    for _ in range(3):
        account.grant(now=T0, amount=10, effective_at=T0)
    placed = hold(account, 25)
    entry = account.capture(now=T0, number=placed.number, amount=14).entry
    assert entry.draws == (Draw(1, -10), Draw(2, -4))
    assert remaining(account) == [0, 6, 10]


def test_capturing_exactly_what_is_held_needs_no_leave(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 4)
    assert account.capture(now=T0, number=placed.number, amount=4).entry.amount == -4


def test_a_hold_ends_once(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 4)
    account.capture(now=T0, number=placed.number, amount=1)
    for operation in (account.capture, account.void):
        with pytest.raises(HoldClosed) as refused:
            operation(now=T0, number=placed.number)
        assert (refused.value.number, refused.value.state) == (1, "captured")
    assert len(account.entries) == 2


def test_the_same_capture_under_its_key_is_the_same_entry(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 4)
    first = account.capture(now=T0, number=placed.number, amount=3, idempotency_key="c")
    again = account.capture(now=T0 + 9 * HOUR, number=placed.number, amount=3, idempotency_key="c")
    assert again.replayed
    assert again.entry == first.entry
    assert len(account.entries) == 2


# -- more than is held --------------------


def test_one_credit_more_than_is_held_is_refused_without_leave(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 4)
    with pytest.raises(ExceedsHold) as refused:
        account.capture(now=T0, number=placed.number, amount=5)
    assert refused.value.held == 4
    assert figures(account) == (10, 4, 6)
    assert account.capture(now=T0, number=placed.number).entry.amount == -4


def test_one_credit_more_than_is_held_is_drawn_in_the_ordinary_way_with_leave(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 4)
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    entry = account.capture(now=T0, number=placed.number, amount=5, allow_excess=True).entry
    assert entry.draws == (Draw(1, -4), Draw(2, -1))
    assert account.holds[1].captured == 4
    assert figures(account) == (15, 0, 15)


def test_leave_to_exceed_changes_nothing_when_it_is_not_needed(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 4)
    assert account.capture(now=T0, number=placed.number, amount=2, allow_excess=True).entry.draws == (Draw(1, -2),)


def test_the_excess_may_come_from_the_grant_that_was_held_by_a_draw_of_its_own(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 4)
    entry = account.capture(now=T0, number=placed.number, amount=6, allow_excess=True).entry
    assert entry.draws == (Draw(1, -4), Draw(1, -2))


def test_the_excess_is_paid_by_what_may_pay_for_the_holds_feature(account: Account) -> None:
    account.grant(now=T0, amount=4)
    account.grant(now=T0, amount=10, features=["image"])
    account.grant(now=T0, amount=10, features=["export"])
    placed = hold(account, 14, feature="image")
    with pytest.raises(InsufficientCredits) as refused:
        account.capture(now=T0, number=placed.number, amount=15, allow_excess=True)
    assert (refused.value.required, refused.value.available) == (1, 0)


def test_an_excess_that_nothing_pays_for_leaves_the_hold_open_and_writes_nothing(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 4, idempotency_key="h")
    account.grant(now=T0, amount=3, expires_at=T0 + HOUR - TICK)
    with pytest.raises(InsufficientCredits) as refused:
        account.capture(now=T0 + HOUR - TICK, number=placed.number, amount=11, allow_excess=True, idempotency_key="c")
    assert (refused.value.required, refused.value.available) == (7, 6)
    assert kinds(account) == [("grant", 10), ("grant", 3)]
    assert account.get_hold(now=T0, number=1).state == "open"
    account.capture(now=T0, number=placed.number, amount=11, allow_excess=True, idempotency_key="c")
    assert figures(account) == (2, 0, 2)


def test_the_excess_may_go_into_the_overdraft(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.grant(now=T0, amount=10)
    placed = hold(account, 8)
    with pytest.raises(InsufficientCredits) as refused:
        account.capture(now=T0, number=placed.number, amount=16, allow_excess=True)
    assert (refused.value.required, refused.value.available) == (8, 7)
    entry = account.capture(now=T0, number=placed.number, amount=15, allow_excess=True).entry
    assert (entry.draws, entry.debt_after, entry.balance_after) == ((Draw(1, -8), Draw(1, -2)), 5, -5)


def test_the_excess_must_cover_the_debt_too_but_what_is_held_need_not(account: Account) -> None:
    account.grant(now=T0, amount=20)
    account.grant(now=T0, amount=10)
    account.spend(now=T0, amount=20)
    placed = hold(account, 4)
    account.revoke(now=T0, grant_id=1, target=5)
    with pytest.raises(InsufficientCredits) as refused:
        account.capture(now=T0, number=placed.number, amount=6, allow_excess=True)
    assert (refused.value.required, refused.value.available) == (2, 1)
    entry = account.capture(now=T0, number=placed.number, amount=5, allow_excess=True).entry
    assert (entry.amount, entry.debt_after, entry.balance_after) == (-5, 5, 0)


# -- time --------------------


def test_a_held_slice_is_captured_though_its_grant_has_expired(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    placed = hold(account, 4, lasts=3 * HOUR)
    entry = account.capture(now=T0 + 2 * HOUR, number=placed.number).entry
    assert entry.draws == (Draw(1, -4),)
    assert kinds(account)[1:] == [("expire", -6), ("spend", -4)]


def test_what_a_capture_leaves_of_an_expired_grant_expires_at_once(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    placed = hold(account, 10, lasts=3 * HOUR)
    account.capture(now=T0 + 2 * HOUR, number=placed.number, amount=3)
    assert kinds(account)[1:] == [("spend", -3), ("expire", -7)]
    assert account.entries[-1].occurred_at == T0 + 2 * HOUR


def test_the_excess_takes_nothing_of_a_grant_that_has_expired(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=10)
    placed = hold(account, 4, lasts=3 * HOUR)
    entry = account.capture(now=T0 + HOUR, number=placed.number, amount=6, allow_excess=True).entry
    assert entry.draws == (Draw(1, -4), Draw(2, -2))


def test_a_capture_one_moment_before_the_hold_lapses_succeeds(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 4)
    assert account.capture(now=T0 + HOUR - TICK, number=placed.number).entry.amount == -4


# -- refunds of what was captured --------------------


def test_a_captured_spend_is_refunded_like_any_other(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + 9 * HOUR)
    account.grant(now=T0, amount=10)
    placed = hold(account, 15)
    spend = account.capture(now=T0, number=placed.number, amount=12).entry
    assert account.refund(now=T0, spend_seq=spend.seq, amount=5).entry.draws == (Draw(2, 2), Draw(1, 3))
    with pytest.raises(ExceedsSpend):
        account.refund(now=T0, spend_seq=spend.seq, amount=8)
    account.refund(now=T0, spend_seq=spend.seq)
    assert remaining(account) == [10, 10]
    assert account.get_hold(now=T0, number=1).captured == 12


def test_a_refund_of_a_capture_undoes_debt_then_excess_then_what_was_held(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.grant(now=T0, amount=10)
    placed = hold(account, 8)
    account.grant(now=T0, amount=1, expires_at=T0 + HOUR)
    spend = account.capture(now=T0, number=placed.number, amount=16, allow_excess=True).entry
    assert (spend.draws, spend.debt_after) == ((Draw(1, -8), Draw(2, -1), Draw(1, -2)), 5)
    first = account.refund(now=T0, spend_seq=spend.seq, amount=6).entry
    assert (first.draws, first.debt_after) == ((Draw(1, 1),), 0)
    second = account.refund(now=T0, spend_seq=spend.seq).entry
    assert second.draws == (Draw(1, 1), Draw(2, 1), Draw(1, 8))
    assert remaining(account) == [10, 1]
