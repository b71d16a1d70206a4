"""Times as RFC 3339 writes them, and nothing else."""

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt](?P<time>\d\d:\d\d:\d\d)(?P<fraction>\.\d{1,9})?(?P<offset>[Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)


def read_time(written: str) -> datetime:
    """The moment, in UTC, to the microsecond. Raises ValueError for anything but an RFC 3339 date-time."""
    found = _RFC3339.fullmatch(written)
    if found is None:
        raise ValueError("not an RFC 3339 date-time")
    offset = "+00:00" if found["offset"] in "Zz" else found["offset"]
    fraction = (found["fraction"] or "")[:7]
    try:
        return datetime.fromisoformat(f"{found['date']}T{found['time']}{fraction}{offset}").astimezone(UTC)
    except OverflowError:
        raise ValueError("outside of the years 1 to 9999") from None


def write_time(moment: datetime) -> str:
    """The moment in UTC, ending in Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
