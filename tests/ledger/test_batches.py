"""Batches: whatever happens to a batch of spends or grants would have happened to them one by one."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from tests.conftest import TestServers
from tests.ledger.asking import HOUR, T0
from tests.ledger.twins import ACTOR, FEATURES, PASTS, at, attempt, findings_of, make_twins, outcome_of, state_of
from webapp import ledger
from webapp.database import sqlalchemy_url

NOBODYS = 2**60
TIMES = st.sampled_from([T0, T0 + HOUR, T0 + 2 * HOUR, T0 + 4 * HOUR])
OCCURRED = st.sampled_from([None, None, None, T0 - 2 * HOUR, T0 + 9 * HOUR])
SPENDS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.fixed_dictionaries(
            {
                "amount": st.one_of(st.integers(1, 4), st.integers(0, 25)),
                "idempotency_key": st.sampled_from([f"k{n}" for n in range(1, 13)]),
                "feature": FEATURES,
                "partial": st.booleans(),
                "occurred_at": OCCURRED,
            }
        ),
    ),
    min_size=1,
    max_size=12,
)
GRANTS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.fixed_dictionaries(
            {
                "amount": st.one_of(st.integers(1, 20), st.sampled_from([0, 10**15])),
                "source_key": st.sampled_from([None, "s0", "s1", "x1", "x2", "x3"]),
                "idempotency_key": st.sampled_from([None, None, "k1", "k4", "x1", "x2"]),
                "expires_at": st.sampled_from([None, T0 + HOUR, T0 + 3 * HOUR, T0 + 9 * HOUR]),
                "effective_at": st.sampled_from([None, T0, T0 + 6 * HOUR]),
                "priority": st.integers(-1, 1),
                "features": st.sampled_from([None, [], ["b", "a"], ["a"]]),
                "cost_minor": st.sampled_from([0, 5, -1]),
                "occurred_at": OCCURRED,
            }
        ),
    ),
    min_size=1,
    max_size=10,
)


@pytest.fixture(scope="module")
def owner_engine(clocked_servers: TestServers) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(clocked_servers.owner_url))
    yield engine
    engine.dispose()


def compare(
    engine: Engine,
    owner_engine: Engine,
    pasts: Any,
    now: Any,
    together: Callable[[Session, list[int]], list[Any]],
    singly: Callable[[Session, list[int]], list[Any]],
) -> None:
    """The outcomes and all that is in the tables afterwards are the same, and the proof finds nothing."""
    first, second = make_twins(engine, pasts)
    with at(engine, now) as session:
        ones = together(session, [*first, NOBODYS])
    with at(engine, now) as session:
        others = singly(session, [*second, NOBODYS])
    assert [outcome_of(one) for one in ones] == [outcome_of(other) for other in others]
    with Session(owner_engine) as session:
        for one, other in zip(first, second, strict=True):
            assert state_of(session, one) == state_of(session, other)
    assert findings_of(engine, first) == []


@given(pasts=PASTS, now=TIMES, spends=SPENDS)
def test_a_batch_of_spends_does_what_single_spends_in_its_order_do(
    clocked_engine: Engine, owner_engine: Engine, pasts: Any, now: Any, spends: Any
) -> None:
    def items(ids: list[int]) -> list[dict[str, Any]]:
        return [{"account_id": ids[place % len(ids)], "actor": ACTOR, **spend} for place, spend in spends]

    compare(
        clocked_engine,
        owner_engine,
        pasts,
        now,
        lambda session, ids: ledger.spend_many(session, items=[ledger.SpendItem(**item) for item in items(ids)]),
        lambda session, ids: [attempt(session, lambda item=item: ledger.spend(session, **item)) for item in items(ids)],
    )


@given(pasts=PASTS, now=TIMES, grants=GRANTS)
def test_a_batch_of_grants_does_what_single_grants_in_its_order_do(
    clocked_engine: Engine, owner_engine: Engine, pasts: Any, now: Any, grants: Any
) -> None:
    def items(ids: list[int]) -> list[dict[str, Any]]:
        return [
            {
                "account_id": ids[place % len(ids)],
                "actor": ACTOR,
                "source": "purchase" if place % 2 else "twin",
                "cost_currency": "EUR" if grant["cost_minor"] else None,
                **grant,
            }
            for place, grant in grants
        ]

    compare(
        clocked_engine,
        owner_engine,
        pasts,
        now,
        lambda session, ids: ledger.grant_many(session, items=[ledger.GrantItem(**item) for item in items(ids)]),
        lambda session, ids: [attempt(session, lambda item=item: ledger.grant(session, **item)) for item in items(ids)],
    )
