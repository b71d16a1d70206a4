"""What a price came to may be nothing. Asked of the model and of PostgreSQL alike."""

import pytest

from tests.ledger.asking import HOUR, T0, OpenAccount, figures, hold, kinds, remaining
from tests.ledger.model import Account, ExceedsHold, ExceedsSpend, IdempotencyKeyReused, InvalidRequest


def test_a_spend_of_nothing_is_an_entry_that_draws_nothing(account: Account) -> None:
    account.grant(now=T0, amount=10)
    entry = account.spend(now=T0, amount=0, feature="image", priced=True).entry
    assert (entry.kind, entry.amount, entry.balance_after, entry.draws) == ("spend", 0, 10, ())
    assert account.spend(now=T0, amount=4).entry.balance_after == 6
    assert remaining(account) == [6]


def test_a_spend_of_nothing_needs_no_credits(account: Account) -> None:
    assert account.spend(now=T0, amount=0, priced=True, partial=True).entry.balance_after == 0
    assert account.spend(now=T0, amount=0, priced=True).entry.seq == 2


def test_only_a_price_makes_nothing_of_an_amount(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 3)
    with pytest.raises(InvalidRequest):
        account.spend(now=T0, amount=0)
    with pytest.raises(InvalidRequest):
        hold(account, 0)
    with pytest.raises(InvalidRequest):
        account.capture(now=T0, number=placed.number, amount=0)
    with pytest.raises(InvalidRequest):
        account.spend(now=T0, amount=-1, priced=True)
    assert kinds(account) == [("grant", 10)]


def test_who_owes_may_use_what_costs_nothing(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=5)
    account.spend(now=T0, amount=5)
    entry = account.spend(now=T0, amount=0, priced=True).entry
    assert (entry.balance_after, entry.debt_after) == (-5, 5)
    placed = hold(account, 0, priced=True)
    assert account.capture(now=T0, number=placed.number).entry.debt_after == 5


def test_the_key_of_a_spend_of_nothing_names_it(account: Account) -> None:
    first = account.spend(now=T0, amount=0, priced=True, idempotency_key="a")
    again = account.spend(now=T0 + HOUR, amount=0, priced=True, idempotency_key="a")
    assert (again.replayed, again.entry) == (True, first.entry)
    with pytest.raises(IdempotencyKeyReused):
        account.spend(now=T0, amount=1, idempotency_key="a")


def test_a_spend_of_nothing_is_given_back_once_and_whole(account: Account) -> None:
    spend = account.spend(now=T0, amount=0, priced=True).entry
    with pytest.raises(InvalidRequest):
        account.refund(now=T0, spend_seq=spend.seq, amount=0)
    with pytest.raises(ExceedsSpend):
        account.refund(now=T0, spend_seq=spend.seq, amount=1)
    entry = account.refund(now=T0, spend_seq=spend.seq, idempotency_key="r").entry
    assert (entry.kind, entry.amount, entry.about_seq, entry.draws) == ("refund", 0, spend.seq, ())
    assert account.refund(now=T0, spend_seq=spend.seq, idempotency_key="r").replayed
    with pytest.raises(ExceedsSpend):
        account.refund(now=T0, spend_seq=spend.seq)


def test_a_hold_of_nothing_pins_nothing_and_is_captured_void_or_lapsed(account: Account) -> None:
    account.grant(now=T0, amount=10)
    first, second, third = (hold(account, 0, priced=True, feature="image") for _ in range(3))
    assert (first.amount, first.slices, figures(account)) == (0, (), (10, 0, 10))
    with pytest.raises(ExceedsHold):
        account.capture(now=T0, number=first.number, amount=1)
    entry = account.capture(now=T0, number=first.number).entry
    assert (entry.kind, entry.amount, entry.hold_number, entry.draws) == ("spend", 0, 1, ())
    assert account.void(now=T0, number=second.number).hold.state == "voided"
    account.expire_due(now=T0 + HOUR)
    assert [account.holds[n].state for n in (1, 2, 3)] == ["captured", "voided", "lapsed"]
    assert third.number == 3


def test_a_capture_that_came_to_nothing_frees_all_that_was_held(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + 9 * HOUR)
    placed = hold(account, 7)
    entry = account.capture(now=T0, number=placed.number, amount=0, priced=True).entry
    assert (entry.amount, entry.draws, figures(account)) == (0, (), (10, 0, 10))
    assert (account.holds[1].state, account.holds[1].captured) == ("captured", 0)


def test_more_than_a_hold_of_nothing_can_be_captured_where_that_is_allowed(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 0, priced=True)
    entry = account.capture(now=T0, number=placed.number, amount=4, allow_excess=True).entry
    assert (entry.amount, entry.balance_after) == (-4, 6)
