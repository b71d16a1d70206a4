"""What a period left unspent becomes a grant of its own, up to a cap."""

from datetime import datetime

from sqlalchemy.orm import Session

from webapp.ledger.clock import now
from webapp.ledger.entries import entry, get_grant, grant_by_source_key
from webapp.ledger.errors import InvalidRequest, SourceKeyConflict
from webapp.ledger.writes import Written, expire_account, grant

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
    old = get_grant(session, account_id=account_id, grant_id=grant_id)
    if old.expires_at is None or old.expires_at > now(session):
        raise InvalidRequest("must be a grant that has expired", field="grant_id")
    expire_account(session, account_id=account_id)  # takes the lock, so somebody may have come first
    if known := _find_replay(session, account_id, grant_id, source_key):
        return known
    old = get_grant(session, account_id=account_id, grant_id=grant_id)
    amount = min(cap, old.expired)
    if amount == 0:
        return None
    return grant(
        session,
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
