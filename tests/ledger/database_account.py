"""An account in PostgreSQL with the face of the model's account, on a clock that the test holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from tests.ledger import model
from webapp import ledger

NOBODY = "test"
PRICING = {"rate_card_version": 1}  # that an amount comes from a price
_numbers = count(1)


@contextmanager
def refusals_of_the_model() -> Iterator[None]:
    """The ledger's refusals come out as the model's."""
    try:
        yield
    except ledger.InsufficientCredits as refused:
        raise model.InsufficientCredits(required=refused.required, available=refused.available) from refused
    except ledger.HoldClosed as refused:
        raise model.HoldClosed(number=refused.data["number"], state=refused.data["state"]) from refused
    except ledger.ExceedsHold as refused:
        raise model.ExceedsHold(held=refused.data["held"]) from refused
    except ledger.LedgerRefusal as refused:
        raise getattr(model, type(refused).__name__)() from refused


class DatabaseAccount:
    """Every call is one database transaction as the application's role, at the time given with it."""

    def __init__(self, engine: Engine, *, now: datetime, overdraft_limit: int = 0, spend_order: str = "") -> None:
        self.engine = engine
        self.external_id = f"a-{uuid4()}"
        with self.at(now) as session:
            account, created = ledger.open_account(
                session, external_id=self.external_id, overdraft_limit=overdraft_limit
            )
            assert created
            self.account_id = account.account_id
        if spend_order:
            self.choose_spend_order(now=now, order=spend_order)

    @contextmanager
    def at(self, now: datetime) -> Iterator[Session]:
        with Session(self.engine) as session, session.begin(), refusals_of_the_model():
            session.execute(text("SELECT set_config('test.now', :now, true)"), {"now": now.isoformat()})
            yield session

    # -- reading ------------------------------------------------------------------------------------------

    def read(self, query: str, **arguments: Any) -> list[Any]:
        with Session(self.engine) as session:
            return list(session.execute(text(query), {"account_id": self.account_id, **arguments}))

    @property
    def entries(self) -> list[model.Entry]:
        rows = self.read("SELECT * FROM ledger.entries_v WHERE account_id = :account_id ORDER BY seq")
        return [entry_of(row) for row in rows]

    @property
    def grants(self) -> dict[int, model.Grant]:
        rows = self.read("SELECT * FROM ledger.grants_v WHERE account_id = :account_id ORDER BY grant_id")
        return {row.grant_id: grant_of(row) for row in rows}

    @property
    def debt(self) -> int:
        [(debt,)] = self.read("SELECT debt FROM ledger.accounts_v WHERE account_id = :account_id")
        return int(debt)

    @property
    def holds(self) -> dict[int, model.Hold]:
        """As they are booked: one that lapsed since the last write is still called open."""
        rows = self.read("SELECT * FROM ledger.holds_v WHERE account_id = :account_id ORDER BY number")
        return {row.number: hold_of(row) for row in rows}

    def balance(self, now: datetime) -> int:
        return self._balance(now).balance

    def held(self, now: datetime) -> int:
        return self._balance(now).held

    def available_in_all(self, now: datetime) -> int:
        return self._balance(now).available

    def _balance(self, now: datetime) -> ledger.Balance:
        with self.at(now) as session:
            return ledger.balance(session, account_id=self.account_id)

    def available(self, now: datetime, feature: str | None = None) -> int:
        """What could be spent; for accounts without overdraft the same as the model's, from 0 upwards."""
        with self.at(now) as session:
            return ledger.spendable(session, account_id=self.account_id, feature=feature)

    def get_hold(self, *, now: datetime, number: int) -> model.Hold:
        with self.at(now) as session:
            return hold_of(ledger.get_hold(session, account_id=self.account_id, number=number))

    def balance_at(self, moment: datetime, *, now: datetime | None = None) -> int:
        with self.at(now or max(moment, self.last_booked_at())) as session:
            return ledger.balance_at(session, account_id=self.account_id, at=moment)

    def state_at(self, moment: datetime, *, now: datetime) -> model.State:
        with self.at(now) as session:
            return state_of(ledger.state_at(session, account_id=self.account_id, at=moment))

    def last_booked_at(self) -> datetime:
        [(moment,)] = self.read(
            "SELECT max(booked_at) FROM ledger.entries_v WHERE account_id = :account_id HAVING count(*) > 0"
        )
        return moment

    # -- writing ------------------------------------------------------------------------------------------

    def grant(
        self, *, now: datetime, amount: int, source: str = "grant", cost_minor: int = 0, **content: Any
    ) -> model.Result:
        with self.at(now) as session:
            return result_of(
                ledger.grant(
                    session,
                    account_id=self.account_id,
                    amount=amount,
                    source=source,
                    actor=NOBODY,
                    cost_minor=cost_minor,
                    cost_currency="EUR" if cost_minor else None,
                    **content,
                )
            )

    def spend(
        self, *, now: datetime, amount: int, idempotency_key: str | None = None, priced: bool = False, **request: Any
    ) -> model.Result:
        with self.at(now) as session:
            return result_of(
                ledger.spend(
                    session,
                    account_id=self.account_id,
                    amount=amount,
                    idempotency_key=idempotency_key or f"unnamed-{next(_numbers)}",
                    actor=NOBODY,
                    pricing=PRICING if priced else None,
                    **request,
                )
            )

    def refund(
        self, *, now: datetime, spend_seq: int, amount: int | None = None, idempotency_key: str | None = None
    ) -> model.Result:
        with self.at(now) as session:
            return result_of(
                ledger.refund_spend(
                    session,
                    account_id=self.account_id,
                    seq=spend_seq,
                    amount=amount,
                    actor=NOBODY,
                    reason="test",
                    idempotency_key=idempotency_key,
                )
            )

    def revoke(self, *, now: datetime, grant_id: int, target: int) -> model.Entry | None:
        with self.at(now) as session:
            entry = ledger.revoke(
                session,
                account_id=self.account_id,
                grant_id=grant_id,
                target=target,
                actor=NOBODY,
                reason="test",
            )
            return entry and entry_of(entry)

    def freeze(self, *, now: datetime, grant_id: int, reference: str) -> bool:
        with self.at(now) as session:
            return ledger.freeze(
                session, account_id=self.account_id, grant_id=grant_id, reference=reference, actor=NOBODY
            )

    def unfreeze(self, *, now: datetime, grant_id: int, reference: str) -> bool:
        with self.at(now) as session:
            return ledger.unfreeze(
                session, account_id=self.account_id, grant_id=grant_id, reference=reference, actor=NOBODY
            )

    def roll_over(self, *, now: datetime, **request: Any) -> model.Result | None:
        with self.at(now) as session:
            written = ledger.roll_over(session, account_id=self.account_id, actor=NOBODY, **request)
            return written and result_of(written)

    def place_hold(
        self, *, now: datetime, idempotency_key: str | None = None, priced: bool = False, **request: Any
    ) -> model.HoldResult:
        with self.at(now) as session:
            return hold_result_of(
                ledger.place_hold(
                    session,
                    account_id=self.account_id,
                    idempotency_key=idempotency_key or f"unnamed-{next(_numbers)}",
                    actor=NOBODY,
                    pricing=PRICING if priced else None,
                    **request,
                )
            )

    def capture(
        self, *, now: datetime, idempotency_key: str | None = None, priced: bool = False, **request: Any
    ) -> model.Result:
        with self.at(now) as session:
            return result_of(
                ledger.capture_hold(
                    session,
                    account_id=self.account_id,
                    idempotency_key=idempotency_key or f"unnamed-{next(_numbers)}",
                    actor=NOBODY,
                    pricing=PRICING if priced else None,
                    **request,
                )
            )

    def void(self, *, now: datetime, number: int, idempotency_key: str | None = None) -> model.HoldResult:
        with self.at(now) as session:
            return hold_result_of(
                ledger.void_hold(
                    session, account_id=self.account_id, number=number, actor=NOBODY, idempotency_key=idempotency_key
                )
            )

    def expire_due(self, *, now: datetime) -> int:
        with self.at(now) as session:
            return ledger.expire_account(session, account_id=self.account_id)

    def choose_spend_order(self, *, now: datetime, order: str) -> None:
        with self.at(now) as session:
            ledger.set_spend_order(session, account_id=self.account_id, spend_order=order)

    def set_overdraft_limit(self, *, now: datetime, limit: int) -> None:
        with self.at(now) as session:
            ledger.open_account(session, external_id=self.external_id, overdraft_limit=limit)


def result_of(written: ledger.Written) -> model.Result:
    return model.Result(entry_of(written.entry), replayed=written.replayed)


def hold_result_of(written: ledger.WrittenHold) -> model.HoldResult:
    return model.HoldResult(hold_of(written.hold), replayed=written.replayed)


def named(key: str | None) -> str | None:
    return None if key is None or key.startswith("unnamed-") else key


def entry_of(row: Any) -> model.Entry:
    return model.Entry(
        seq=row.seq,
        kind=row.kind,
        amount=row.amount,
        balance_after=row.balance_after,
        debt_after=row.debt_after,
        draws=draws_of(row),
        occurred_at=row.occurred_at,
        booked_at=row.booked_at,
        about_seq=row.about_seq,
        feature=row.feature,
        hold_number=row.hold_number,
        idempotency_key=named(row.idempotency_key),
    )


def hold_of(row: Any) -> model.Hold:
    """From a row of the view, or from the Python face, which does not say between which entries it happened."""
    return model.Hold(
        number=row.number,
        amount=row.amount,
        slices=draws_of(row),
        feature=row.feature,
        placed_at=row.placed_at,
        placed_after=getattr(row, "placed_after", 0),
        expires_at=row.expires_at,
        idempotency_key=named(row.idempotency_key),
        state=row.state,
        captured=row.captured,
        closed_at=row.closed_at,
        closed_after=getattr(row, "closed_after", None),
    )


def draws_of(row: Any) -> tuple[model.Draw, ...]:
    return tuple(
        model.Draw(grant_id, amount) for grant_id, amount in zip(row.drawn_grants, row.drawn_amounts, strict=True)
    )


def state_of(state: ledger.State) -> model.State:
    return model.State(
        balance=state.balance,
        held=state.held,
        available=state.available,
        debt=state.debt,
        grants={
            grant.grant_id: model.GrantAt(remaining=grant.remaining, held=grant.held, frozen=grant.frozen)
            for grant in state.grants
        },
        holds=tuple(hold.number for hold in state.holds),
    )


def grant_of(row: Any) -> model.Grant:
    return model.Grant(
        grant_id=row.grant_id,
        amount=row.amount,
        source=row.source,
        source_key=row.source_key,
        priority=row.priority,
        effective_at=row.effective_at,
        expires_at=row.expires_at,
        features=None if row.features is None else frozenset(row.features),
        cost_minor=row.cost_minor,
        remaining=row.remaining,
        held=row.held,
        frozen=row.frozen,
        expired=row.expired,
        repaid=row.repaid,
        revoked=row.revoked,
        revoked_taken=row.revoked_taken,
        revoked_as_debt=row.revoked_as_debt,
    )
