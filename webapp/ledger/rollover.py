"""What a period left unspent becomes a grant of its own, up to a cap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.ledger.array_text import array_text
from webapp.ledger.batches import MOST_GRANTS, check_count, grant_many
from webapp.ledger.clock import now
from webapp.ledger.entries import GRANT_COLUMNS, Grant, entry, get_grant, grant_by_source_key
from webapp.ledger.errors import EntryNotFound, InvalidRequest, LedgerRefusal, SourceKeyConflict
from webapp.ledger.requests import GrantItem
from webapp.ledger.writes import Written, expire_account, expire_accounts, write_grant

SOURCE = "rollover"


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


def roll_over_many(session: Session, *, asked: Sequence[RollOver]) -> list[Written | LedgerRefusal | None]:
    """Up to 10,000 remainders are carried over as `roll_over` would one by one in this order; an outcome each.

    An outcome is what `roll_over` returns, or the refusal that it raises: a refused one harms no other. The grants are
    there before, none is made by the batch itself. Locks the accounts in the order of their ids. Raises
    InvalidRequest for too many, or for a grant or a key that is named twice; nothing was written then.
    """
    check_count(asked, MOST_GRANTS)
    for field in ("grant_id", "source_key"):
        if len({(one.account_id, getattr(one, field)) for one in asked}) < len(asked):
            raise InvalidRequest("must be named once", field=field)
    outcomes: list[Written | LedgerRefusal | None] = [None] * len(asked)
    going = _settle_known(session, asked, range(len(asked)), outcomes)
    moment = now(session)
    for place, old in list(going.items()):
        try:
            _check_expired(old, now=moment)
        except InvalidRequest as refused:
            outcomes[place] = refused
            del going[place]
    expire_accounts(session, account_ids=sorted({asked[place].account_id for place in going}))
    going = _settle_known(session, asked, list(going), outcomes)  # somebody may have come before the lock
    items = {place: item for place, old in going.items() if (item := asked[place].grant_of(old)) is not None}
    for place, outcome in zip(items, grant_many(session, items=list(items.values())), strict=True):
        outcomes[place] = outcome
    return outcomes


def _settle_known(
    session: Session,
    asked: Sequence[RollOver],
    places: Sequence[int],
    outcomes: list[Written | LedgerRefusal | None],
) -> dict[int, Grant]:
    """Replays and refusals at these places have their outcome; returns the old grants of the others."""
    olds: dict[int, Grant] = {}
    for place, found in zip(places, _look(session, [asked[place] for place in places]), strict=True):
        one = asked[place]
        try:
            one.check()
            if found.names_grant:
                outcomes[place] = _find_replay(session, one.account_id, one.grant_id, one.source_key)
            else:
                olds[place] = found.old_of(one)
        except LedgerRefusal as refused:
            outcomes[place] = refused
    return olds


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What there is before a remainder is carried over: the grant that expired, and whether the key is taken."""

    old: Grant | None
    names_grant: bool

    def old_of(self, asked: RollOver) -> Grant:
        if self.old is None:
            raise EntryNotFound(account_id=asked.account_id, seq=asked.grant_id)
        return self.old


_LOOK = text(
    f"SELECT u.place, g.grant_id IS NOT NULL AS found, k.grant_id IS NOT NULL AS known,"
    f" {', '.join('g.' + name for name in GRANT_COLUMNS.split(', '))}"
    " FROM unnest(CAST(:accounts AS bigint[]), CAST(:grants AS bigint[]), CAST(:keys AS text[]))"
    " WITH ORDINALITY u (account_id, seq, key, place)"
    " LEFT JOIN LATERAL (SELECT * FROM ledger.grants_v v"
    " WHERE v.account_id = u.account_id AND v.grant_id = u.seq OFFSET 0) g ON true"
    " LEFT JOIN LATERAL (SELECT v.grant_id FROM ledger.grants_v v"
    " WHERE v.account_id = u.account_id AND v.source_key = u.key OFFSET 0) k ON true"
    " ORDER BY u.place"
)


def _look(session: Session, asked: Sequence[RollOver]) -> list[_Found]:
    given = {
        "accounts": array_text([one.account_id for one in asked]),
        "grants": array_text([one.grant_id for one in asked]),
        "keys": array_text([one.source_key for one in asked]),
    }
    rows = session.execute(_LOOK, given).mappings()
    return [_Found(old=Grant.of(row) if row["found"] else None, names_grant=row["known"]) for row in rows]


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
