"""Many spends, or many grants, of many accounts: one call, one database transaction, an outcome for each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.orm import Session

from webapp.ledger.array_text import array_text
from webapp.ledger.call import note_changes
from webapp.ledger.entries import ENTRY_FIELDS, Entry
from webapp.ledger.errors import InvalidRequest, LedgerRefusal, refusal_for
from webapp.ledger.requests import GrantItem, SpendItem
from webapp.ledger.writes import Written

Item = TypeVar("Item", SpendItem, GrantItem)

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

# What a row of `grants_of` has, beside its item.
GRANT_FIELDS = tuple(name for name in _OF_GRANTS if name != "fingerprint")
_AS_IS = frozenset(GRANT_FIELDS) - {"features"}
_FINGERPRINTED = (
    "source", "amount", "expires_at", "priority", "effective_at", "features", "cost_minor", "cost_currency",
    "source_key", "description",
)  # fmt: skip


def _statement(function: str, types: dict[str, str]) -> TextClause:
    lists = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in types.items())
    columns = ", ".join(f"(entry).{name}" for name in ENTRY_FIELDS)
    query = f"SELECT item, replayed, refusal, message, detail, {columns} FROM ledger.{function}({lists})"
    return text(query).bindparams(*(bindparam(name) for name in types))


_SPEND_MANY = _statement("spend_many", _OF_SPENDS)
_GRANT_MANY = _statement("grant_many", _OF_GRANTS)


def spend_many(session: Session, *, items: Sequence[SpendItem]) -> list[Written | LedgerRefusal]:
    """Up to 1,000 spends of any accounts happen as single ones in this order would; an outcome each, in this order.

    An outcome is what `spend` returns, or the refusal that it raises: a refused item writes nothing and harms no
    other. Of a key given twice, the second is a replay of the first. Locks the accounts in the order of their ids, so
    batches do not deadlock each other. Raises InvalidRequest for too many items; nothing was written then.
    """
    check_count(items, MOST_SPENDS)
    return _run(session, _SPEND_MANY, _OF_SPENDS, SpendItem.columns, items)


def grant_many(session: Session, *, items: Sequence[GrantItem]) -> list[Written | LedgerRefusal]:
    """Up to 10,000 grants to any accounts happen as single ones in this order would; an outcome each, in this order.

    An outcome is what `grant` returns, or the refusal that it raises; the same source key again is a replay, so a
    batch that was cut off is simply repeated. Locks the accounts in the order of their ids. Raises InvalidRequest for
    too many items; nothing was written then.
    """
    check_count(items, MOST_GRANTS)
    return _run(session, _GRANT_MANY, _OF_GRANTS, GrantItem.columns, items)


def grants_of(rows: str) -> str:
    """SQL that does what `grant_many` does with the rows of `rows`, for callers whose items are in PostgreSQL already.

    `rows` names a relation with a column for each of GRANT_FIELDS, and `item`, which counts them from 1 without a gap;
    features must be canonical. A row comes back for each: item, refusal (null, or the SQLSTATE), message, detail, seq.
    The caller is to `note_changes`, and to keep to as many items as `grant_many` takes.
    """
    lists = ", ".join(f"array_agg(i.{name})::{kind}[] AS {name}" for name, kind in _OF_GRANTS.items() if name in _AS_IS)
    terms = "ledger.fingerprint_of_grant({})".format(", ".join(f"i.{name}" for name in _FINGERPRINTED))
    return (
        "SELECT g.item, g.refusal, g.message, g.detail, g.seq FROM ("
        f"SELECT {lists}, array_agg({terms}) AS fingerprint, array_agg(to_json(i.features)::text) AS features"
        f" FROM (SELECT * FROM {rows} ORDER BY item) i) a"
        f" CROSS JOIN LATERAL ledger.grant_ids_of_many({', '.join('a.' + name for name in _OF_GRANTS)}) g"
    )


def check_count(items: Sequence[Any], most: int) -> None:
    """Raises InvalidRequest for more than `most`."""
    if len(items) > most:
        raise InvalidRequest(f"must be at most {most} items", field="items")


def _run(
    session: Session,
    statement: TextClause,
    types: dict[str, str],
    columns_of: Callable[[Sequence[Item]], Mapping[str, Sequence[Any]]],
    items: Sequence[Item],
) -> list[Written | LedgerRefusal]:
    outcomes: list[Written | LedgerRefusal | None] = [None] * len(items)
    asked: Sequence[int] = range(len(items))
    try:
        columns = columns_of(items)
    except InvalidRequest:
        outcomes = [_refused(item) for item in items]
        asked = [place for place, refused in enumerate(outcomes) if refused is None]
        columns = columns_of([items[place] for place in asked])
    if asked:
        note_changes(session, columns["account_id"])
        arrays = {name: array_text(columns[name]) for name in types}
        for item, replayed, refusal, message, detail, *entry in session.execute(statement, arrays).all():
            outcomes[asked[item - 1]] = (
                Written(entry=Entry.of_values(entry), replayed=replayed)
                if refusal is None
                else refusal_for(refusal, message, detail)
            )
    done = [outcome for outcome in outcomes if outcome is not None]
    assert len(done) == len(items)
    return done


def _refused(item: SpendItem | GrantItem) -> InvalidRequest | None:
    try:
        item.arguments()
    except InvalidRequest as refused:
        return refused
    return None
