"""A moment as a browser's field for day and time sends it, in the time zone of the person."""

from datetime import UTC, datetime

from flask_login import current_user

from webapp.i18n.locale import known_zone

YEARS = (2000, 2200)


class NotAMoment(Exception):
    """It is no day with a time, or one of a far away century."""


def read_moment(typed: str) -> datetime:
    """`2027-09-01T08:00` of the person's time zone, in UTC. Raises NotAMoment."""
    try:
        written = datetime.fromisoformat(typed.strip())
    except ValueError:
        raise NotAMoment(typed) from None
    if not YEARS[0] <= written.year < YEARS[1]:
        raise NotAMoment(typed)
    zoned = written if written.tzinfo else written.replace(tzinfo=known_zone(current_user.time_zone))
    return zoned.astimezone(UTC)
