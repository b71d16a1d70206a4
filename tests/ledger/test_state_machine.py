"""Random histories, played on the model and on PostgreSQL side by side: after every step they agree."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tests.ledger import model
from tests.ledger.asking import HOUR, T0, TICK
from tests.ledger.database_account import DatabaseAccount, entry_of
from webapp import ledger
from webapp.ledger.verify import verify

accounts = st.integers(0, 1)
amounts = st.one_of(st.integers(1, 30), st.integers(1, 30), st.sampled_from([0, -1, 10**15, 10**15 + 1]))
features = st.sampled_from([None, None, "image", "export"])
keys = st.sampled_from([None, None, "a", "b", "c"])
picks = st.integers(0, 50)
# A few whole hours, so that grants share their moments and time lands on them exactly.
hours = st.integers(0, 4)


class Both:
    """One account in the model and in the database."""

    def __init__(self, engine: Engine, *, now: datetime, overdraft_limit: int, spend_order: str) -> None:
        attributes = {"overdraft_limit": overdraft_limit, "spend_order": spend_order}
        self.model = model.Account(**attributes)  # type: ignore[arg-type]
        self.database = DatabaseAccount(engine, now=now, **attributes)  # type: ignore[arg-type]

    def do(self, operation: str, **arguments: Any) -> Any:
        """Ask both; they answer alike or refuse alike."""
        answers = []
        for account in (self.model, self.database):
            try:
                answers.append(getattr(account, operation)(**arguments))
            except model.InsufficientCredits as refused:
                answers.append((type(refused), refused.required, refused.available))
            except model.Refused as refused:
                answers.append(type(refused))
        assert answers[0] == answers[1], f"{operation}({arguments})"
        return answers[0]

    def check(self, now: datetime) -> None:
        assert self.database.entries == self.model.entries
        assert self.database.grants == self.model.grants
        with self.database.at(now) as session:
            seen = ledger.balance(session, account_id=self.database.account_id)
        assert seen.balance == self.model.balance(now)
        assert seen.available == self.model.available_in_all(now)
        assert (seen.debt, seen.held, seen.seq) == (self.model.debt, 0, len(self.model.entries))


class Histories(RuleBasedStateMachine):
    engine: Engine

    @initialize(
        limits=st.tuples(st.sampled_from([0, 25, 60]), st.just(0)),
        orders=st.tuples(st.just("free_first"), st.sampled_from(["free_first", "paid_first"])),
    )
    def open_two_accounts(self, limits: tuple[int, int], orders: tuple[str, str]) -> None:
        self.now = T0
        self.accounts = [
            Both(self.engine, now=T0, overdraft_limit=limit, spend_order=order)
            for limit, order in zip(limits, orders, strict=True)
        ]

    @rule(
        at=accounts,
        amount=amounts,
        priority=st.integers(0, 1),
        starts=st.none() | hours,
        lasts=st.none() | hours,
        limited=st.sampled_from([None, None, ["image"], ["export", "image"], ["image", "export", "image"]]),
        cost_minor=st.sampled_from([0, 500]),
        source=st.sampled_from(["admin", "purchase"]),
        source_key=keys,
    )
    def grant(self, at: int, starts: int | None, lasts: int | None, limited: list[str] | None, **content: Any) -> None:
        self.do(
            at,
            "grant",
            effective_at=None if starts is None else self.now + (starts - 2) * HOUR,
            expires_at=None if lasts is None else self.now + (lasts - 1) * HOUR,
            features=limited,
            **content,
        )

    @rule(
        at=accounts,
        amount=amounts,
        feature=features,
        partial=st.booleans(),
        key=keys,
        ago=st.none() | st.integers(-1, 3),
    )
    def spend(self, at: int, key: str | None, ago: int | None, **request: Any) -> None:
        occurred_at = None if ago is None else self.now - ago * HOUR
        self.do(at, "spend", idempotency_key=key, occurred_at=occurred_at, **request)

    @rule(at=accounts, pick=picks, amount=st.none() | amounts, key=keys)
    def refund(self, at: int, pick: int, amount: int | None, key: str | None) -> None:
        """Of a spend mostly; of anything else sometimes."""
        account = self.accounts[at].model
        spends = sorted(account.spends) or [pick]
        seq = spends[pick % len(spends)] if pick % 5 else pick
        self.do(at, "refund", spend_seq=seq, amount=amount, idempotency_key=key)

    @precondition(lambda self: any(both.model.grants for both in self.accounts))
    @rule(at=accounts, pick=picks, percent=st.sampled_from([0, 1, 30, 50, 99, 100, 101, -1]))
    def revoke(self, at: int, pick: int, percent: int) -> None:
        grants = self.accounts[at].model.grants
        grant_id = sorted(grants)[pick % len(grants)] if grants else pick
        amount = grants[grant_id].amount if grants else 1
        self.do(at, "revoke", grant_id=grant_id, target=amount * percent // 100)

    @rule(at=accounts)
    def expire_account(self, at: int) -> None:
        self.do(at, "expire_due")

    @rule()
    def sweep(self) -> None:
        """The sweep takes all accounts of the database in chunks; these two are among them."""
        database = self.accounts[0].database
        swept = (1, 1)
        while swept != (0, 0):
            with database.at(self.now) as session:
                swept = ledger.expire_due(session, limit=100)
        for both in self.accounts:
            both.model.expire_due(now=self.now)
            both.check(self.now)

    @rule(by=st.sampled_from([TICK, HOUR - TICK, HOUR, 3 * HOUR]))
    def wait(self, by: timedelta) -> None:
        self.now += by
        for both in self.accounts:
            both.check(self.now)

    @rule(at=accounts, order=st.sampled_from(["free_first", "paid_first"]))
    def choose_spend_order(self, at: int, order: str) -> None:
        both = self.accounts[at]
        both.model.spend_order = order
        with both.database.at(self.now) as session:
            ledger.set_spend_order(session, account_id=both.database.account_id, spend_order=order)

    @rule(at=accounts, ago=st.integers(0, 8), tick=st.booleans(), feature=features)
    def look(self, at: int, ago: int, tick: bool, feature: str | None) -> None:
        """Balances of now and of any past moment."""
        both = self.accounts[at]
        moment = self.now - ago * HOUR - tick * TICK
        assert both.database.balance_at(moment, now=self.now) == both.model.balance_at(moment)
        room = both.model.available(self.now, feature) + both.model.overdraft_limit
        assert both.database.available(self.now, feature) == max(0, room)

    @rule(
        at=accounts,
        since=st.none() | st.integers(0, 6),
        until=st.none() | st.integers(-1, 6),
        kinds=st.sampled_from([None, ["spend"], ["grant", "expire"]]),
        feature=features,
        limit=st.integers(1, 4),
    )
    def read_history(
        self,
        at: int,
        since: int | None,
        until: int | None,
        kinds: list[str] | None,
        feature: str | None,
        limit: int,
    ) -> None:
        """By cursor, with every filter: the same as looking at all entries."""
        account = self.accounts[at]
        first = None if since is None else self.now - since * HOUR
        end = None if until is None else self.now - until * HOUR
        wanted = [
            entry
            for entry in reversed(account.model.entries)
            if (kinds is None or entry.kind in kinds)
            and (feature is None or entry.feature == feature)
            and (first is None or entry.occurred_at >= first)
            and (end is None or entry.occurred_at < end)
        ]
        with Session(self.engine) as session:
            account_id = account.database.account_id
            filters = {"kinds": kinds, "feature": feature, "since": first, "until": end}
            assert list(newest_first(session, account_id, limit=limit, **filters)) == wanted

    def do(self, at: int, operation: str, **arguments: Any) -> None:
        both = self.accounts[at]
        both.do(operation, now=self.now, **arguments)
        both.check(self.now)

    def teardown(self) -> None:
        if not hasattr(self, "accounts"):
            return
        with self.engine.connect() as connection:
            report = verify(connection, account_ids=[both.database.account_id for both in self.accounts])
        assert report.findings == []
        assert report.entries == sum(len(both.model.entries) for both in self.accounts)
        with Session(self.engine) as session:
            for both in self.accounts:
                pages = list(newest_first(session, both.database.account_id))
                assert pages == both.model.entries[::-1]


def newest_first(session: Session, account_id: int, *, limit: int = 3, **filters: Any) -> Any:
    """History by cursor, page after page."""
    before = None
    while True:
        page = ledger.entries(session, account_id=account_id, before=before, limit=limit, **filters)
        yield from map(entry_of, page.entries)
        before = page.next_before
        if before is None:
            return


def test_the_model_and_postgresql_agree_on_every_history(clocked_engine: Engine) -> None:
    machine: Callable[[], RuleBasedStateMachine] = type("OnPostgreSQL", (Histories,), {"engine": clocked_engine})
    run_state_machine_as_test(machine)
