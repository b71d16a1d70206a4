"""What a random history chooses from, and of whom it asks what."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from tests.ledger import model
from tests.ledger.asking import HOUR, TICK

SECOND = timedelta(seconds=1)

accounts = st.integers(0, 1)
ODD = {57: 0, 58: -1, 59: 10**15, 60: 10**15 + 1}
# Mostly small ones, so that there is something left to spend.
amounts = st.integers(0, 60).map(lambda n: ODD.get(n, 1 + n // 3))
features = st.sampled_from([None, None, "image", "export"])
prices = st.sampled_from([None, None, None, 0])  # 0: a price came to nothing
keys = st.sampled_from(["new", "new", "new", "new", None, "a"])
picks = st.integers(0, 50)
# A few whole hours, so that grants and holds share their moments and time lands on them exactly.
hours = st.integers(0, 4)
references = st.sampled_from(["dispute", "fraud"])
lengths = st.sampled_from(
    [HOUR, 2 * HOUR] * 4 + [SECOND, 24 * HOUR, 24 * HOUR, 3 * HOUR, SECOND - TICK, 24 * HOUR + TICK]
)


Question = Callable[[model.Account, datetime], Any]


def someone(asks: Question) -> Callable[[Any], Any]:
    """Only while it is true of one of the accounts: chance alone would ask in vain too often."""
    return precondition(lambda machine: any(asks(both.model, machine.now) for both in machine.accounts))


def is_due(account: model.Account, now: datetime) -> bool:
    expired = any(grant.free and grant.has_expired(now) for grant in account.grants.values())
    return expired or any(hold.has_lapsed(now) for hold in account.holds.values())


def has_expired(account: model.Account, now: datetime) -> bool:
    return any(grant.has_expired(now) for grant in account.grants.values())


def has_spent(account: model.Account, now: datetime) -> bool:
    return any(spend.left or spend.is_free for spend in account.spends.values())


def has_holds(account: model.Account, now: datetime) -> bool:
    return any(hold.state == "open" for hold in account.holds.values())


def has_frozen(account: model.Account, now: datetime) -> bool:
    return any(freeze.unfrozen_at is None for freeze in account.freezes)


def choose(among: list[int], pick: int) -> int:
    return among[pick % len(among)] if among else pick
