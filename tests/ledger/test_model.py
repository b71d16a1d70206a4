"""The model against itself: what must hold of the rules before any database is asked."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.model import Account, Draw, ExceedsSpend, Grant, InsufficientCredits, Refused, State

START = datetime(2026, 1, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)

amounts = st.integers(1, 30)
picks = st.integers(0, 50)
features = st.sampled_from([None, "image", "export"])
hours = st.sampled_from([None, -1, 0, 1, 3])
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("grant"),
            amounts,
            hours,
            st.sampled_from([None, -2, 0, 1]),
            st.sampled_from([None, ("image",), ("image", "export")]),
            st.integers(0, 1),
        ),
        st.tuples(st.just("spend"), amounts, features, st.booleans()),
        st.tuples(st.just("refund"), picks, st.none() | amounts),
        st.tuples(st.just("revoke"), picks, st.integers(0, 100)),
        st.tuples(st.just("freeze"), picks, st.booleans()),
        st.tuples(st.just("place_hold"), amounts, features, st.integers(1, 3)),
        st.tuples(st.just("capture"), picks, st.none() | amounts, st.booleans()),
        st.tuples(st.just("void"), picks),
        st.tuples(st.just("roll_over"), picks, amounts, hours),
        st.tuples(st.just("wait"), st.integers(1, 3)),
        st.tuples(st.just("expire")),
    ),
    max_size=40,
)


def play(account: Account, history: list[tuple]) -> list[tuple[datetime, State]]:
    """Play a history of steps; return what was seen on the way."""
    now = START
    seen = []
    for step, *rest in history:
        if step == "wait":
            seen.append((now, account.state_at(now, now=now)))
            now += rest[0] * HOUR
        else:
            with suppress(Refused):
                take_step(account, step, rest, now)
        check(account)
    return seen


def take_step(account: Account, step: str, rest: list, now: datetime) -> None:
    def picked(what: dict) -> int:
        return sorted(what)[rest[0] % len(what)] if what else 1

    def later(hours: int | None) -> datetime | None:
        return None if hours is None else now + hours * HOUR

    if step == "grant":
        amount, lasts, starts, limited, cost = rest
        account.grant(
            now=now,
            amount=amount,
            expires_at=later(lasts),
            effective_at=later(starts),
            features=limited,
            cost_minor=cost,
        )
    elif step == "spend":
        amount, feature, partial = rest
        account.spend(now=now, amount=amount, feature=feature, partial=partial)
    elif step == "refund":
        account.refund(now=now, spend_seq=picked(account.spends), amount=rest[1])
    elif step == "revoke" and account.grants:
        one = account.grants[picked(account.grants)]
        account.revoke(now=now, grant_id=one.grant_id, target=one.amount * rest[1] // 100)
    elif step == "freeze":
        change = account.freeze if rest[1] else account.unfreeze
        change(now=now, grant_id=picked(account.grants), reference="dispute")
    elif step == "place_hold":
        amount, feature, lasts = rest
        account.place_hold(now=now, amount=amount, feature=feature, expires_in=lasts * HOUR)
    elif step == "capture":
        account.capture(now=now, number=picked(account.holds), amount=rest[1], allow_excess=rest[2])
    elif step == "void":
        account.void(now=now, number=picked(account.holds))
    elif step == "roll_over":
        _, cap, lasts = rest
        grant_id = picked(account.grants)
        account.roll_over(
            now=now, grant_id=grant_id, cap=cap, source_key=f"rollover:{grant_id}", expires_at=later(lasts)
        )
    elif step == "expire":
        account.expire_due(now=now)


def spent_of(account: Account, grant: Grant) -> int:
    return sum(
        amount for spend in account.spends.values() for grant_id, amount in spend.slices if grant_id == grant.grant_id
    )


def held_of(account: Account, grant: Grant) -> int:
    on_hold = (hold for hold in account.holds.values() if hold.state == "open")
    return sum(s.amount for hold in on_hold for s in hold.slices if s.grant_id == grant.grant_id)


def check(account: Account) -> None:
    for grant in account.grants.values():
        gone = spent_of(account, grant) + grant.repaid + grant.expired + grant.revoked_taken
        assert grant.remaining == grant.amount - gone
        assert 0 <= grant.held <= grant.remaining <= grant.amount
        assert grant.held == held_of(account, grant)
        assert grant.revoked_taken + grant.revoked_as_debt <= grant.revoked <= grant.amount
    made = sum(s.debt for s in account.spends.values()) + sum(g.revoked_as_debt for g in account.grants.values())
    assert account.debt + sum(g.repaid for g in account.grants.values()) == made
    assert account.booked_balance == sum(e.amount for e in account.entries)
    for hold in account.holds.values():
        assert sum(slice_.amount for slice_ in hold.slices) == hold.amount
        assert (hold.closed_at is None) == (hold.state == "open")
        assert (hold.captured > 0) == (hold.state == "captured")
        captures = [e for e in account.entries if e.hold_number == hold.number]
        assert len(captures) == (hold.state == "captured")


@given(history=steps, overdraft=st.sampled_from([0, 0, 20]))
def test_no_credit_is_made_or_lost(history: list[tuple], overdraft: int) -> None:
    play(Account(overdraft_limit=overdraft), history)


@given(history=steps)
def test_a_past_state_never_changes_afterwards_unless_credits_are_backdated(history: list[tuple]) -> None:
    history = [step for step in history if step[0] != "roll_over"]  # counts from the old grant's expiry
    account = Account()
    seen = play(account, history)
    now = START + 1000 * HOUR
    for moment, state in seen:
        assert account.state_at(moment, now=now) == state
        assert account.balance_at(moment) == state.balance


@given(history=steps, ahead=st.integers(0, 5))
def test_what_is_read_is_what_will_be_booked(history: list[tuple], ahead: int) -> None:
    account = Account()
    play(account, history)
    now = START + (ahead + sum(rest[0] for step, *rest in history if step == "wait")) * HOUR
    read = (account.balance(now), account.held(now), account.available(now), account.available_in_all(now))
    state = account.state_at(now, now=now)
    holds = [account.get_hold(now=now, number=number) for number in account.holds]
    account.expire_due(now=now)
    assert read[0] == account.booked_balance == state.balance
    assert read == (account.balance(now), account.held(now), account.available(now), account.available_in_all(now))
    assert state == account.state_at(now, now=now)
    assert (state.held, state.debt) == (sum(g.held for g in account.grants.values()), account.debt)
    assert holds == list(account.holds.values())


@given(
    spent=st.integers(0, 100),
    lost=st.booleans(),
    path=st.lists(st.integers(0, 100), min_size=1, max_size=6),
)
def test_the_state_after_a_revoke_depends_on_the_target_and_not_on_the_path(
    spent: int, lost: bool, path: list[int]
) -> None:
    def revoked(targets: list[int]) -> tuple:
        account = Account()
        account.grant(now=START, amount=100, expires_at=START + HOUR)
        if spent:
            account.spend(now=START, amount=spent)
        now = START + HOUR if lost else START
        for target in targets:
            account.revoke(now=now, grant_id=1, target=target)
        return account.grants[1], account.debt

    walked, direct = revoked(path), revoked(path[-1:])
    if not lost:
        assert walked == direct
    else:  # a restored credit of an expired grant is gone; the account's balance is what must agree
        assert walked[1] == direct[1]


def test_a_restore_after_the_debt_was_repaid_gives_the_credits_back_to_who_repaid_it() -> None:
    account = Account()
    account.grant(now=START, amount=100)
    spend = account.spend(now=START, amount=100).entry
    account.revoke(now=START, grant_id=1, target=100)
    assert account.debt == 100
    repaying = account.grant(now=START, amount=100).entry
    restore = account.revoke(now=START, grant_id=1, target=0)
    assert restore is not None
    assert restore.draws == (Draw(repaying.seq, 100),)
    account.refund(now=START, spend_seq=spend.seq)
    assert [g.remaining for g in account.grants.values()] == [100, 100]


def test_a_refund_undoes_the_debt_first_and_then_the_newest_slice() -> None:
    account = Account(overdraft_limit=5)
    for _ in range(3):
        account.grant(now=START, amount=10)
    spend = account.spend(now=START, amount=33).entry
    assert [d.amount for d in spend.draws] == [-10, -10, -10]
    assert spend.debt_after == 3
    refund = account.refund(now=START, spend_seq=spend.seq, amount=8).entry
    assert (refund.draws, refund.debt_after) == ((Draw(3, 5),), 0)
    refund = account.refund(now=START, spend_seq=spend.seq, amount=10).entry
    assert refund.draws == (Draw(3, 5), Draw(2, 5))
    with pytest.raises(ExceedsSpend):
        account.refund(now=START, spend_seq=spend.seq, amount=16)


def test_a_refused_spend_writes_nothing_not_even_due_expirations() -> None:
    account = Account()
    account.grant(now=START, amount=10, expires_at=START + HOUR)
    with pytest.raises(InsufficientCredits) as refused:
        account.spend(now=START + HOUR, amount=1)
    assert (refused.value.required, refused.value.available) == (1, 0)
    assert len(account.entries) == 1
