"""What the tests of the rules ask of an account, and the moments at which they do."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.ledger.model import Account, Draw, Hold

T0 = datetime(2031, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)

OpenAccount = Callable[..., Account]


def drawn(account: Account, amount: int, *, now: datetime = T0, feature: str | None = None) -> list[Draw]:
    return list(account.spend(now=now, amount=amount, feature=feature).entry.draws)


def kinds(account: Account) -> list[tuple[str, int]]:
    return [(entry.kind, entry.amount) for entry in account.entries]


def remaining(account: Account) -> list[int]:
    return [grant.remaining for _, grant in sorted(account.grants.items())]


def hold(account: Account, amount: int, *, now: datetime = T0, lasts: timedelta = HOUR, **request: Any) -> Hold:
    return account.place_hold(now=now, amount=amount, expires_in=lasts, **request).hold


def figures(account: Account, now: datetime = T0) -> tuple[int, int, int]:
    """The balance, what of it is held, what can be spent."""
    return account.balance(now), account.held(now), account.available_in_all(now)
