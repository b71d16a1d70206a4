"""A disputed grant is frozen: what is left of it pays for nothing. Asked of the model and of PostgreSQL alike."""

import pytest

from tests.ledger.asking import HOUR, T0, TICK, drawn, figures, hold, kinds, remaining
from tests.ledger.model import Account, Draw, EntryNotFound, InsufficientCredits


def freeze(account: Account, grant_id: int = 1, reference: str = "dispute") -> bool:
    return account.freeze(now=T0, grant_id=grant_id, reference=reference)


def test_a_frozen_grant_pays_for_nothing_and_stays_in_the_balance(account: Account) -> None:
    account.grant(now=T0, amount=10)
    assert freeze(account)
    assert account.grants[1].frozen
    assert figures(account) == (10, 0, 0)
    for refused in (account.spend, account.place_hold):
        with pytest.raises(InsufficientCredits) as refusal:
            refused(now=T0, amount=1)
        assert refusal.value.available == 0
    assert kinds(account) == [("grant", 10)]


def test_a_frozen_grant_is_passed_over(account: Account) -> None:
    account.grant(now=T0, amount=10, priority=-1)
    account.grant(now=T0, amount=10)
    freeze(account)
    assert drawn(account, 4) == [Draw(2, -4)]
    assert hold(account, 4).slices == (Draw(2, 4),)


def test_a_grant_pays_again_once_it_is_unfrozen(account: Account) -> None:
    account.grant(now=T0, amount=10)
    freeze(account)
    assert account.unfreeze(now=T0, grant_id=1, reference="dispute")
    assert drawn(account, 10) == [Draw(1, -10)]


def test_a_grant_stays_frozen_until_every_freeze_of_it_is_lifted(account: Account) -> None:
    account.grant(now=T0, amount=10)
    assert freeze(account, reference="one")
    assert freeze(account, reference="other")
    assert account.unfreeze(now=T0, grant_id=1, reference="one")
    assert account.grants[1].frozen
    assert account.unfreeze(now=T0, grant_id=1, reference="other")
    assert not account.grants[1].frozen


def test_freezing_twice_for_one_reason_changes_nothing(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=5, expires_at=T0 + HOUR)
    assert freeze(account)
    assert not account.freeze(now=T0 + HOUR, grant_id=1, reference="dispute")
    assert len(account.entries) == 2
    assert account.unfreeze(now=T0 + HOUR, grant_id=1, reference="dispute")
    assert not account.grants[1].frozen


def test_unfreezing_what_is_not_frozen_for_that_changes_nothing(account: Account) -> None:
    account.grant(now=T0, amount=10)
    assert not account.unfreeze(now=T0, grant_id=1, reference="dispute")
    freeze(account)
    assert not account.unfreeze(now=T0, grant_id=1, reference="another")
    assert account.grants[1].frozen


def test_a_grant_can_be_frozen_again_for_the_same_reason(account: Account) -> None:
    account.grant(now=T0, amount=10)
    for _ in range(2):
        assert freeze(account)
        assert account.unfreeze(now=T0, grant_id=1, reference="dispute")
    assert drawn(account, 1) == [Draw(1, -1)]


def test_only_a_grant_can_be_frozen(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.spend(now=T0, amount=1)
    for grant_id in (0, 2, 3):
        with pytest.raises(EntryNotFound):
            account.freeze(now=T0, grant_id=grant_id, reference="dispute")
        with pytest.raises(EntryNotFound):
            account.unfreeze(now=T0, grant_id=grant_id, reference="dispute")


def test_freezing_and_lifting_book_what_is_due_first(account: Account) -> None:
    account.grant(now=T0, amount=10)
    account.grant(now=T0, amount=5, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=6, expires_at=T0 + 2 * HOUR)
    account.freeze(now=T0 + HOUR, grant_id=1, reference="dispute")
    assert kinds(account)[3:] == [("expire", -5)]
    account.unfreeze(now=T0 + 2 * HOUR, grant_id=1, reference="dispute")
    assert kinds(account)[4:] == [("expire", -6)]


def test_a_frozen_grant_still_expires(account: Account) -> None:
    account.grant(now=T0, amount=10, expires_at=T0 + HOUR)
    freeze(account)
    assert figures(account, T0 + HOUR) == (0, 0, 0)
    account.expire_due(now=T0 + HOUR)
    assert kinds(account)[1:] == [("expire", -10)]


def test_a_frozen_grant_can_be_revoked_and_restored(account: Account) -> None:
    account.grant(now=T0, amount=10)
    freeze(account)
    account.revoke(now=T0, grant_id=1, target=10)
    assert remaining(account) == [0]
    account.revoke(now=T0, grant_id=1, target=0)
    assert (remaining(account), account.grants[1].frozen) == ([10], True)
    account.unfreeze(now=T0, grant_id=1, reference="dispute")
    assert figures(account) == (10, 0, 10)


def test_a_frozen_grant_takes_refunds_and_keeps_them_frozen(account: Account) -> None:
    account.grant(now=T0, amount=10)
    spend = account.spend(now=T0, amount=10).entry
    freeze(account)
    account.refund(now=T0, spend_seq=spend.seq)
    assert figures(account) == (10, 0, 0)


def test_what_was_held_before_the_freeze_can_be_captured(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 6)
    freeze(account)
    entry = account.capture(now=T0, number=placed.number, amount=4).entry
    assert entry.draws == (Draw(1, -4),)
    assert figures(account) == (6, 0, 0)


def test_what_a_hold_gives_back_to_a_frozen_grant_is_frozen(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 6)
    freeze(account)
    account.void(now=T0, number=placed.number)
    assert figures(account) == (10, 0, 0)
    with pytest.raises(InsufficientCredits):
        hold(account, 1)


def test_the_excess_of_a_capture_takes_nothing_of_a_frozen_grant(account: Account) -> None:
    account.grant(now=T0, amount=10)
    placed = hold(account, 6)
    freeze(account)
    with pytest.raises(InsufficientCredits) as refused:
        account.capture(now=T0, number=placed.number, amount=7, allow_excess=True)
    assert (refused.value.required, refused.value.available) == (1, 0)


def test_a_hold_lapses_though_its_grant_is_frozen(account: Account) -> None:
    account.grant(now=T0, amount=10)
    hold(account, 6)
    freeze(account)
    assert figures(account, T0 + HOUR - TICK) == (10, 6, 0)
    assert figures(account, T0 + HOUR) == (10, 0, 0)
