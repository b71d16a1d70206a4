"""Monthly periods, counted from their anchor and never from the last one: 31 January, 28 February, 31 March."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from webapp.catalog.validity import add_months

_MONTH = timedelta(days=30, hours=10, minutes=30)  # the average one, near enough to count them by
MONTHS_A_YEAR = 12


@dataclass(frozen=True, kw_only=True)
class Period:
    """The period `number` (0 is the first), from `starts_at` on and until just before `ends_at`, both in UTC."""

    number: int
    starts_at: datetime
    ends_at: datetime


def period_start(anchor: datetime, number: int, time_zone: str) -> datetime:
    """When period `number` begins, in UTC: `number` months after the anchor by the calendar and clock of the zone.

    Where a month lacks the anchor's day, its last day. The time of day stays what it is on the wall when clocks
    change; one that a change skips is moved forward by what was skipped, and of one that comes twice the first is
    meant. Period 0 begins at the anchor itself.
    """
    if number == 0:
        return anchor.astimezone(UTC)
    local = anchor.astimezone(ZoneInfo(time_zone)).replace(fold=0)
    return add_months(local, number).astimezone(UTC)


def period(anchor: datetime, number: int, time_zone: str) -> Period:
    """Period `number`; the next one begins where it ends."""
    return Period(
        number=number,
        starts_at=period_start(anchor, number, time_zone),
        ends_at=period_start(anchor, number + 1, time_zone),
    )


def period_of(anchor: datetime, moment: datetime, time_zone: str) -> Period:
    """The period that `moment` lies in; one before the anchor has a negative number."""
    number = (moment - anchor) // _MONTH
    while period_start(anchor, number, time_zone) > moment:
        number -= 1
    while period_start(anchor, number + 1, time_zone) <= moment:
        number += 1
    return period(anchor, number, time_zone)


def months_between(anchor: datetime, moment: datetime) -> int:
    """How many months lie between two beginnings of periods, whose days and hours may differ a little.

    Stripe and we may clamp the last days of months differently; half a month decides.
    """
    return round((moment - anchor) / _MONTH)


def share_left(*, credits: int, starts_at: datetime, ends_at: datetime, moment: datetime) -> int:
    """`credits` × what is left at `moment` of a period ÷ its length, to the second, rounded half up."""
    whole = max(1, int((ends_at - starts_at).total_seconds()))
    left = min(max(0, int((ends_at - moment).total_seconds())), whole)
    return (2 * credits * left + whole) // (2 * whole)
