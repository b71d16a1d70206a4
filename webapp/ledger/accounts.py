"""Opening and finding accounts."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from webapp.ledger.arguments import as_json
from webapp.ledger.call import call, call_all
from webapp.ledger.errors import AccountNotFound


@dataclass(frozen=True, kw_only=True)
class Account:
    """Holds credits. Its figures are as of the last write: for what is true now ask `balance`."""

    account_id: int
    external_id: str
    kind: str
    name: str | None
    time_zone: str
    spend_order: str
    overdraft_limit: int
    metadata: dict[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, row: RowMapping) -> "Account":
        return cls(**{field.name: row[field.name] for field in fields(cls)})


_COLUMNS = ", ".join(field.name for field in fields(Account))
_FIND = text(f"SELECT {_COLUMNS} FROM ledger.accounts_v WHERE external_id = :external_id")
_GET = text(f"SELECT {_COLUMNS} FROM ledger.accounts_v WHERE account_id = :account_id")
_OPEN = text(
    f"SELECT created, {_COLUMNS} FROM ledger.open_account(:external_id, :kind, :name, :time_zone,"
    " :overdraft_limit, CAST(:metadata AS jsonb))"
)
_SET_SPEND_ORDER = text("SELECT ledger.set_spend_order(:account_id, :spend_order)")


def open_account(
    session: Session,
    *,
    external_id: str,
    kind: str | None = None,
    name: str | None = None,
    time_zone: str | None = None,
    overdraft_limit: int | None = None,
    metadata: dict[str, Any] | None = None,
) -> tuple[Account, bool]:
    """The account of that name exists and has the given attributes (None leaves an attribute as it is).

    Returns it and whether it was created now. Locks the account's row. Raises InvalidRequest for an external id,
    kind, time zone or limit out of bounds; nothing was written then.
    """
    row = call(
        session,
        _OPEN,
        {
            "external_id": external_id,
            "kind": kind,
            "name": name,
            "time_zone": time_zone,
            "overdraft_limit": overdraft_limit,
            "metadata": None if metadata is None else as_json("metadata", metadata),
        },
    )
    return Account.of(row), bool(row["created"])


def find_account(session: Session, *, external_id: str) -> Account:
    """The account that the product calls `external_id`. Raises AccountNotFound."""
    rows = call_all(session, _FIND, {"external_id": external_id})
    if not rows:
        raise AccountNotFound(external_id=external_id)
    return Account.of(rows[0])


def get_account(session: Session, *, account_id: int) -> Account:
    """The account with our own id. Raises AccountNotFound."""
    rows = call_all(session, _GET, {"account_id": account_id})
    if not rows:
        raise AccountNotFound(account_id=account_id)
    return Account.of(rows[0])


def set_spend_order(session: Session, *, account_id: int, spend_order: str) -> None:
    """Of two grants that expire at the same moment, `free_first` or `paid_first` is drawn first from now on."""
    call(session, _SET_SPEND_ORDER, {"account_id": account_id, "spend_order": spend_order})
