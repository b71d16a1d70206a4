"""The full state as of any moment: grants, holds, freezes, figures. Asked of the model and of PostgreSQL alike."""

from datetime import datetime

from tests.ledger.asking import HOUR, T0, TICK, OpenAccount, hold
from tests.ledger.model import Account, GrantAt, State

LATER = T0 + 99 * HOUR


def at(account: Account, moment: datetime, now: datetime = LATER) -> State:
    return account.state_at(moment, now=now)


def free(remaining: int) -> GrantAt:
    return GrantAt(remaining=remaining, held=0, frozen=False)


def test_before_anything_there_is_nothing(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 4)
    nothing = State(balance=0, held=0, available=0, debt=0, grants={}, holds=())
    assert at(account, T0 - TICK) == nothing


def test_after_everything_the_state_is_that_of_now(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    account.spend(now=T0, amount=4)
    expected = State(balance=10, held=0, available=10, debt=0, grants={1: free(10), 2: free(0)}, holds=())
    assert at(account, LATER) == expected
    assert at(account, LATER + HOUR, now=LATER + HOUR) == expected


def test_a_moment_has_seen_all_that_occurred_in_it(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.spend(now=T0, amount=4)
    account.spend(now=T0 + TICK, amount=1)
    assert at(account, T0).grants == {1: free(6)}
    assert at(account, T0 + TICK).grants == {1: free(5)}


def test_a_hold_is_open_from_its_placing_until_just_before_its_end(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 4, now=T0 + TICK, lasts=2 * HOUR)
    account.void(now=T0 + HOUR, number=1)
    held = State(
        balance=10, held=4, available=6, debt=0, grants={1: GrantAt(remaining=10, held=4, frozen=False)}, holds=(1,)
    )
    over = State(balance=10, held=0, available=10, debt=0, grants={1: free(10)}, holds=())
    moments = (T0, T0 + TICK, T0 + HOUR - TICK, T0 + HOUR)
    assert [at(account, moment) for moment in moments] == [over, held, held, over]


def test_a_captured_hold_turns_into_its_spend_at_one_moment(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 4)
    account.capture(now=T0 + TICK, number=1, amount=3)
    before, after = at(account, T0), at(account, T0 + TICK)
    assert (before.balance, before.held, before.holds) == (10, 4, (1,))
    assert (after.balance, after.held, after.holds) == (7, 0, ())


def test_a_lapse_is_seen_booked_or_not(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    hold(account, 4, lasts=2 * HOUR)
    moments = [T0, T0 + HOUR - TICK, T0 + HOUR, T0 + 2 * HOUR - TICK, T0 + 2 * HOUR, T0 + 3 * HOUR]
    unswept = [at(account, moment) for moment in moments]
    assert [(seen.balance, seen.held, seen.available) for seen in unswept] == [
        (10, 4, 6),
        (10, 4, 6),
        (4, 4, 0),
        (4, 4, 0),
        (0, 0, 0),
        (0, 0, 0),
    ]
    account.expire_due(now=LATER)
    assert [at(account, moment) for moment in moments] == unswept


def test_the_past_looks_the_same_from_every_later_moment(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + 3 * HOUR)
    hold(account, 4, lasts=2 * HOUR)
    moment = T0 + HOUR
    seen = [at(account, moment, now=now) for now in (moment, T0 + 2 * HOUR, T0 + 3 * HOUR, LATER)]
    account.spend(now=T0 + 2 * HOUR, amount=10)
    seen.append(at(account, moment))
    assert seen == [seen[0]] * 5


def test_a_freeze_is_seen_from_its_beginning_until_just_before_it_was_lifted(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.freeze(now=T0 + HOUR, grant_id=1, reference="dispute")
    account.unfreeze(now=T0 + 2 * HOUR, grant_id=1, reference="dispute")
    moments = (T0 + HOUR - TICK, T0 + HOUR, T0 + 2 * HOUR - TICK, T0 + 2 * HOUR)
    assert [at(account, moment).grants[1].frozen for moment in moments] == [False, True, True, False]
    assert [at(account, moment).available for moment in moments] == [10, 0, 0, 10]


def test_two_freezes_of_one_grant_are_one_frozen_grant(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.freeze(now=T0, grant_id=1, reference="one")
    account.freeze(now=T0 + HOUR, grant_id=1, reference="other")
    account.unfreeze(now=T0 + 2 * HOUR, grant_id=1, reference="one")
    assert at(account, T0 + 2 * HOUR).grants[1].frozen
    assert at(account, T0 + 2 * HOUR).available == 0


def test_credits_that_start_later_are_seen_but_not_available(account: Account) -> None:
    account.grant(now=T0, amount=10, effective_at=T0 + HOUR)
    assert [(s.balance, s.available) for s in (at(account, T0), at(account, T0 + HOUR))] == [(10, 0), (10, 10)]


def test_the_debt_of_a_moment_is_that_of_its_entries(open_account: OpenAccount) -> None:
    account = open_account(overdraft_limit=9)
    account.spend(now=T0, amount=5)
    account.spend(now=T0 + HOUR, amount=3)
    account.grant(now=T0 + 2 * HOUR, amount=10)
    seen = [at(account, T0 + n * HOUR) for n in range(3)]
    assert [(state.debt, state.balance) for state in seen] == [(5, -5), (8, -8), (0, 2)]


def test_what_a_lapse_gave_to_a_revoke_is_gone_from_that_moment_on(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 6)
    account.revoke(now=T0, grant_id=1, target=10)
    moments = (T0, T0 + HOUR - TICK, T0 + HOUR)
    unswept = [at(account, moment) for moment in moments]
    assert [(seen.balance, seen.held) for seen in unswept] == [(6, 6), (6, 6), (0, 0)]
    account.expire_due(now=LATER)
    assert [at(account, moment) for moment in moments] == unswept


def test_what_is_booked_late_changes_the_past_that_it_counts_in(account: Account) -> None:
    account.grant(now=T0, amount=10)
    before = at(account, T0, now=T0)
    account.grant(now=T0 + HOUR, amount=5, occurred_at=T0)
    account.spend(now=T0 + HOUR, amount=2, occurred_at=T0)
    assert (before.balance, before.grants) == (10, {1: free(10)})
    seen = at(account, T0)
    assert (seen.balance, seen.grants) == (13, {1: free(8), 2: free(5)})


def test_several_holds_of_one_grant_add_up(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 2, lasts=HOUR)
    hold(account, 3, lasts=2 * HOUR)
    seen = [at(account, T0 + n * HOUR) for n in range(3)]
    assert [(state.held, state.holds) for state in seen] == [(5, (1, 2)), (3, (2,)), (0, ())]
