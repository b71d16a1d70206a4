"""What a period left unspent becomes a grant of its own, up to a cap."""

from datetime import datetime

from sqlalchemy.orm import Session

from webapp.ledger.clock import now
from webapp.ledger.entries import Grant, entry, get_grant, grant_by_source_key
from webapp.ledger.errors import InvalidRequest, SourceKeyConflict
from webapp.ledger.requests import GrantItem
from webapp.ledger.writes import Written, expire_account, write_grant

SOURCE = "rollover"


def roll_over(
    session: Session,
    *,
    account_id: int,
    grant_id: int,
    cap: int,
    source_key: str,
    actor: str,
    expires_at: datetime | None = None,
    description: str | None = None,
) -> Written | None:
    """What the expired grant had left, at most `cap` credits, is a new grant that is burnt before its like.

    It counts from the moment the old one expired, pays for the same features, has a priority one lower and takes its
    share of what was paid for the old one, rounded half up. None when nothing was left: only what was due is booked
    then. The same `source_key` again gives the first entry, whatever the figures are now. Locks the account. Raises
    InvalidRequest (the grant has not expired, the cap is negative), EntryNotFound (no such grant), SourceKeyConflict
    (that key names a grant that is no rollover of this one), AccountNotFound; nothing was written then.
    """
    if not isinstance(cap, int) or isinstance(cap, bool) or cap < 0:
        raise InvalidRequest("must be a whole number from 0", field="cap")
    if known := _find_replay(session, account_id, grant_id, source_key):
        return known
    _check_expired(get_grant(session, account_id=account_id, grant_id=grant_id), now=now(session))
    expire_account(session, account_id=account_id)  # takes the lock, so somebody may have come first
    if known := _find_replay(session, account_id, grant_id, source_key):
        return known
    old = get_grant(session, account_id=account_id, grant_id=grant_id)
    amount = min(cap, old.expired)
    if amount == 0:
        return None
    item = GrantItem(
        account_id=account_id,
        amount=amount,
        source=SOURCE,
        source_key=source_key,
        actor=actor,
        expires_at=expires_at,
        priority=old.priority - 1,
        effective_at=old.expires_at,
        features=old.features,
        cost_minor=(2 * old.cost_minor * amount + old.amount) // (2 * old.amount),
        cost_currency=old.cost_currency,
        description=old.description if description is None else description,
        occurred_at=old.expires_at,
        about_seq=grant_id,
    )
    return write_grant(session, item)


_OF_ROLLOVERS = {
    "account_id": "bigint",
    "grant_id": "bigint",
    "cap": "bigint",
    "source_key": "text",
    "actor": "text",
    "expires_at": "timestamptz",
    "description": "text",
}


def rollovers_of(rows: str) -> str:
    """SQL that carries over what the rows of `rows` ask for, as `roll_over` would one by one in the order of `item`.

    `rows` names a relation with a column for each argument of `roll_over`, and `item`, which counts them from 1
    without a gap: up to 10,000, none of a grant or a key named twice or with a cap below nothing, and of grants that
    are there before. A row comes back for each: item, way, refusal (null, or the SQLSTATE), message, detail, seq. It
    was carried over where `way` is t; seq is null where nothing was left. Where `way` is s nothing was done: it is to
    be given to `roll_over`, which knows it or refuses it. Locks the accounts in the order of their ids. The caller is
    to `note_changes`.
    """
    lists = ", ".join(f"array_agg(i.{name})::{kind}[] AS {name}" for name, kind in _OF_ROLLOVERS.items())
    return (
        f"SELECT r.item, r.way, r.refusal, r.message, r.detail, r.seq"
        f" FROM (SELECT {lists} FROM (SELECT * FROM {rows} ORDER BY item) i) a"
        f" CROSS JOIN LATERAL ledger.roll_over_many({', '.join('a.' + name for name in _OF_ROLLOVERS)}) r"
    )


def _check_expired(old: Grant, *, now: datetime) -> None:
    if old.expires_at is None or old.expires_at > now:
        raise InvalidRequest("must be a grant that has expired", field="grant_id")


def _find_replay(session: Session, account_id: int, grant_id: int, source_key: str) -> Written | None:
    known = grant_by_source_key(session, account_id=account_id, source_key=source_key)
    if known is None:
        return None
    first = entry(session, account_id=account_id, seq=known.grant_id)
    if known.source != SOURCE or first.about_seq != grant_id:
        raise SourceKeyConflict(
            "the source key names a grant with other content", source_key=source_key, seq=known.grant_id
        )
    return Written(entry=first, replayed=True)
