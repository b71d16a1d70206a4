"""Calling the ledger's functions: one statement, and its refusals as Python's."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from sqlalchemy import RowMapping, TextClause
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from webapp.ledger.arguments import checked
from webapp.ledger.errors import refusal_of


def call(session: Session, statement: TextClause, arguments: Mapping[str, Any]) -> RowMapping:
    """The one row that `statement` returns. Raises a LedgerRefusal when the function refused."""
    rows = call_all(session, statement, arguments)
    assert len(rows) == 1
    return rows[0]


def call_all(session: Session, statement: TextClause, arguments: Mapping[str, Any]) -> list[RowMapping]:
    """All rows that `statement` returns. Raises InvalidRequest, unasked, for an argument that no column can hold."""
    given = checked(arguments)
    directly: Directly | None = session.info.get(_DIRECTLY)
    try:
        rows = None if directly is None else directly(statement, given)
        return list(session.execute(statement, given).mappings()) if rows is None else cast(list[RowMapping], rows)
    except DBAPIError as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise refusal from None


# All rows of a statement that commits by itself, or None: ask the Session. Raises DBAPIError as that does.
Directly = Callable[[TextClause, Mapping[str, Any]], list[dict[str, Any]] | None]
_DIRECTLY = "ledger_directly"


def call_directly(session: Session, directly: Directly) -> None:
    """Calls with this Session, each of whose statements commits by itself, go past it from now on."""
    session.info[_DIRECTLY] = directly


_CHANGED = "ledger_accounts_changed"


def note_change(session: Session, account_id: int) -> None:
    """Remember that this database transaction wrote to the account, for whoever shows its balance elsewhere."""
    session.info.setdefault(_CHANGED, set()).add(account_id)


def note_changes(session: Session, account_ids: Iterable[int]) -> None:
    """`note_change` for each of them."""
    session.info.setdefault(_CHANGED, set()).update(account_ids)


def take_changed(session: Session) -> set[int]:
    """The accounts written to since the last call; to be asked after the commit (or thrown away after a rollback)."""
    changed: set[int] = session.info.pop(_CHANGED, set())
    return changed
