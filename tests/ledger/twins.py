"""Two groups of accounts with the same past: what one way of writing makes of the first, another must of the second."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from tests.ledger.asking import HOUR, T0
from webapp import ledger
from webapp.ledger.verify import verify

ACTOR = "twin"
FEATURES = st.sampled_from([None, "a", "b"])
GRANTED = st.fixed_dictionaries(
    {
        "amount": st.integers(1, 20),
        "expires_at": st.sampled_from([None, *(T0 + n * HOUR for n in (1, 2, 3))]),
        "effective_at": st.sampled_from([None, None, T0 + HOUR, T0 + 5 * HOUR]),
        "priority": st.integers(-1, 1),
        "features": st.sampled_from([None, None, ["a"], ["b", "a"]]),
        "cost_minor": st.sampled_from([0, 5]),
        "description": st.sampled_from(["", 'An "odd" grant\\\n\t\x7f\u2028 für 1 €, %s {} /']),
    }
)
# What has happened to an account before; what is refused has simply not happened, to both twins.
PAST = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), GRANTED),
        st.tuples(st.just("grant"), GRANTED),
        st.tuples(st.just("spend"), st.integers(1, 12), st.sampled_from(["k1", "k2", "k3"]), FEATURES),
        st.tuples(st.just("hold"), st.integers(1, 8), st.sampled_from(["k4", "k5"]), FEATURES, st.integers(1, 4)),
        st.tuples(st.just("freeze"), st.integers(1, 3)),
        st.tuples(st.just("revoke"), st.integers(1, 3), st.integers(0, 10)),
    ),
    min_size=1,
    max_size=8,
)
PASTS = st.lists(st.tuples(st.sampled_from([0, 0, 10]), PAST), min_size=1, max_size=3)

_STATE = text("""
SELECT (SELECT to_jsonb(a) - ARRAY['account_id', 'external_id', 'head'] FROM ledger.accounts a WHERE account_id = :id),
       (SELECT jsonb_agg(to_jsonb(g) - 'account_id' ORDER BY grant_id) FROM ledger.grants g WHERE account_id = :id),
       (SELECT jsonb_agg(to_jsonb(e) - ARRAY['account_id', 'hash'] ORDER BY seq)
        FROM ledger.entries e WHERE account_id = :id),
       (SELECT jsonb_agg(to_jsonb(h) - 'account_id' ORDER BY number) FROM ledger.holds h WHERE account_id = :id)
""")


@contextmanager
def at(engine: Engine, now: datetime) -> Iterator[Session]:
    """One database transaction, at that time."""
    with Session(engine) as session, session.begin():
        session.execute(text("SELECT set_config('test.now', :now, true)"), {"now": now.isoformat()})
        yield session


def make_twins(engine: Engine, pasts: list[tuple[int, list[Any]]]) -> tuple[list[int], list[int]]:
    """Two groups of accounts, one in each for every past."""
    groups = []
    for _ in range(2):
        groups.append([make_account(engine, overdraft_limit=limit, past=past) for limit, past in pasts])
    return groups[0], groups[1]


def make_account(engine: Engine, *, overdraft_limit: int, past: list[Any]) -> int:
    with at(engine, T0 - HOUR) as session:
        account, _ = ledger.open_account(session, external_id=f"twin-{uuid4()}", overdraft_limit=overdraft_limit)
        for number, event in enumerate(past):
            attempt(session, lambda event=event, number=number: happen(session, account.account_id, event, number))
    return account.account_id


def happen(session: Session, account_id: int, event: Any, number: int) -> None:
    match event:
        case "grant", terms:
            grant_of(session, account_id, source_key=f"s{number}", **terms)
        case "spend", amount, key, feature:
            ledger.spend(
                session, account_id=account_id, amount=amount, idempotency_key=key, feature=feature, actor=ACTOR
            )
        case "hold", amount, key, feature, hours:
            ledger.place_hold(
                session,
                account_id=account_id,
                amount=amount,
                idempotency_key=key,
                feature=feature,
                expires_in=timedelta(hours=hours),
                actor=ACTOR,
            )
        case "freeze", grant_id:
            ledger.freeze(session, account_id=account_id, grant_id=grant_id, reference="r", actor=ACTOR)
        case "revoke", grant_id, target:
            ledger.revoke(session, account_id=account_id, grant_id=grant_id, target=target, actor=ACTOR, reason="twin")


def grant_of(session: Session, account_id: int, *, cost_minor: int, **terms: Any) -> None:
    ledger.grant(
        session,
        account_id=account_id,
        source="twin",
        actor=ACTOR,
        cost_minor=cost_minor,
        cost_currency="EUR" if cost_minor else None,
        **terms,
    )


def attempt(session: Session, action: Callable[[], Any]) -> Any:
    """The result, or the refusal, of which nothing stays."""
    try:
        with session.begin_nested():
            return action()
    except ledger.LedgerRefusal as refused:
        return refused


def state_of(session: Session, account_id: int) -> list[Any]:
    """All that the tables say of an account, but for its id and the hashes that cover it. As their owner."""
    return list(session.execute(_STATE, {"id": account_id}).one())


def outcome_of(outcome: Any) -> Any:
    """An outcome without the account's id and what covers it."""
    if isinstance(outcome, ledger.LedgerRefusal):
        data = {name: value for name, value in outcome.data.items() if name != "account_id"}
        return type(outcome).__name__, str(outcome), data
    entry = {name: getattr(outcome.entry, name) for name in outcome.entry.__dataclass_fields__}
    return outcome.replayed, {name: value for name, value in entry.items() if name not in {"account_id", "hash"}}


def findings_of(engine: Engine, account_ids: list[int]) -> list[Any]:
    """What the proof finds wrong with these accounts."""
    with engine.connect() as connection:
        return [one for one in verify(connection, account_ids=account_ids).findings if one.account_id is not None]
