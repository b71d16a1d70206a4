"""Which credits are spent first. Asked of the model and of PostgreSQL alike."""

import pytest

from tests.ledger.asking import HOUR, T0, TICK, OpenAccount, drawn
from tests.ledger.model import Account, Draw, InsufficientCredits


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
