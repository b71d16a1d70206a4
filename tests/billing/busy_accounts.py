"""Accounts to which everything happens that the ledger knows, at random, but each time the same."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Engine

from tests.ledger.asking import HOUR, T0
from tests.ledger.database_account import DatabaseAccount
from tests.ledger.model_words import Refused
from webapp import ledger

PAUSES = (timedelta(0), timedelta(seconds=1), HOUR, 5 * HOUR, 26 * HOUR)
END = T0 + timedelta(days=30)


class BusyAccount:
    """One account and its chances."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.chance = random.Random(seed)
        self.account = DatabaseAccount(engine, now=T0, overdraft_limit=self.chance.choice([0, 20, 60]))
        self.now = T0
        self.keys = 0

    def live(self, *, steps: int) -> None:
        """So many things are tried, and some of them refused."""
        self.grant()
        deeds: list[Callable[[], object]] = [
            *([self.grant] * 3),
            *([self.spend] * 7),
            *([self.refund] * 3),
            *([self.revoke] * 4),
            *([self.hold] * 3),
            self.capture,
            self.void,
            self.roll_over,
            self.expire,
        ]
        for _ in range(steps):
            self.now = min(self.now + self.chance.choice(PAUSES), END)
            try:
                self.chance.choice(deeds)()
            except Refused:
                continue

    def grant(self) -> None:
        cost = self.chance.choice([0, 0, 100, 333, 1])
        lasts = self.chance.choice([None, None, 5, 30, 72])
        with self.account.at(self.now) as session:
            ledger.grant(
                session,
                account_id=self.account.account_id,
                amount=self.chance.choice([1, 7, 30, 41]),
                source=self.chance.choice(["purchase", "admin", "api"]),
                actor="nobody",
                cost_minor=cost,
                cost_currency=self.chance.choice(["EUR", "USD"]) if cost else None,
                expires_at=None if lasts is None else self.now + lasts * HOUR,
            )

    def spend(self) -> None:
        feature = self.chance.choice([None, "image", "export"])
        self.account.spend(now=self.now, amount=self.chance.randint(1, 25), feature=feature, partial=self.coin())

    def refund(self) -> None:
        spends = [entry.seq for entry in self.account.entries if entry.kind == "spend"]
        amount = self.chance.choice([None, 1, 5])
        self.account.refund(now=self.now, spend_seq=self.chance.choice(spends or [1]), amount=amount)

    def revoke(self) -> None:
        grant = self.chance.choice(list(self.account.grants.values()))
        target = grant.amount * self.chance.choice([0, 30, 50, 100, 100]) // 100
        self.account.revoke(now=self.now, grant_id=grant.grant_id, target=target)

    def hold(self) -> None:
        self.account.place_hold(now=self.now, amount=self.chance.randint(1, 15), expires_in=6 * HOUR, feature="image")

    def capture(self) -> None:
        number = self.chance.choice(list(self.account.holds) or [1])
        self.account.capture(now=self.now, number=number, amount=self.chance.randint(1, 20), allow_excess=True)

    def void(self) -> None:
        self.account.void(now=self.now, number=self.chance.choice(list(self.account.holds) or [1]))

    def roll_over(self) -> None:
        lost = [grant.grant_id for grant in self.account.grants.values() if grant.expired]
        self.keys += 1
        self.account.roll_over(
            now=self.now,
            grant_id=self.chance.choice(lost or [1]),
            cap=self.chance.choice([3, 100]),
            source_key=f"rollover-{self.keys}",
            expires_at=self.now + 40 * HOUR,
        )

    def expire(self) -> datetime:
        self.account.expire_due(now=self.now)
        return self.now

    def coin(self) -> bool:
        return self.chance.random() < 0.5
