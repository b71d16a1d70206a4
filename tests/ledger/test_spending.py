"""Spends, their keys, and the moments at which they count. Asked of the model and of PostgreSQL alike."""

from datetime import timedelta, timezone

import pytest

from tests.ledger.asking import HOUR, T0, TICK, OpenAccount, kinds, remaining
from tests.ledger.model import (
    Account,
    Draw,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
    SourceKeyConflict,
)

# -- spend --------------------


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


# -- idempotency --------------------


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


def test_the_same_moments_and_features_written_otherwise_are_the_same_grant(account: Account) -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    moments = {"effective_at": T0, "expires_at": T0 + HOUR}
    account.grant(now=T0, amount=10, source_key="p1", features=["image", "export"], **moments)
    again = account.grant(
        now=T0,
        amount=10,
        source_key="p1",
        features=["export", "image", "export"],
        effective_at=moments["effective_at"].astimezone(kathmandu),
        expires_at=moments["expires_at"].astimezone(kathmandu),
    )
    assert again.replayed
    with pytest.raises(SourceKeyConflict):
        account.grant(now=T0, amount=10, source_key="p1", features=["export"], **moments)


def test_usage_dated_by_another_time_zones_clock_is_the_same_usage(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.spend(now=T0, amount=4, idempotency_key="k", occurred_at=T0)
    there = T0.astimezone(timezone(timedelta(hours=-3)))
    assert account.spend(now=T0, amount=4, idempotency_key="k", occurred_at=there).replayed


# -- backdated usage, and the clock --------------------


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
