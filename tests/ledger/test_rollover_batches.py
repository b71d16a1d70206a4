"""Remainders that are carried over together, and expiries that are booked together, as one by one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from tests.ledger.asking import HOUR, T0
from tests.ledger.test_batches import NOBODYS, TIMES, compare, owner_engine
from tests.ledger.twins import ACTOR, PASTS, at, attempt
from webapp import ledger

__all__ = ["owner_engine"]

_SEQS = text("SELECT account_id, seq FROM ledger.accounts_v WHERE account_id = ANY (:ids)")
# (account, grant) pairs, each once; the key goes with the grant, and now and then is that of another kind of grant.
ASKED = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(-1, 12), st.sampled_from(["r", "r", "r", "s"])),
    min_size=1,
    max_size=8,
    unique_by=lambda one: one[:2],
)


@given(pasts=PASTS, now=TIMES, asked=ASKED, later=st.sampled_from([None, 1, 9]), again=st.booleans())
def test_a_batch_of_rollovers_does_what_single_ones_in_its_order_do(
    clocked_engine: Engine, owner_engine: Engine, pasts: Any, now: Any, asked: Any, later: int | None, again: bool
) -> None:
    def items(session: Session, ids: list[int]) -> list[dict[str, Any]]:
        # of the places that name the same account, each grant once, and none that the batch itself would make
        found: dict[tuple[int, int], dict[str, Any]] = {}
        seqs = {row.account_id: row.seq for row in session.execute(_SEQS, {"ids": ids})}
        for place, grant_id, cap, key in asked:
            account_id = ids[place % len(ids)]
            if grant_id > seqs.get(account_id, grant_id):
                grant_id += 1_000
            found[account_id, grant_id] = {
                "account_id": account_id,
                "grant_id": grant_id,
                "cap": cap,
                "source_key": f"{key}{grant_id}",
                "expires_at": None if later is None else T0 + later * HOUR,
                "actor": ACTOR,
            }
        return list(found.values())

    def together(session: Session, ids: list[int]) -> list[Any]:
        rolled = [ledger.RollOver(**item) for item in items(session, ids)]
        outcomes = [ledger.roll_over_many(session, asked=rolled) for _ in range(2 if again else 1)]
        return [
            told(
                outcome if not isinstance(outcome, int) else written(session, one.account_id, outcome, again=number > 0)
            )
            for number, some in enumerate(outcomes)
            for one, outcome in zip(rolled, some, strict=True)
        ]

    def singly(session: Session, ids: list[int]) -> list[Any]:
        singles = items(session, ids) * (2 if again else 1)
        return [told(attempt(session, lambda item=item: ledger.roll_over(session, **item))) for item in singles]

    compare(clocked_engine, owner_engine, pasts, now, together, singly)


def written(session: Session, account_id: int, seq: int, *, again: bool) -> ledger.Written:
    """What `roll_over` returns of the entry whose seq a batch returns."""
    return ledger.Written(entry=ledger.entry(session, account_id=account_id, seq=seq), replayed=again)


def told(outcome: Any) -> Any:
    """Nothing to carry over is an outcome, too."""
    return ledger.InvalidRequest("nothing was left", field="cap") if outcome is None else outcome


@given(pasts=PASTS, now=TIMES)
def test_expiries_booked_together_are_those_booked_one_by_one(
    clocked_engine: Engine, owner_engine: Engine, pasts: Any, now: Any
) -> None:
    def together(session: Session, ids: list[int]) -> list[Any]:
        ledger.expire_accounts(session, account_ids=[one for one in ids if one != NOBODYS])
        return []

    def singly(session: Session, ids: list[int]) -> list[Any]:
        for account_id in ids:
            if account_id != NOBODYS:
                ledger.expire_account(session, account_id=account_id)
        return []

    compare(clocked_engine, owner_engine, pasts, now, together, singly)


def test_a_batch_of_rollovers_names_each_grant_once(clocked_engine: Engine) -> None:
    one = ledger.RollOver(account_id=1, grant_id=1, cap=1, source_key="k", actor=ACTOR)
    with at(clocked_engine, T0) as session:
        for asked in ([one] * 10_001, [one, one]):
            with pytest.raises(ledger.InvalidRequest):
                ledger.roll_over_many(session, asked=asked)
        assert ledger.roll_over_many(session, asked=[]) == []
        assert ledger.expire_accounts(session, account_ids=[]) == 0
