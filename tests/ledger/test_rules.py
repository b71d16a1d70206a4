"""The rules of the ledger, a sentence each, asked of the model and of PostgreSQL alike."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.ledger.model import (
    Account,
    Draw,
    EntryNotFound,
    ExceedsGrant,
    ExceedsSpend,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
    SourceKeyConflict,
)

T0 = datetime(2031, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)

OpenAccount = Callable[..., Account]


def drawn(account: Account, amount: int, *, now: datetime = T0, feature: str | None = None) -> list[Draw]:
    return list(account.spend(now=now, amount=amount, feature=feature).entry.draws)


def kinds(account: Account) -> list[tuple[str, int]]:
    return [(entry.kind, entry.amount) for entry in account.entries]


def remaining(account: Account) -> list[int]:
    return [grant.remaining for _, grant in sorted(account.grants.items())]


# -- 1. burn order ----------------------------------------------------------------------------------------


def test_credits_of_lower_priority_number_are_spent_first(account: Account) -> None:
    account.grant(now=T0, amount=10, priority=20, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=10, priority=10)
    assert drawn(account, 15) == [Draw(2, -10), Draw(1, -5)]


def test_credits_expiring_soonest_are_spent_first(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + 2 * HOUR)
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    assert drawn(account, 15) == [Draw(2, -10), Draw(1, -5)]


def test_credits_that_never_expire_are_spent_last(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=10, expires_at=T0 + 9000 * HOUR)
    assert drawn(account, 15) == [Draw(2, -10), Draw(1, -5)]


def test_free_credits_are_spent_before_paid_ones_of_equal_expiry(account: Account) -> None:
    account.grant(now=T0, amount=10, cost_minor=900)
    account.grant(now=T0, amount=10)
    assert drawn(account, 15) == [Draw(2, -10), Draw(1, -5)]


def test_an_account_may_choose_to_spend_paid_credits_first(open_account: OpenAccount) -> None:
    account = open_account(spend_order="paid_first")
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=10, cost_minor=900)
    assert drawn(account, 15) == [Draw(2, -10), Draw(1, -5)]


def test_paid_first_decides_only_between_equal_expiries(open_account: OpenAccount) -> None:
    account = open_account(spend_order="paid_first")
    account.grant(now=T0, amount=10, cost_minor=900)
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    assert drawn(account, 15) == [Draw(2, -10), Draw(1, -5)]


def test_credits_effective_earlier_are_spent_first(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=10, effective_at=T0 - HOUR)
    assert drawn(account, 15) == [Draw(2, -10), Draw(1, -5)]


def test_credits_equal_in_everything_are_spent_in_the_order_granted(account: Account) -> None:
    for _ in range(3):
        account.grant(now=T0, amount=10, effective_at=T0)
    assert drawn(account, 25) == [Draw(1, -10), Draw(2, -10), Draw(3, -5)]


def test_a_limited_grant_pays_only_for_its_features(account: Account) -> None:
    account.grant(now=T0, amount=10, features=["image", "export"], expires_at=T0 + HOUR)
    account.grant(now=T0, amount=10)
    assert drawn(account, 4, feature="chat-message") == [Draw(2, -4)]
    assert drawn(account, 4, feature="export") == [Draw(1, -4)]


def test_a_spend_without_a_feature_draws_no_limited_grant(account: Account) -> None:
    account.grant(now=T0, amount=10, features=["image"])
    with pytest.raises(InsufficientCredits):
        account.spend(now=T0, amount=1)


def test_the_balance_for_a_feature_is_what_could_pay_for_it(account: Account) -> None:
    account.grant(now=T0, amount=10, features=["image"])
    account.grant(now=T0, amount=5)
    account.grant(now=T0, amount=3, effective_at=T0 + HOUR)
    assert account.available(T0, "image") == 15
    assert account.available(T0, "export") == 5
    assert account.balance(T0) == 18


def test_a_grant_pays_from_its_effective_moment_on_and_not_before(account: Account) -> None:
    account.grant(now=T0, amount=10, effective_at=T0 + HOUR)
    with pytest.raises(InsufficientCredits):
        account.spend(now=T0 + HOUR - TICK, amount=1)
    assert drawn(account, 1, now=T0 + HOUR) == [Draw(1, -1)]


# -- 2. expiry is a fact ----------------------------------------------------------------------------------


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


# -- 3. spend ---------------------------------------------------------------------------------------------


def test_a_spend_takes_everything_or_nothing_and_names_both_numbers(account: Account) -> None:
    account.grant(now=T0, amount=10)
    with pytest.raises(InsufficientCredits) as refused:
        account.spend(now=T0, amount=11)
    assert (refused.value.required, refused.value.available) == (11, 10)
    assert remaining(account) == [10]
    assert len(account.entries) == 1


def test_the_last_credit_can_be_spent(account: Account) -> None:
    account.grant(now=T0, amount=10)
    entry = account.spend(now=T0, amount=10).entry
    assert (entry.amount, entry.balance_after) == (-10, 0)


def test_a_partial_spend_takes_what_there_is_and_says_how_much(account: Account) -> None:
    account.grant(now=T0, amount=10)
    assert account.spend(now=T0, amount=25, partial=True).entry.amount == -10


def test_a_partial_spend_of_nothing_is_refused(account: Account) -> None:
    with pytest.raises(InsufficientCredits) as refused:
        account.spend(now=T0, amount=25, partial=True)
    assert (refused.value.required, refused.value.available) == (25, 0)
    assert account.entries == []


@pytest.mark.parametrize("amount", [0, -1, 10**15 + 1])
def test_amounts_out_of_bounds_are_refused_and_nothing_is_written(account: Account, amount: int) -> None:
    account.grant(now=T0, amount=10)
    spend = account.spend(now=T0, amount=5).entry
    with pytest.raises(InvalidRequest):
        account.spend(now=T0, amount=amount)
    with pytest.raises(InvalidRequest):
        account.grant(now=T0, amount=amount)
    with pytest.raises(InvalidRequest):
        account.refund(now=T0, spend_seq=spend.seq, amount=amount)
    assert len(account.entries) == 2


def test_the_largest_amount_is_accepted(account: Account) -> None:
    account.grant(now=T0, amount=10**15)
    assert account.spend(now=T0, amount=10**15).entry.balance_after == 0


# -- 4. idempotency ---------------------------------------------------------------------------------------


def test_the_same_key_and_request_answer_the_same_entry(account: Account) -> None:
    account.grant(now=T0, amount=10)
    first = account.spend(now=T0, amount=4, idempotency_key="k")
    again = account.spend(now=T0 + HOUR, amount=4, idempotency_key="k")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.entry == first.entry
    assert remaining(account) == [6]


def test_another_request_under_a_used_key_is_refused(account: Account) -> None:
    account.grant(now=T0, amount=10)
    spend = account.spend(now=T0, amount=4, idempotency_key="k").entry
    with pytest.raises(IdempotencyKeyReused):
        account.spend(now=T0, amount=5, idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        account.spend(now=T0, amount=4, partial=True, idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        account.spend(now=T0, amount=4, feature="image", idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        account.refund(now=T0, spend_seq=spend.seq, idempotency_key="k")
    assert len(account.entries) == 2


def test_the_same_key_on_another_account_is_unrelated(open_account: OpenAccount) -> None:
    one, other = open_account(), open_account()
    for account in (one, other):
        account.grant(now=T0, amount=10)
    assert not one.spend(now=T0, amount=4, idempotency_key="k").replayed
    assert not other.spend(now=T0, amount=5, idempotency_key="k").replayed


def test_a_refused_spend_leaves_its_key_unused(account: Account) -> None:
    with pytest.raises(InsufficientCredits):
        account.spend(now=T0, amount=4, idempotency_key="k")
    account.grant(now=T0, amount=10)
    assert not account.spend(now=T0, amount=4, idempotency_key="k").replayed


def test_a_replay_answers_even_when_the_credits_are_gone_and_writes_nothing(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    first = account.spend(now=T0, amount=4, idempotency_key="k")
    again = account.spend(now=T0 + 2 * HOUR, amount=4, idempotency_key="k")
    assert again.entry == first.entry
    assert len(account.entries) == 2


def test_a_replayed_refund_gives_nothing_back_twice(account: Account) -> None:
    account.grant(now=T0, amount=10)
    spend = account.spend(now=T0, amount=4).entry
    first = account.refund(now=T0, spend_seq=spend.seq, amount=2, idempotency_key="r")
    again = account.refund(now=T0, spend_seq=spend.seq, amount=2, idempotency_key="r")
    assert again.replayed
    assert again.entry == first.entry
    assert remaining(account) == [8]


def test_one_source_key_grants_once(account: Account) -> None:
    first = account.grant(now=T0, amount=10, source="purchase", source_key="p1")
    again = account.grant(now=T0 + HOUR, amount=10, source="purchase", source_key="p1")
    assert again.replayed
    assert again.entry == first.entry
    assert kinds(account) == [("purchase", 10)]


def test_a_source_key_with_other_content_is_a_conflict(account: Account) -> None:
    account.grant(now=T0, amount=10, source_key="p1")
    with pytest.raises(SourceKeyConflict):
        account.grant(now=T0, amount=11, source_key="p1")
    with pytest.raises(SourceKeyConflict):
        account.grant(now=T0, amount=10, source_key="p1", expires_at=T0 + HOUR)
    assert remaining(account) == [10]


# -- 6. refund of a spend ---------------------------------------------------------------------------------


def test_a_partial_refund_returns_the_newest_slice_first(account: Account) -> None:
    for _ in range(3):
        account.grant(now=T0, amount=10, effective_at=T0)
    spend = account.spend(now=T0, amount=25).entry
    assert account.refund(now=T0, spend_seq=spend.seq, amount=7).entry.draws == (Draw(3, 5), Draw(2, 2))
    assert account.refund(now=T0, spend_seq=spend.seq, amount=10).entry.draws == (Draw(2, 8), Draw(1, 2))
    assert account.refund(now=T0, spend_seq=spend.seq).entry.draws == (Draw(1, 8),)
    assert remaining(account) == [10, 10, 10]


def test_never_more_is_refunded_than_was_spent(account: Account) -> None:
    account.grant(now=T0, amount=10)
    spend = account.spend(now=T0, amount=6).entry
    with pytest.raises(ExceedsSpend):
        account.refund(now=T0, spend_seq=spend.seq, amount=7)
    account.refund(now=T0, spend_seq=spend.seq, amount=4)
    with pytest.raises(ExceedsSpend):
        account.refund(now=T0, spend_seq=spend.seq, amount=3)
    account.refund(now=T0, spend_seq=spend.seq)
    with pytest.raises(ExceedsSpend):
        account.refund(now=T0, spend_seq=spend.seq)
    assert remaining(account) == [10]


def test_only_a_spend_can_be_refunded(account: Account) -> None:
    account.grant(now=T0, amount=10)
    for seq in (1, 2, 0, -1):
        with pytest.raises(EntryNotFound):
            account.refund(now=T0, spend_seq=seq)


def test_a_refunded_slice_of_an_expired_grant_expires_at_once(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=10)
    spend = account.spend(now=T0, amount=15).entry
    account.refund(now=T0 + HOUR, spend_seq=spend.seq)
    assert kinds(account)[-2:] == [("refund", 15), ("expire", -10)]
    assert account.entries[-1].occurred_at == T0 + HOUR
    assert remaining(account) == [0, 10]


def test_credits_that_come_back_expired_change_no_balance_of_the_past(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    spend = account.spend(now=T0, amount=10).entry
    before = account.balance_at(T0 + 2 * HOUR)
    account.refund(now=T0 + 3 * HOUR, spend_seq=spend.seq)
    assert before == account.balance_at(T0 + 2 * HOUR) == 0


def test_a_refund_carries_the_feature_of_its_spend(account: Account) -> None:
    account.grant(now=T0, amount=10)
    spend = account.spend(now=T0, amount=4, feature="image").entry
    assert account.refund(now=T0, spend_seq=spend.seq).entry.feature == "image"


def test_what_is_refunded_of_a_revoked_grant_does_not_make_the_next_revoke_owe_less(account: Account) -> None:
    account.grant(now=T0, amount=100)
    spend = account.spend(now=T0, amount=60).entry
    account.revoke(now=T0, grant_id=1, target=90)
    account.refund(now=T0, spend_seq=spend.seq)
    entry = account.revoke(now=T0, grant_id=1, target=100)
    assert entry is not None
    assert (entry.kind, entry.amount, entry.draws, entry.debt_after) == ("revoke", -10, (Draw(1, -10),), 50)
    assert account.balance(T0) == 0


# -- 7. revoke --------------------------------------------------------------------------------------------


def test_a_revoke_works_towards_an_absolute_target(account: Account) -> None:
    account.grant(now=T0, amount=100)
    for target, effect in [(30, -30), (30, None), (50, -20), (20, 30), (0, 20), (0, None)]:
        entry = account.revoke(now=T0, grant_id=1, target=target)
        assert (None if entry is None else entry.amount) == effect
        assert remaining(account) == [100 - target]


def test_a_revoke_takes_what_remains_and_the_spent_part_becomes_debt(account: Account) -> None:
    account.grant(now=T0, amount=100)
    account.spend(now=T0, amount=70)
    entry = account.revoke(now=T0, grant_id=1, target=100)
    assert entry is not None
    assert (entry.amount, entry.draws, entry.debt_after) == (-100, (Draw(1, -30),), 70)
    assert account.balance(T0) == -70


def test_a_restore_brings_back_exactly_what_was_taken(account: Account) -> None:
    account.grant(now=T0, amount=100)
    account.spend(now=T0, amount=70)
    account.revoke(now=T0, grant_id=1, target=100)
    entry = account.revoke(now=T0, grant_id=1, target=0)
    assert entry is not None
    assert (entry.kind, entry.amount, entry.draws, entry.debt_after) == ("restore", 100, (Draw(1, 30),), 0)


def test_a_restore_lowers_the_debt_first(account: Account) -> None:
    account.grant(now=T0, amount=100)
    account.spend(now=T0, amount=70)
    account.revoke(now=T0, grant_id=1, target=100)
    entry = account.revoke(now=T0, grant_id=1, target=50)
    assert entry is not None
    assert (entry.amount, entry.draws, entry.debt_after) == (50, (), 20)


def test_credits_lost_to_expiry_do_not_become_debt(account: Account) -> None:
    account.grant(now=T0, amount=100, expires_at=T0 + HOUR)
    account.spend(now=T0, amount=30)
    account.revoke(now=T0 + HOUR, grant_id=1, target=100)
    assert kinds(account)[2:] == [("expire", -70), ("revoke", -30)]
    assert account.balance(T0 + HOUR) == -30


def test_a_revoke_of_wholly_expired_credits_writes_no_revoke_entry(account: Account) -> None:
    account.grant(now=T0, amount=100, expires_at=T0 + HOUR)
    assert account.revoke(now=T0 + HOUR, grant_id=1, target=100) is None
    assert account.revoke(now=T0 + HOUR, grant_id=1, target=0) is None
    assert account.balance(T0 + HOUR) == 0


def test_a_restore_to_an_expired_grant_expires_at_once(account: Account) -> None:
    account.grant(now=T0, amount=100, expires_at=T0 + HOUR)
    account.revoke(now=T0, grant_id=1, target=40)
    account.revoke(now=T0 + HOUR, grant_id=1, target=0)
    assert kinds(account)[1:] == [("revoke", -40), ("expire", -60), ("restore", 40), ("expire", -40)]


def test_a_restored_debt_that_was_repaid_returns_to_the_grant_that_repaid_it(account: Account) -> None:
    account.grant(now=T0, amount=100)
    spend = account.spend(now=T0, amount=100).entry
    account.revoke(now=T0, grant_id=1, target=100)
    repaying = account.grant(now=T0, amount=100).entry
    entry = account.revoke(now=T0, grant_id=1, target=0)
    assert entry is not None
    assert entry.draws == (Draw(repaying.seq, 100),)
    account.refund(now=T0, spend_seq=spend.seq)
    assert remaining(account) == [100, 100]


@pytest.mark.parametrize("target", [-1, 101])
def test_a_target_outside_the_grant_is_refused(account: Account, target: int) -> None:
    account.grant(now=T0, amount=100)
    with pytest.raises(ExceedsGrant):
        account.revoke(now=T0, grant_id=1, target=target)


def test_only_a_grant_can_be_revoked(account: Account) -> None:
    account.grant(now=T0, amount=100)
    account.spend(now=T0, amount=1)
    for grant_id in (2, 3, 0):
        with pytest.raises(EntryNotFound):
            account.revoke(now=T0, grant_id=grant_id, target=0)


# -- 8. debt and grace ------------------------------------------------------------------------------------


def test_a_spend_may_create_debt_up_to_the_overdraft_limit(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.grant(now=T0, amount=10)
    with pytest.raises(InsufficientCredits) as refused:
        account.spend(now=T0, amount=16)
    assert refused.value.available == 15
    entry = account.spend(now=T0, amount=15).entry
    assert (entry.draws, entry.debt_after, entry.balance_after) == ((Draw(1, -10),), 5, -5)
    with pytest.raises(InsufficientCredits):
        account.spend(now=T0, amount=1)


def test_a_partial_spend_uses_the_overdraft_too(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.grant(now=T0, amount=10)
    assert account.spend(now=T0, amount=99, partial=True).entry.amount == -15


def test_a_new_grant_pays_debt_first(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.spend(now=T0, amount=5)
    entry = account.grant(now=T0, amount=8).entry
    assert (entry.amount, entry.draws, entry.debt_after) == (8, (Draw(2, 8), Draw(2, -5)), 0)
    assert remaining(account) == [3]


def test_a_grant_smaller_than_the_debt_is_used_up_by_it(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.spend(now=T0, amount=5)
    entry = account.grant(now=T0, amount=2).entry
    assert (entry.draws, entry.debt_after, entry.balance_after) == ((Draw(2, 2), Draw(2, -2)), 3, -3)


def test_limited_and_future_grants_repay_debt_too(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.spend(now=T0, amount=5)
    account.grant(now=T0, amount=3, features=["image"])
    account.grant(now=T0, amount=3, effective_at=T0 + HOUR)
    assert (account.debt, remaining(account)) == (0, [0, 1])


def test_debt_reduces_what_can_be_spent(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=10)
    account.spend(now=T0, amount=10)
    account.revoke(now=T0, grant_id=1, target=10)
    with pytest.raises(InsufficientCredits) as refused:
        account.spend(now=T0, amount=1)
    assert (refused.value.available, account.debt, remaining(account)) == (0, 10, [0, 10])


def test_a_refund_undoes_the_debt_of_the_spend_first(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.grant(now=T0, amount=10)
    spend = account.spend(now=T0, amount=15).entry
    entry = account.refund(now=T0, spend_seq=spend.seq, amount=7).entry
    assert (entry.draws, entry.debt_after, entry.balance_after) == ((Draw(1, 2),), 0, 2)


def test_a_refund_of_debt_repaid_meanwhile_returns_to_the_newest_grant_that_repaid(
    open_account: OpenAccount,
) -> None:
    account = open_account(overdraft_limit=9)
    spend = account.spend(now=T0, amount=9).entry
    for _ in range(2):
        account.grant(now=T0, amount=4)
    entry = account.refund(now=T0, spend_seq=spend.seq, amount=6).entry
    assert (entry.draws, entry.debt_after) == ((Draw(3, 4), Draw(2, 1)), 0)


# -- 11. backdated usage, and the clock -------------------------------------------------------------------


def test_backdated_usage_is_charged_to_what_is_live_now(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=10)
    entry = account.spend(now=T0 + HOUR, amount=4, occurred_at=T0).entry
    assert entry.draws == (Draw(2, -4),)
    assert (entry.occurred_at, entry.booked_at) == (T0, T0 + HOUR)
    assert account.balance_at(T0) == 16


def test_usage_cannot_be_dated_into_the_future(account: Account) -> None:
    account.grant(now=T0, amount=10)
    with pytest.raises(InvalidRequest):
        account.spend(now=T0, amount=4, occurred_at=T0 + HOUR)


def test_a_grant_that_is_booked_late_is_accepted_and_expires_at_once(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0)
    assert kinds(account) == [("grant", 10), ("expire", -10)]


def test_no_write_is_booked_before_the_last_one_though_the_clock_went_back(account: Account) -> None:
    later = T0 + HOUR
    account.grant(now=later, amount=10, expires_at=later)
    account.grant(now=T0, amount=10)
    spend = account.spend(now=T0, amount=5).entry
    account.refund(now=T0, spend_seq=spend.seq)
    account.revoke(now=T0, grant_id=3, target=5)
    account.revoke(now=T0, grant_id=3, target=0)
    account.grant(now=T0, amount=1, expires_at=later + TICK)
    account.expire_due(now=T0)
    account.expire_due(now=later + TICK)
    account.expire_due(now=T0)
    assert [entry.booked_at - later for entry in account.entries] == [0 * TICK] * 8 + [TICK]


def test_booked_at_never_goes_back(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.expire_due(now=T0 + HOUR)
    entry = account.grant(now=T0, amount=5).entry
    assert entry.booked_at == T0 + HOUR
