"""Refunds, revokes and debt. Asked of the model and of PostgreSQL alike."""

import pytest

from tests.ledger.asking import HOUR, T0, OpenAccount, kinds, remaining
from tests.ledger.model import Account, Draw, EntryNotFound, ExceedsGrant, ExceedsSpend, InsufficientCredits

# -- refund of a spend --------------------


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


def test_a_refund_to_a_grant_revoked_meanwhile_settles_the_debt_that_the_revoke_made(account: Account) -> None:
    account.grant(now=T0, amount=100, expires_at=T0 + HOUR)
    spend = account.spend(now=T0, amount=60).entry
    account.revoke(now=T0, grant_id=1, target=100)
    assert (account.debt, remaining(account)) == (60, [0])
    entry = account.refund(now=T0, spend_seq=spend.seq).entry
    assert (entry.amount, entry.draws, entry.debt_after) == (60, (Draw(1, 60), Draw(1, -60)), 0)
    grant = account.grants[1]
    assert (grant.remaining, grant.revoked, grant.revoked_taken, grant.revoked_as_debt) == (0, 100, 100, 0)
    account.expire_due(now=T0 + HOUR)
    assert account.balance(T0 + HOUR) == 0
    assert kinds(account)[-1] == ("refund", 60)


def test_only_the_part_that_a_revoke_made_debt_of_is_settled_by_a_refund(account: Account) -> None:
    account.grant(now=T0, amount=100)
    spend = account.spend(now=T0, amount=60).entry
    account.revoke(now=T0, grant_id=1, target=70)
    first = account.refund(now=T0, spend_seq=spend.seq, amount=20).entry
    assert (first.draws, first.debt_after) == ((Draw(1, 20), Draw(1, -20)), 10)
    second = account.refund(now=T0, spend_seq=spend.seq).entry
    assert (second.draws, second.debt_after) == ((Draw(1, 40), Draw(1, -10)), 0)
    assert (account.balance(T0), remaining(account)) == (30, [30])


def test_a_settled_debt_that_was_repaid_meanwhile_returns_to_the_grant_that_repaid_it(account: Account) -> None:
    account.grant(now=T0, amount=100)
    spend = account.spend(now=T0, amount=60).entry
    account.revoke(now=T0, grant_id=1, target=100)
    repaying = account.grant(now=T0, amount=80).entry
    entry = account.refund(now=T0, spend_seq=spend.seq).entry
    assert entry.draws == (Draw(1, 60), Draw(1, -60), Draw(repaying.seq, 60))
    assert (account.debt, remaining(account)) == (0, [0, 80])


def test_a_refund_and_a_revoke_lead_to_the_same_state_in_either_order(open_account: OpenAccount) -> None:
    def after(steps: list[str]) -> tuple[list[int], int, int, int]:
        account = open_account()
        account.grant(now=T0, amount=100)
        spend = account.spend(now=T0, amount=60).entry
        for step in steps:
            if step == "refund":
                account.refund(now=T0, spend_seq=spend.seq, amount=45)
            else:
                account.revoke(now=T0, grant_id=1, target=90)
        grant = account.grants[1]
        return remaining(account), account.debt, grant.revoked_taken, grant.revoked_as_debt

    assert after(["refund", "revoke"]) == after(["revoke", "refund"])


def test_credits_settled_by_a_refund_come_back_when_the_revoke_is_undone(account: Account) -> None:
    account.grant(now=T0, amount=100)
    spend = account.spend(now=T0, amount=60).entry
    account.revoke(now=T0, grant_id=1, target=100)
    account.refund(now=T0, spend_seq=spend.seq)
    entry = account.revoke(now=T0, grant_id=1, target=0)
    assert entry is not None
    assert (entry.kind, entry.draws, remaining(account)) == ("restore", (Draw(1, 100),), [100])


def test_what_is_refunded_of_a_revoked_grant_can_be_revoked_in_turn(account: Account) -> None:
    account.grant(now=T0, amount=100)
    spend = account.spend(now=T0, amount=60).entry
    account.revoke(now=T0, grant_id=1, target=90)
    account.refund(now=T0, spend_seq=spend.seq)
    entry = account.revoke(now=T0, grant_id=1, target=100)
    assert entry is not None
    assert (entry.kind, entry.amount, entry.draws, entry.debt_after) == ("revoke", -10, (Draw(1, -10),), 0)
    assert account.balance(T0) == 0


# -- revoke --------------------


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


# -- debt and grace --------------------


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


def test_a_grant_gets_back_no_more_than_it_repaid(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=9)
    spend = account.spend(now=T0, amount=9).entry
    for _ in range(2):
        account.grant(now=T0, amount=4)
    draws = [account.refund(now=T0, spend_seq=spend.seq, amount=3).entry.draws for _ in range(3)]
    assert draws == [(Draw(3, 2),), (Draw(3, 2), Draw(2, 1)), (Draw(2, 3),)]
    assert (account.balance(T0), account.debt) == (8, 0)
