"""What a caller read before and still relies on, checked again in the very statement that writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Holds while the query `sql` returns a row; it is part of our own code, never of what somebody sent.

    So who keeps what was read before (a key, a price) needs no round trip just to see whether it is still true. The
    names of `arguments` must not be those of the write's.
    """

    sql: str
    arguments: Mapping[str, Any]


class ConditionFailed(Exception):
    """What the caller relied on is not so any more; nothing was written."""


def all_of(*conditions: Condition | None) -> Condition | None:
    """Holds while each does; None when there is none."""
    given = [condition for condition in conditions if condition is not None]
    if len(given) < 2:
        return given[0] if given else None
    sql = " AND ".join(f"EXISTS ({condition.sql})" for condition in given)
    arguments = {name: value for condition in given for name, value in condition.arguments.items()}
    return Condition(sql=f"SELECT WHERE {sql}", arguments=arguments)
