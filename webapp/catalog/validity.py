"""How long bought credits are good for."""

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, kw_only=True)
class Validity:
    """`months` calendar months or `days` days from the payment on; for ever where both are None."""

    months: int | None = None
    days: int | None = None

    @property
    def never_ends(self) -> bool:
        return self.months is None and self.days is None

    def ends_at(self, start: datetime, *, time_zone: str) -> datetime | None:
        """The first moment, in UTC, at which credits bought at `start` no longer count; None for never.

        Months are the calendar's in the owner's `time_zone`: 31 August + 6 months is the last of February, at the
        same time of day.
        """
        if self.months is not None:
            return add_months(start.astimezone(ZoneInfo(time_zone)), self.months).astimezone(UTC)
        if self.days is not None:
            return start.astimezone(UTC) + timedelta(days=self.days)
        return None


def add_months(start: datetime, months: int) -> datetime:
    """The same day and time of day `months` later, or the month's last day where that day does not exist."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = start.day if start.day <= 28 else min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)
