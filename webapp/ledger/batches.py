"""Many spends, or many grants, of many accounts: one call, one database transaction, an outcome for each."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import RowMapping, TextClause, bindparam, text
from sqlalchemy.orm import Session

from webapp.ledger.array_text import array_text
from webapp.ledger.call import note_change
from webapp.ledger.entries import ENTRY_FIELDS, Entry
from webapp.ledger.errors import InvalidRequest, LedgerRefusal, refusal_for
from webapp.ledger.requests import GrantItem, SpendItem
from webapp.ledger.writes import Written

Some = TypeVar("Some")

MOST_SPENDS = 1_000
MOST_GRANTS = 10_000

# The arguments of the functions of sql/, in their order, and of which type the elements are.
_OF_SPENDS = {
    "account_id": "bigint",
    "amount": "bigint",
    "idempotency_key": "text",
    "fingerprint": "bytea",
    "actor": "text",
    "feature": "text",
    "quantity": "bigint",
    "partial": "boolean",
    "description": "text",
    "reference": "text",
    "metadata": "text",
    "pricing": "text",
    "occurred_at": "timestamptz",
}
_OF_GRANTS = {
    "account_id": "bigint",
    "amount": "bigint",
    "source": "text",
    "actor": "text",
    "fingerprint": "bytea",
    "source_key": "text",
    "expires_at": "timestamptz",
    "priority": "integer",
    "effective_at": "timestamptz",
    "features": "text",
    "cost_minor": "bigint",
    "cost_currency": "text",
    "description": "text",
    "reference": "text",
    "metadata": "text",
    "idempotency_key": "text",
    "occurred_at": "timestamptz",
    "about_seq": "bigint",
}


def _statement(function: str, types: dict[str, str], fields: Sequence[str] = ENTRY_FIELDS) -> TextClause:
    lists = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in types.items())
    columns = ", ".join(f"(entry).{name}" for name in fields)
    query = f"SELECT item, replayed, refusal, message, detail, {columns} FROM ledger.{function}({lists})"
    return text(query).bindparams(*(bindparam(name) for name in types))


_SPEND_MANY = _statement("spend_many", _OF_SPENDS)
_GRANT_MANY = _statement("grant_many", _OF_GRANTS)
_GRANT_SEQS = _statement("grant_many", _OF_GRANTS, ("seq",))


def spend_many(session: Session, *, items: Sequence[SpendItem]) -> list[Written | LedgerRefusal]:
    """Up to 1,000 spends of any accounts happen as single ones in this order would; an outcome each, in this order.

    An outcome is what `spend` returns, or the refusal that it raises: a refused item writes nothing and harms no
    other. Of a key given twice, the second is a replay of the first. Locks the accounts in the order of their ids, so
    batches do not deadlock each other. Raises InvalidRequest for too many items; nothing was written then.
    """
    check_count(items, MOST_SPENDS)
    return _run(session, _SPEND_MANY, _OF_SPENDS, items, _written)


def grant_many(session: Session, *, items: Sequence[GrantItem]) -> list[Written | LedgerRefusal]:
    """Up to 10,000 grants to any accounts happen as single ones in this order would; an outcome each, in this order.

    An outcome is what `grant` returns, or the refusal that it raises; the same source key again is a replay, so a
    batch that was cut off is simply repeated. Locks the accounts in the order of their ids. Raises InvalidRequest for
    too many items; nothing was written then.
    """
    check_count(items, MOST_GRANTS)
    return _run(session, _GRANT_MANY, _OF_GRANTS, items, _written)


def grant_ids_of_many(session: Session, *, items: Sequence[GrantItem]) -> list[int | LedgerRefusal]:
    """What `grant_many` does, for callers who want to know no more than each grant's id: at half the cost in Python."""
    check_count(items, MOST_GRANTS)
    return _run(session, _GRANT_SEQS, _OF_GRANTS, items, lambda row: int(row["seq"]))


def check_count(items: Sequence[Any], most: int) -> None:
    """Raises InvalidRequest for more than `most`."""
    if len(items) > most:
        raise InvalidRequest(f"must be at most {most} items", field="items")


def _run(
    session: Session,
    statement: TextClause,
    types: dict[str, str],
    items: Sequence[SpendItem | GrantItem],
    written: Callable[[RowMapping], Some],
) -> list[Some | LedgerRefusal]:
    outcomes: list[Some | LedgerRefusal | None] = [None] * len(items)
    asked: list[int] = []
    rows: list[list[Any]] = []
    for place, item in enumerate(items):
        try:
            arguments = item.arguments()
        except InvalidRequest as refused:
            outcomes[place] = refused
            continue
        if arguments.get("features") is not None:
            arguments["features"] = json.dumps(arguments["features"])
        rows.append([arguments[name] for name in types])
        asked.append(place)
        note_change(session, arguments["account_id"])
    if asked:
        arrays = {name: array_text(column) for name, column in zip(types, zip(*rows, strict=True), strict=True)}
        for row in session.execute(statement, arrays).mappings():
            outcomes[asked[row["item"] - 1]] = (
                written(row) if row["refusal"] is None else refusal_for(row["refusal"], row["message"], row["detail"])
            )
    done = [outcome for outcome in outcomes if outcome is not None]
    assert len(done) == len(items)
    return done


def _written(row: RowMapping) -> Written:
    return Written(entry=Entry.of(row), replayed=row["replayed"])
