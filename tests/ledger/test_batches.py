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
from tests.ledger.twins import (
    ACTOR,
    FEATURES,
    PASTS,
    at,
    attempt,
    findings_of,
    make_account,
    make_twins,
    outcome_of,
    state_of,
)
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


def test_a_batch_of_too_many_is_refused_whole(clocked_engine: Engine) -> None:
    spend = ledger.SpendItem(account_id=1, amount=1, idempotency_key="k", actor=ACTOR)
    grant = ledger.GrantItem(account_id=1, amount=1, source="s", actor=ACTOR)
    with at(clocked_engine, T0) as session:
        for call, items in ((ledger.spend_many, [spend] * 1_001), (ledger.grant_many, [grant] * 10_001)):
            with pytest.raises(ledger.InvalidRequest) as refused:
                call(session, items=items)
            assert refused.value.field == "items"
        assert ledger.spend_many(session, items=[]) == ledger.grant_many(session, items=[]) == []


def test_an_item_that_no_column_can_hold_is_refused_alone(clocked_engine: Engine) -> None:
    account_id = make_account(clocked_engine, overdraft_limit=9, past=[])
    texts = ["good", "b\0d", "gööd"]
    with at(clocked_engine, T0) as session:
        items = [
            ledger.SpendItem(
                account_id=account_id,
                amount=1,
                idempotency_key=f"k{n}",
                actor=ACTOR,
                description=one,
                metadata={"x": one},
            )
            for n, one in enumerate(texts)
        ]
        first, second, third = ledger.spend_many(session, items=items)
    assert isinstance(second, ledger.InvalidRequest)
    assert isinstance(first, ledger.Written)
    assert isinstance(third, ledger.Written)
    assert (third.entry.seq, third.entry.description, third.entry.metadata) == (2, "gööd", {"x": "gööd"})


def test_a_single_spend_and_an_item_of_a_batch_are_one_request(clocked_engine: Engine) -> None:
    account_id = make_account(clocked_engine, overdraft_limit=9, past=[])
    request = {"account_id": account_id, "amount": 1, "idempotency_key": "k", "actor": ACTOR, "metadata": {"a": 1.5}}
    with at(clocked_engine, T0) as session:
        single = ledger.spend(session, **request)
        [replay] = ledger.spend_many(session, items=[ledger.SpendItem(**request)])
        [conflict] = ledger.spend_many(session, items=[ledger.SpendItem(**{**request, "amount": 2})])
    assert replay == ledger.Written(entry=single.entry, replayed=True)
    assert isinstance(conflict, ledger.IdempotencyKeyReused)


def test_callers_who_watch_balances_learn_of_every_account_of_a_batch(clocked_engine: Engine) -> None:
    ids = [make_account(clocked_engine, overdraft_limit=0, past=[]) for _ in range(3)]
    items = [ledger.GrantItem(account_id=one, amount=1, source="s", actor=ACTOR) for one in ids]
    with at(clocked_engine, T0) as session:
        ledger.grant_many(session, items=items)
        assert ledger.take_changed(session) == set(ids)
