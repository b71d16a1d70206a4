"""What the ledger's functions can be given. What they cannot hold is refused before PostgreSQL is asked."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from webapp.ledger.errors import InvalidRequest

_BIGINT = (-(2**63), 2**63 - 1)
_BOUNDS = {"priority": (-(2**31), 2**31 - 1), "limit": (1, 2**31 - 1)}
_FLAGS = frozenset({"partial", "allow_excess"})
# These are in an index, which holds a third of a page at most.
_KEYS = frozenset({"idempotency_key", "source_key", "feature"})
LONGEST_KEY = 500
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True)
_NUL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def checked(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as PostgreSQL takes them: moments in UTC, all else as it is.

    Raises InvalidRequest naming the first that no column holds: a number beyond its type, text with NUL or half a
    character, a moment without a time zone or outside the years 1 to 9999 of UTC.
    """
    return {field: _CHECKS.get(type(value), _checked_other)(field, value) for field, value in arguments.items()}


def checked_column(field: str, values: Sequence[Any]) -> Sequence[Any]:
    """`checked` for the values that many requests have for one field. Raises InvalidRequest if it would for one."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds == {int}:
        numbers = [value for value in values if value is not None]
        _checked_number(field, min(numbers))
        _checked_number(field, max(numbers))
        return values
    if kinds == {str}:
        texts = [value for value in values if value is not None]
        _checked_text("", "".join(texts))
        _checked_text(field, max(texts, key=len))
        return values
    return [_CHECKS.get(type(value), _checked_other)(field, value) for value in values]


def as_json(field: str, value: dict[str, Any]) -> str:
    """The JSON text of what PostgreSQL can keep as jsonb. Raises InvalidRequest for anything else."""
    try:
        # Half a character stays as it is, and is refused with every other text.
        text = _JSON.encode(value)
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest("must be plain JSON", field=field) from None
    if not isinstance(value, dict):
        raise InvalidRequest("must be a JSON object", field=field)
    if "\\u0000" in text and _NUL_IN_JSON.search(text):
        raise InvalidRequest("must not contain NUL", field=field)
    return text


def _checked_text(field: str, value: str) -> str:
    if "\0" in value:
        raise InvalidRequest("must not contain NUL", field=field)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidRequest("must be Unicode text", field=field) from None
    if field in _KEYS and len(value) > LONGEST_KEY:
        raise InvalidRequest(f"must have at most {LONGEST_KEY} characters", field=field)
    return value


def _checked_number(field: str, value: int) -> int:
    low, high = _BOUNDS.get(field, _BIGINT)
    if not low <= value <= high:
        raise InvalidRequest(f"must be a whole number from {low} to {high}", field=field)
    return value


def _checked_flag(field: str, value: bool) -> bool:
    if field not in _FLAGS:
        raise InvalidRequest("must be a whole number", field=field)
    return value


def _refuse_fraction(field: str, _value: Any) -> None:
    raise InvalidRequest("must be a whole number", field=field)


def _checked_moment(field: str, value: datetime) -> datetime:
    if value.utcoffset() is None:
        raise InvalidRequest("must say its time zone", field=field)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidRequest("must lie in the years 1 to 9999 of UTC", field=field) from None


def _checked_list(field: str, value: list[Any]) -> list[str]:
    for item in value:
        if not isinstance(item, str):
            raise InvalidRequest("must be a list of texts", field=field)
        _checked_text(field, item)
    return value


def _checked_other(field: str, value: Any) -> Any:
    """Values of a class made from one of those known, such as an enumeration's; others are left to the driver."""
    for kind, check in _CHECKS.items():
        if isinstance(value, kind):
            return check(field, value)
    return value


def _as_is(_field: str, value: Any) -> Any:
    return value


_CHECKS: dict[type, Callable[[str, Any], Any]] = {
    type(None): _as_is,
    bytes: _as_is,
    bool: _checked_flag,
    int: _checked_number,
    float: _refuse_fraction,
    Decimal: _refuse_fraction,
    str: _checked_text,
    datetime: _checked_moment,
    list: _checked_list,
}
