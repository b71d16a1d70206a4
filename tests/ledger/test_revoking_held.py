"""A grant is revoked while a hold has reserved credits of it: the end depends on the target, not on the order.

Asked of the model and of PostgreSQL alike.
"""

import pytest

from tests.ledger.asking import HOUR, T0, TICK, OpenAccount, figures, hold, kinds, remaining
from tests.ledger.model import Account, Draw, Grant


def counters(grant: Grant) -> tuple[int, int, int, int]:
    return grant.remaining, grant.revoked, grant.revoked_taken, grant.revoked_as_debt


def test_a_revoke_leaves_what_is_held_alone_and_its_target_outstanding(account: Account) -> None:
    account.grant(now=T0, amount=100)
    hold(account, 60)
    entry = account.revoke(now=T0, grant_id=1, target=100)
    assert entry is not None
    assert (entry.amount, entry.draws, entry.debt_after) == (-40, (Draw(1, -40),), 0)
    assert counters(account.grants[1]) == (60, 100, 40, 0)
    assert figures(account) == (60, 60, 0)


def test_a_revoke_of_credits_that_are_all_held_writes_no_entry_yet(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 10)
    assert account.revoke(now=T0, grant_id=1, target=10) is None
    assert counters(account.grants[1]) == (10, 10, 0, 0)


def test_what_is_voided_is_revoked_then(account: Account) -> None:
    account.grant(now=T0, amount=100)
    hold(account, 60)
    account.revoke(now=T0, grant_id=1, target=90)
    account.void(now=T0 + TICK, number=1)
    entry = account.entries[-1]
    assert (entry.kind, entry.draws, entry.debt_after, entry.about_seq) == ("revoke", (Draw(1, -50),), 0, 1)
    assert entry.occurred_at == entry.booked_at == T0 + TICK
    assert counters(account.grants[1]) == (10, 90, 90, 0)
    assert figures(account, T0 + TICK) == (10, 0, 10)


def test_what_is_captured_becomes_debt_then(account: Account) -> None:
    account.grant(now=T0, amount=100)
    hold(account, 60)
    account.revoke(now=T0, grant_id=1, target=100)
    account.capture(now=T0, number=1)
    assert kinds(account)[1:] == [("revoke", -40), ("spend", -60), ("revoke", -60)]
    assert (account.entries[-1].draws, account.entries[-1].debt_after) == ((), 60)
    assert counters(account.grants[1]) == (0, 100, 40, 60)


def test_what_is_captured_in_part_is_debt_in_part(account: Account) -> None:
    account.grant(now=T0, amount=100)
    hold(account, 60)
    account.revoke(now=T0, grant_id=1, target=100)
    account.capture(now=T0, number=1, amount=25)
    entry = account.entries[-1]
    assert (entry.amount, entry.draws, entry.debt_after) == (-60, (Draw(1, -35),), 25)
    assert counters(account.grants[1]) == (0, 100, 75, 25)


def test_what_lapses_is_revoked_as_of_the_moment_it_lapsed(account: Account) -> None:
    account.grant(now=T0, amount=100)
    hold(account, 60)
    account.revoke(now=T0, grant_id=1, target=100)
    later = T0 + 5 * HOUR
    assert figures(account, T0 + HOUR - TICK) == (60, 60, 0)
    assert figures(account, later) == (0, 0, 0)
    assert account.available(later) == account.balance_at(later) == 0
    assert account.expire_due(now=later) == 1
    entry = account.entries[-1]
    assert (entry.kind, entry.amount, entry.occurred_at, entry.booked_at) == ("revoke", -60, T0 + HOUR, later)
    assert account.balance_at(T0 + HOUR - TICK) == 60
    assert account.balance_at(T0 + HOUR) == 0


def test_what_comes_back_expired_is_gone_and_not_revoked(account: Account) -> None:
    account.grant(now=T0, amount=100, expires_at=T0 + HOUR)
    hold(account, 60, lasts=3 * HOUR)
    account.revoke(now=T0, grant_id=1, target=100)
    account.void(now=T0 + 2 * HOUR, number=1)
    assert kinds(account)[1:] == [("revoke", -40), ("expire", -60)]
    assert counters(account.grants[1]) == (0, 100, 40, 0)
    assert account.debt == 0


def test_what_is_captured_of_an_expired_revoked_grant_becomes_debt(account: Account) -> None:
    account.grant(now=T0, amount=100, expires_at=T0 + HOUR)
    hold(account, 60, lasts=3 * HOUR)
    account.revoke(now=T0 + HOUR, grant_id=1, target=50)
    assert kinds(account)[1:] == [("expire", -40)]
    account.capture(now=T0 + 2 * HOUR, number=1, amount=35)
    assert kinds(account)[2:] == [("spend", -35), ("expire", -25), ("revoke", -35)]
    assert account.debt == 35


def test_with_two_holds_each_end_is_reached_as_far_as_it_frees(account: Account) -> None:
    account.grant(now=T0, amount=100)
    hold(account, 60)
    hold(account, 40)
    account.revoke(now=T0, grant_id=1, target=100)
    account.void(now=T0, number=2)
    assert counters(account.grants[1]) == (60, 100, 40, 0)
    account.capture(now=T0, number=1)
    assert counters(account.grants[1]) == (0, 100, 40, 60)


def test_several_revoked_grants_of_one_hold_are_reached_one_entry_each(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=10, expires_at=T0 + 9 * HOUR)
    hold(account, 20)
    for grant_id in (1, 2):
        account.revoke(now=T0, grant_id=grant_id, target=10)
    account.capture(now=T0, number=1, amount=12)
    assert [(e.kind, e.amount, e.about_seq) for e in account.entries[2:]] == [
        ("spend", -12, None),
        ("revoke", -10, 1),
        ("revoke", -10, 2),
    ]
    assert (account.debt, remaining(account)) == (12, [0, 0])


def test_a_target_lowered_while_credits_are_held_leaves_them_free_when_they_return(account: Account) -> None:
    account.grant(now=T0, amount=100)
    hold(account, 60)
    account.revoke(now=T0, grant_id=1, target=100)
    assert account.revoke(now=T0, grant_id=1, target=40) is None
    account.void(now=T0, number=1)
    assert counters(account.grants[1]) == (60, 40, 40, 0)
    assert figures(account) == (60, 0, 60)


def test_a_target_lowered_below_what_was_taken_restores_it(account: Account) -> None:
    account.grant(now=T0, amount=100)
    hold(account, 60)
    account.revoke(now=T0, grant_id=1, target=100)
    entry = account.revoke(now=T0, grant_id=1, target=0)
    assert entry is not None
    assert (entry.kind, entry.amount) == ("restore", 40)
    account.void(now=T0, number=1)
    assert counters(account.grants[1]) == (100, 0, 0, 0)


@pytest.mark.parametrize("end", ["capture", "capture less", "void", "lapse"])
@pytest.mark.parametrize("target", [100, 80])
def test_revoking_before_or_after_the_hold_ends_leads_to_the_same_balance(
    open_account: OpenAccount, end: str, target: int
) -> None:
    def after(*steps: str) -> tuple[int, int, int]:
        account = open_account()
        account.grant(now=T0, amount=100)
        hold(account, 60)
        for step in steps:
            if step == "revoke":
                account.revoke(now=T0, grant_id=1, target=target)
            elif step == "void":
                account.void(now=T0, number=1)
            elif step != "lapse":
                account.capture(now=T0, number=1, amount=20 if step == "capture less" else None)
            else:
                account.expire_due(now=T0 + HOUR)
        account.expire_due(now=T0 + HOUR)
        grant = account.grants[1]
        return account.balance(T0 + HOUR), account.debt, grant.revoked_taken + grant.revoked_as_debt

    assert after("revoke", end) == after(end, "revoke")


def test_a_refund_of_what_was_captured_and_revoked_settles_the_debt(account: Account) -> None:
    account.grant(now=T0, amount=100)
    hold(account, 60)
    account.revoke(now=T0, grant_id=1, target=100)
    spend = account.capture(now=T0, number=1).entry
    assert account.debt == 60
    account.refund(now=T0, spend_seq=spend.seq)
    assert (account.debt, counters(account.grants[1])) == (0, (0, 100, 100, 0))


def test_another_grant_of_the_hold_is_not_touched_by_the_revoke(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + 9 * HOUR)
    account.grant(now=T0, amount=10)
    hold(account, 15)
    account.revoke(now=T0, grant_id=2, target=10)
    account.void(now=T0, number=1)
    assert remaining(account) == [10, 0]
    assert figures(account) == (10, 0, 10)
