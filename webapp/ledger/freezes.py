"""Keeping what is left of a grant from being spent while its payment is disputed."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.ledger.call import call, note_change

_FREEZE = text("SELECT ledger.freeze(:account_id, :grant_id, :reference, :actor, :reason) AS changed")
_UNFREEZE = text("SELECT ledger.unfreeze(:account_id, :grant_id, :reference, :actor) AS changed")
_OPEN = text(
    "SELECT DISTINCT ON (grant_id) grant_id, reason FROM ledger.freezes_v"
    " WHERE account_id = :account_id AND unfrozen_at IS NULL ORDER BY grant_id, number"
)


def freeze(session: Session, *, account_id: int, grant_id: int, reference: str, actor: str, reason: str = "") -> bool:
    """What the grant has left pays for nothing until this freeze, and any other of it, is lifted.

    `reference` names what it is frozen for, such as a dispute. It still expires, and holds keep what they reserved.
    Returns whether that is new: a repetition changes nothing. Locks the account. Raises EntryNotFound (no such
    grant), AccountNotFound, InvalidRequest; nothing was written then.
    """
    note_change(session, account_id)
    given = {
        "account_id": account_id, "grant_id": grant_id, "reference": reference, "actor": actor, "reason": reason
    }  # fmt: skip
    return bool(call(session, _FREEZE, given)["changed"])


def unfreeze(session: Session, *, account_id: int, grant_id: int, reference: str, actor: str) -> bool:
    """The freeze of that name is lifted; returns whether there was one. Locks the account.

    Raises EntryNotFound (no such grant), AccountNotFound; nothing was written then.
    """
    note_change(session, account_id)
    given = {"account_id": account_id, "grant_id": grant_id, "reference": reference, "actor": actor}
    return bool(call(session, _UNFREEZE, given)["changed"])


def frozen_for(session: Session, *, account_id: int) -> dict[int, str]:
    """Why grants of the account are frozen: the reason of the oldest open freeze of each, by grant id."""
    rows = session.execute(_OPEN, {"account_id": account_id}).all()
    return {row.grant_id: row.reason for row in rows}
