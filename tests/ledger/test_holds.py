"""Credits reserved before the work is done: placing and voiding. Asked of the model and of PostgreSQL alike."""

from datetime import timedelta

import pytest

from tests.ledger.asking import HOUR, T0, TICK, OpenAccount, drawn, figures, hold, kinds, remaining
from tests.ledger.model import (
    Account,
    Draw,
    HoldClosed,
    HoldNotFound,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
)

SECOND = timedelta(seconds=1)
DAY = timedelta(hours=24)

# -- placing --------------------


def test_a_hold_pins_exact_slices_in_burn_order(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=10, priority=-1)
    placed = hold(account, 25)
    assert placed.slices == (Draw(3, 10), Draw(2, 10), Draw(1, 5))
    assert [account.grants[n].held for n in (1, 2, 3)] == [5, 10, 10]


def test_what_is_held_stays_in_the_balance_but_cannot_be_spent(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 7)
    assert figures(account) == (10, 7, 3)
    assert account.available(T0) == 3
    with pytest.raises(InsufficientCredits) as refused:
        account.spend(now=T0, amount=4)
    assert (refused.value.required, refused.value.available) == (4, 3)
    assert drawn(account, 3) == [Draw(1, -3)]


def test_placing_a_hold_writes_no_entry(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 7)
    assert kinds(account) == [("grant", 10)]
    assert (placed.number, placed.state, placed.captured, placed.closed_at) == (1, "open", 0, None)
    assert (placed.placed_at, placed.expires_at) == (T0, T0 + HOUR)
    assert account.holds[1].placed_after == 1


def test_a_hold_is_all_or_nothing_and_names_both_numbers(account: Account) -> None:
    account.grant(now=T0, amount=10)
    with pytest.raises(InsufficientCredits) as refused:
        hold(account, 11)
    assert (refused.value.required, refused.value.available) == (11, 10)
    assert account.holds == {}
    assert figures(account) == (10, 0, 10)


def test_everything_can_be_held_and_then_nothing_more(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 10)
    with pytest.raises(InsufficientCredits) as refused:
        hold(account, 1)
    assert refused.value.available == 0


def test_a_hold_never_uses_the_overdraft(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=50)
    account.grant(now=T0, amount=10)
    with pytest.raises(InsufficientCredits) as refused:
        hold(account, 11)
    assert (refused.value.required, refused.value.available) == (11, 10)
    hold(account, 10)
    assert figures(account) == (10, 10, 0)


def test_a_hold_while_in_debt_leaves_enough_to_pay_the_debt(account: Account) -> None:
    account.grant(now=T0, amount=30)
    account.grant(now=T0, amount=10)
    account.spend(now=T0, amount=30)
    account.revoke(now=T0, grant_id=1, target=6)
    assert account.debt == 6
    with pytest.raises(InsufficientCredits) as refused:
        hold(account, 5)
    assert (refused.value.required, refused.value.available) == (5, 4)
    hold(account, 4)
    assert figures(account) == (4, 4, 0)


def test_a_hold_for_a_feature_pins_what_may_pay_for_it(account: Account) -> None:
    account.grant(now=T0, amount=10, features=["image"], expires_at=T0 + 9 * HOUR)
    account.grant(now=T0, amount=10)
    assert hold(account, 4, feature="export").slices == (Draw(2, 4),)
    assert hold(account, 12, feature="image").slices == (Draw(1, 10), Draw(2, 2))
    with pytest.raises(InsufficientCredits):
        hold(account, 5)


def test_two_holds_share_a_grant_and_end_apart(account: Account) -> None:
    account.grant(now=T0, amount=10)
    first, second = hold(account, 4), hold(account, 5)
    assert figures(account) == (10, 9, 1)
    account.void(now=T0, number=first.number)
    assert figures(account) == (10, 5, 5)
    account.capture(now=T0, number=second.number)
    assert figures(account) == (5, 0, 5)


def test_a_hold_pins_nothing_of_a_grant_that_starts_later_is_frozen_or_has_expired(account: Account) -> None:
    account.grant(now=T0, amount=10, effective_at=T0 + HOUR)
    account.grant(now=T0, amount=10)
    account.freeze(now=T0, grant_id=2, reference="dispute")
    account.grant(now=T0, amount=10, expires_at=T0 + TICK)
    with pytest.raises(InsufficientCredits) as refused:
        hold(account, 1, now=T0 + TICK)
    assert refused.value.available == 0


def test_a_hold_may_be_placed_at_the_last_moment_before_its_grant_expires(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    placed = hold(account, 4, now=T0 + HOUR - TICK)
    assert figures(account, T0 + HOUR) == (4, 4, 0)
    account.capture(now=T0 + HOUR, number=placed.number)
    assert kinds(account) == [("grant", 10), ("expire", -6), ("spend", -4)]


def test_only_what_is_not_held_of_a_grant_expires(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    hold(account, 4, lasts=3 * HOUR)
    assert account.expire_due(now=T0 + HOUR) == 1
    assert kinds(account)[-1] == ("expire", -6)
    assert (account.grants[1].remaining, account.grants[1].held) == (4, 4)
    assert account.expire_due(now=T0 + 2 * HOUR) == 0


@pytest.mark.parametrize("lasts", [SECOND - TICK, DAY + TICK, timedelta(0), -HOUR])
def test_a_hold_shorter_than_a_second_or_longer_than_a_day_is_refused(account: Account, lasts: timedelta) -> None:
    account.grant(now=T0, amount=10)
    with pytest.raises(InvalidRequest):
        hold(account, 1, lasts=lasts)
    assert account.holds == {}


@pytest.mark.parametrize("lasts", [SECOND, DAY])
def test_a_hold_may_last_a_second_or_a_day(account: Account, lasts: timedelta) -> None:
    account.grant(now=T0, amount=10)
    assert hold(account, 1, lasts=lasts).expires_at == T0 + lasts


def test_a_hold_lasts_a_quarter_of_an_hour_unless_it_says_otherwise(account: Account) -> None:
    account.grant(now=T0, amount=10)
    assert account.place_hold(now=T0, amount=1).hold.expires_at == T0 + timedelta(minutes=15)


@pytest.mark.parametrize("amount", [0, -1, 10**15 + 1])
def test_holding_or_capturing_an_amount_out_of_bounds_is_refused(account: Account, amount: int) -> None:
    account.grant(now=T0, amount=10)
    with pytest.raises(InvalidRequest):
        hold(account, amount)
    placed = hold(account, 5)
    with pytest.raises(InvalidRequest):
        account.capture(now=T0, number=placed.number, amount=amount)
    assert account.get_hold(now=T0, number=1).state == "open"


def test_a_refused_hold_writes_nothing_not_even_due_expirations(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    with pytest.raises(InsufficientCredits):
        hold(account, 1, now=T0 + HOUR)
    assert kinds(account) == [("grant", 10)]


def test_placing_a_hold_books_what_is_due_first(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=10)
    assert hold(account, 1, now=T0 + HOUR).slices == (Draw(2, 1),)
    assert kinds(account)[-1] == ("expire", -10)
    assert account.holds[1].placed_after == 3


# -- keys --------------------


def test_the_same_key_and_request_give_the_same_hold(account: Account) -> None:
    account.grant(now=T0, amount=10)
    first = account.place_hold(now=T0, amount=4, idempotency_key="k")
    again = account.place_hold(now=T0 + TICK, amount=4, idempotency_key="k")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.hold == first.hold
    assert figures(account) == (10, 4, 6)


def test_a_replayed_placement_says_how_the_hold_stands_now(account: Account) -> None:
    account.grant(now=T0, amount=10)
    number = account.place_hold(now=T0, amount=4, idempotency_key="k").hold.number
    account.capture(now=T0, number=number, amount=3)
    again = account.place_hold(now=T0, amount=4, idempotency_key="k")
    assert (again.replayed, again.hold.state, again.hold.captured) == (True, "captured", 3)


def test_a_replayed_placement_calls_a_lapsed_hold_lapsed_and_books_nothing(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.place_hold(now=T0, amount=4, idempotency_key="k")
    again = account.place_hold(now=T0 + HOUR, amount=4, idempotency_key="k")
    assert (again.replayed, again.hold.state, again.hold.closed_at) == (True, "lapsed", T0 + timedelta(minutes=15))
    assert kinds(account) == [("grant", 10)]


def test_a_refused_hold_leaves_its_key_unused(account: Account) -> None:
    with pytest.raises(InsufficientCredits):
        hold(account, 4, idempotency_key="k")
    account.grant(now=T0, amount=10)
    assert not account.place_hold(now=T0, amount=4, idempotency_key="k").replayed


OPERATIONS = ["grant", "spend", "refund", "place_hold", "capture", "void"]


def ask(account: Account, operation: str, *, amount: int, number: int) -> None:
    """Something under the key "k"; the account has spent by its second entry."""
    request = {
        "grant": {"amount": amount},
        "spend": {"amount": amount},
        "refund": {"spend_seq": 2, "amount": amount},
        "place_hold": {"amount": amount},
        "capture": {"number": number, "amount": amount},
        "void": {"number": number},
    }[operation]
    getattr(account, operation)(now=T0, idempotency_key="k", **request)


@pytest.mark.parametrize("later", OPERATIONS)
@pytest.mark.parametrize("earlier", OPERATIONS)
def test_one_key_names_one_request_whatever_it_asks_for(account: Account, earlier: str, later: str) -> None:
    account.grant(now=T0, amount=50)
    account.spend(now=T0, amount=10)
    one, other = hold(account, 9), hold(account, 9)
    ask(account, earlier, amount=1, number=one.number)
    entries, holds = list(account.entries), dict(account.holds)
    with pytest.raises(IdempotencyKeyReused):
        ask(account, later, amount=2, number=other.number)
    assert (account.entries, account.holds) == (entries, holds)


def test_a_used_key_is_a_conflict_even_on_a_hold_that_has_ended(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 4, idempotency_key="k")
    account.void(now=T0, number=placed.number)
    for operation in (account.void, account.capture):
        with pytest.raises(IdempotencyKeyReused):
            operation(now=T0, number=placed.number, idempotency_key="k")


# -- voiding --------------------


def test_voiding_gives_all_slices_back_and_writes_no_entry(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=10)
    placed = hold(account, 15)
    ended = account.void(now=T0 + TICK, number=placed.number).hold
    assert (ended.state, ended.captured, ended.closed_at) == ("voided", 0, T0 + TICK)
    assert ended.slices == placed.slices
    assert remaining(account) == [10, 10]
    assert figures(account, T0 + TICK) == (20, 0, 20)
    assert len(account.entries) == 2


def test_a_slice_voided_after_its_grant_expired_expires_at_once(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=10)
    placed = hold(account, 15, lasts=3 * HOUR)
    account.void(now=T0 + 2 * HOUR, number=placed.number)
    assert kinds(account)[2:] == [("expire", -10)]
    assert account.entries[-1].occurred_at == T0 + 2 * HOUR
    assert account.holds[1].closed_after == 2
    assert figures(account, T0 + 2 * HOUR) == (10, 0, 10)


def test_a_slice_voided_at_the_very_moment_its_grant_expires_expires_too(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    placed = hold(account, 4, lasts=3 * HOUR)
    account.void(now=T0 + HOUR, number=placed.number)
    assert kinds(account)[1:] == [("expire", -6), ("expire", -4)]
    assert [entry.occurred_at for entry in account.entries[1:]] == [T0 + HOUR] * 2


def test_a_void_can_be_repeated_under_its_key_and_not_without(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 4)
    first = account.void(now=T0, number=placed.number, idempotency_key="v")
    again = account.void(now=T0 + HOUR, number=placed.number, idempotency_key="v")
    assert again.replayed
    assert again.hold == first.hold
    for key in (None, "w"):
        with pytest.raises(HoldClosed) as refused:
            account.void(now=T0, number=placed.number, idempotency_key=key)
        assert (refused.value.number, refused.value.state) == (1, "voided")


def test_a_hold_that_never_was_can_be_neither_captured_voided_nor_read(account: Account) -> None:
    account.grant(now=T0, amount=10)
    for number in (0, 1, -1):
        with pytest.raises(HoldNotFound):
            account.capture(now=T0, number=number)
        with pytest.raises(HoldNotFound):
            account.void(now=T0, number=number)
        with pytest.raises(HoldNotFound):
            account.get_hold(now=T0, number=number)


# -- a clock that goes back --------------------


def test_no_hold_ends_before_it_was_placed_though_the_clock_went_back(account: Account) -> None:
    account.grant(now=T0, amount=10)
    for _ in range(2):
        hold(account, 4, now=T0 + HOUR)
    account.void(now=T0 + TICK, number=1)
    account.capture(now=T0 + TICK, number=2)
    assert [account.holds[n].closed_at for n in (1, 2)] == [T0 + HOUR] * 2
    assert account.entries[-1].booked_at == T0 + TICK


def test_no_freeze_is_lifted_before_it_was_made_though_the_clock_went_back(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.freeze(now=T0 + HOUR, grant_id=1, reference="dispute")
    assert account.unfreeze(now=T0 + TICK, grant_id=1, reference="dispute")
    assert not account.state_at(T0 + HOUR, now=T0 + HOUR).grants[1].frozen
