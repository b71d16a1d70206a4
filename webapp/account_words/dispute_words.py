"""What is said, beside the entry that granted them, of credits whose payment was disputed and not lost.

A freeze writes no entry, so this is where people learn of it, and of its good end.
"""

from collections.abc import Sequence

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from webapp.billing.disputed_grants import DisputedGrant, disputes_of_grants
from webapp.i18n.formats import day, money
from webapp.ledger import Entry


def disputes_in_short(session: Session, entries: Sequence[Entry]) -> dict[int, str]:
    """For lines of the history, by the entry's seq. One statement, however many entries."""
    return {seq: " · ".join(_in_short(one) for one in found) for seq, found in _of(session, entries).items()}


def disputes_in_full(session: Session, entry: Entry) -> list[str]:
    """A paragraph for each dispute of what the entry granted, oldest first."""
    return [_in_full(one) for one in _of(session, [entry]).get(entry.seq, [])]


def _of(session: Session, entries: Sequence[Entry]) -> dict[int, list[DisputedGrant]]:
    grants = [(entry.account_id, entry.seq) for entry in entries if entry.kind in ("purchase", "grant")]
    return {seq: found for (_account, seq), found in disputes_of_grants(session, grants=grants).items()}


def _in_short(found: DisputedGrant) -> str:
    if found.freed_at is None:
        return _("frozen, its payment is disputed")
    return _("dispute decided for the seller on %(day)s, credits free again", day=day(found.freed_at))


def _in_full(found: DisputedGrant) -> str:
    amount, frozen = money(found.amount_minor, found.currency), day(found.frozen_at)
    if found.freed_at is None:
        return _(
            "The payment of %(amount)s for them has been disputed since %(day)s. Until the bank has decided, what is"
            " left of these credits is frozen; if the payment stands, they can be spent again.",
            amount=amount,
            day=frozen,
        )
    return _(
        "The payment of %(amount)s for them was disputed, and what was left of these credits frozen, from %(day)s. On"
        " %(freed)s the dispute was decided for the seller: the payment stands, and the credits are free again.",
        amount=amount,
        day=frozen,
        freed=day(found.freed_at),
    )
