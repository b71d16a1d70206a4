"""What a period left unspent becomes a grant of its own, up to a cap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from webapp.ledger.array_text import array_text
from webapp.ledger.batches import MOST_GRANTS, check_count
from webapp.ledger.call import note_changes
from webapp.ledger.clock import now
from webapp.ledger.entries import Grant, entry, get_grant, grant_by_source_key
from webapp.ledger.errors import InvalidRequest, LedgerRefusal, SourceKeyConflict, refusal_for
from webapp.ledger.requests import GrantItem
from webapp.ledger.writes import Written, expire_account, write_grant

SOURCE = "rollover"
MOST = 10**15  # credits: no grant has more


@dataclass(frozen=True, kw_only=True, slots=True)
class RollOver:
    """One remainder to carry over; `roll_over` says what its fields mean."""

    account_id: int
    grant_id: int
    cap: int
    source_key: str
    actor: str
    expires_at: datetime | None = None
    description: str | None = None

    def check(self) -> None:
        """Raises InvalidRequest for a cap below nothing."""
        if not isinstance(self.cap, int) or isinstance(self.cap, bool) or self.cap < 0:
            raise InvalidRequest("must be a whole number from 0", field="cap")

    def grant_of(self, old: Grant) -> GrantItem | None:
        """What carries on the grant that has expired; None when nothing was left of it."""
        amount = min(self.cap, old.expired)
        if amount == 0:
            return None
        return GrantItem(
            account_id=self.account_id,
            amount=amount,
            source=SOURCE,
            source_key=self.source_key,
            actor=self.actor,
            expires_at=self.expires_at,
            priority=old.priority - 1,
            effective_at=old.expires_at,
            features=old.features,
            cost_minor=(2 * old.cost_minor * amount + old.amount) // (2 * old.amount),
            cost_currency=old.cost_currency,
            description=old.description if self.description is None else self.description,
            occurred_at=old.expires_at,
            about_seq=self.grant_id,
        )


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
    asked = RollOver(
        account_id=account_id,
        grant_id=grant_id,
        cap=cap,
        source_key=source_key,
        actor=actor,
        expires_at=expires_at,
        description=description,
    )
    asked.check()
    if known := _find_replay(session, account_id, grant_id, source_key):
        return known
    _check_expired(get_grant(session, account_id=account_id, grant_id=grant_id), now=now(session))
    expire_account(session, account_id=account_id)  # takes the lock, so somebody may have come first
    if known := _find_replay(session, account_id, grant_id, source_key):
        return known
    item = asked.grant_of(get_grant(session, account_id=account_id, grant_id=grant_id))
    return None if item is None else write_grant(session, item)


_ROLL_OVER_MANY = text(
    "SELECT item, way, refusal, message, detail, seq FROM ledger.roll_over_many(CAST(:account_ids AS bigint[]),"
    " CAST(:grant_ids AS bigint[]), CAST(:caps AS bigint[]), CAST(:source_keys AS text[]), CAST(:actors AS text[]),"
    " CAST(:expires_ats AS timestamptz[]), CAST(:descriptions AS text[]))"
)


def roll_over_many(session: Session, *, asked: Sequence[RollOver]) -> list[int | LedgerRefusal | None]:
    """Up to 10,000 remainders are carried over as `roll_over` would one by one in this order; an outcome each.

    An outcome is the seq of the entry that `roll_over` returns, or the refusal that it raises: a refused one harms no
    other. The grants are there before, none is made by the batch itself. Locks the accounts in the order of their ids.
    Raises InvalidRequest for too many, or for a grant or a key that is named twice; nothing was written then.
    """
    check_count(asked, MOST_GRANTS)
    for field in ("grant_id", "source_key"):
        if len({(one.account_id, getattr(one, field)) for one in asked}) < len(asked):
            raise InvalidRequest("must be named once", field=field)
    outcomes: list[int | LedgerRefusal | None] = [None] * len(asked)
    together: list[int] = []
    for place, one in enumerate(asked):
        try:
            one.check()
            together.append(place)
        except InvalidRequest as refused:
            outcomes[place] = refused
    for row in _roll_over_together(session, [asked[place] for place in together]):
        place = together[row.item - 1]
        if row.way == "s":
            outcomes[place] = _roll_over_singly(session, asked[place])
        elif row.refusal is not None:
            outcomes[place] = refusal_for(row.refusal, row.message, row.detail)
        else:
            outcomes[place] = row.seq
    return outcomes


def _roll_over_together(session: Session, asked: Sequence[RollOver]) -> Sequence[Row[Any]]:
    if not asked:
        return []
    note_changes(session, [one.account_id for one in asked])
    given = {
        "account_ids": array_text([one.account_id for one in asked]),
        "grant_ids": array_text([one.grant_id for one in asked]),
        "caps": array_text([min(one.cap, MOST) for one in asked]),
        "source_keys": array_text([one.source_key for one in asked]),
        "actors": array_text([one.actor for one in asked]),
        "expires_ats": array_text([one.expires_at for one in asked]),
        "descriptions": array_text([one.description for one in asked]),
    }
    return session.execute(_ROLL_OVER_MANY, given).all()


def _roll_over_singly(session: Session, one: RollOver) -> int | LedgerRefusal | None:
    """A replay, or what is refused before anything is written."""
    try:
        written = roll_over(
            session,
            account_id=one.account_id,
            grant_id=one.grant_id,
            cap=one.cap,
            source_key=one.source_key,
            actor=one.actor,
            expires_at=one.expires_at,
            description=one.description,
        )
    except LedgerRefusal as refused:
        return refused
    return None if written is None else written.entry.seq


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
