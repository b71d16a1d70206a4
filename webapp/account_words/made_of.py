"""What a balance is made of, added up: by where the credits came from, and by when they expire."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, tzinfo

from flask_babel import gettext as _

from webapp.ledger import Grant

PLAN_SOURCES = ("subscription", "plan", "rollover")
MOST_DAYS = 4


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Credits by source, the most first, and by expiry, the soonest first; the last of those may stand for all later
    ones (`at` None), `never` for those that have no end."""

    by_source: list[tuple[str, int]]
    by_expiry: list[tuple[date | None, int]]
    never: int


def add_up(grants: Sequence[Grant], *, zone: tzinfo) -> Sums | None:
    """The sums of several grants, by days in `zone`; None where one line says it all."""
    if len(grants) < 2:
        return None
    sources: Counter[str] = Counter()
    ends: Counter[date] = Counter()
    never = 0
    for grant in grants:
        sources[_kind_of(grant)] += grant.remaining
        if grant.expires_at is None:
            never += grant.remaining
        else:
            ends[grant.expires_at.astimezone(zone).date()] += grant.remaining
    soonest = sorted(ends)
    by_expiry: list[tuple[date | None, int]] = [(at, ends[at]) for at in soonest[:MOST_DAYS]]
    later = sum(ends[at] for at in soonest[MOST_DAYS:])
    return Sums(
        by_source=[(_label(kind), amount) for kind, amount in sources.most_common()],
        by_expiry=[*by_expiry, (None, later)] if later else by_expiry,
        never=never,
    )


def _kind_of(grant: Grant) -> str:
    if grant.source == "purchase":
        return "bought"
    return "plan" if grant.source in PLAN_SOURCES else "given"


def _label(kind: str) -> str:
    labels = {"bought": _("Bought"), "plan": _("From plans"), "given": _("Given to you")}
    return labels[kind]
