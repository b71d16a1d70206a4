"""Remainders that are carried over together, as one by one."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from tests.ledger.asking import HOUR, T0
from tests.ledger.test_batches import TIMES, compare, owner_engine
from tests.ledger.twins import ACTOR, PASTS, attempt
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
        asked = items(session, ids)
        return [told(one) for number in range(2 if again else 1) for one in roll_over(session, asked, again=number > 0)]

    def singly(session: Session, ids: list[int]) -> list[Any]:
        singles = items(session, ids) * (2 if again else 1)
        return [told(attempt(session, lambda item=item: ledger.roll_over(session, **item))) for item in singles]

    compare(clocked_engine, owner_engine, pasts, now, together, singly)


_ASKED = text(
    "WITH asked AS (SELECT u.*, NULL::text AS description FROM unnest(CAST(:account_id AS bigint[]),"
    " CAST(:grant_id AS bigint[]), CAST(:cap AS bigint[]), CAST(:source_key AS text[]),"
    " CAST(:expires_at AS timestamptz[]), CAST(:actor AS text[]))"
    " WITH ORDINALITY u (account_id, grant_id, cap, source_key, expires_at, actor, item))"
    f" {ledger.rollovers_of('asked')}"
)


def roll_over(session: Session, items: list[dict[str, Any]], *, again: bool) -> list[Any]:
    """The outcome of each item: together where that can be, singly where the batch leaves it to that."""
    sent = [item for item in items if item["cap"] >= 0]
    rows = {}
    if sent:
        given = {name: [item[name] for item in sent] for name in sent[0]}
        rows = {key(sent[row.item - 1]): row for row in session.execute(_ASKED, given)}
    return [_outcome(session, item, rows.get(key(item)), again=again) for item in items]


def key(item: dict[str, Any]) -> tuple[int, str]:
    return item["account_id"], item["source_key"]


def _outcome(session: Session, item: dict[str, Any], row: Any, *, again: bool) -> Any:
    if row is None or row.way == "s":
        return attempt(session, lambda: ledger.roll_over(session, **item))
    if row.refusal is not None:
        return ledger.refusal_for(row.refusal, row.message, row.detail)
    if row.seq is None:
        return None
    return ledger.Written(entry=ledger.entry(session, account_id=item["account_id"], seq=row.seq), replayed=again)


def told(outcome: Any) -> Any:
    """Nothing to carry over is an outcome, too."""
    return ledger.InvalidRequest("nothing was left", field="cap") if outcome is None else outcome
