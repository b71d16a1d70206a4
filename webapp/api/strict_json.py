"""JSON as RFC 8259 means it, and less: what two readers could understand differently is refused by name."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from flask_babel import gettext as _

from webapp.api.problems import Problem, invalid

DEEPEST = 32
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_BEYOND_INTEGERS = 2**63


@dataclass(frozen=True)
class Refused:
    """Stands where a value was that is refused."""

    problem: Problem


Refuse = Callable[[Problem], Any]


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that `raw` is.

    Raises a 400 Problem for anything else: not UTF-8, a byte order mark, NaN and Infinity, a name twice in one
    object, nesting beyond 32 levels, numbers beyond 64 bits, half a surrogate pair, U+0000 (which PostgreSQL's text
    cannot hold).
    """
    text = _text(raw)
    _refuse_deep(raw)
    value = _whole_object(text, refuse=_raise)
    if _may_be_unstorable(text):
        _refuse_unstorable(value, "")
    return value


def read_batch(raw: bytes) -> dict[str, Any]:
    """The JSON object that `raw` is, whose `items` do not harm each other.

    An item with something in it that `read_object` would refuse is replaced by a Refused. Raises a 400 Problem for
    what is no JSON, or refused outside of the items.
    """
    text = _text(raw)
    refused: list[Refused] = []

    def note(problem: Problem) -> Refused:
        refused.append(Refused(problem))
        return refused[-1]

    value = _whole_object(text, refuse=note)
    items = value.get("items")
    if isinstance(items, list) and (refused or _may_be_unstorable(text)):
        value["items"] = [_checked_item(item) for item in items]
    return value


def too_deep() -> Problem:
    return invalid(_("The body is nested deeper than %(deepest)s levels.", deepest=DEEPEST))


def _text(raw: bytes) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise invalid(_("The body must not begin with a byte order mark."))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise invalid(_("The body is not UTF-8.")) from None


def _whole_object(text: str, *, refuse: Refuse) -> dict[str, Any]:
    """The object; where `refuse` returns instead of raising, what it returns stands for what is refused."""
    try:
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, refuse),
            parse_constant=lambda name: refuse(invalid(_("%(name)s is not a JSON number.", name=name))),
            parse_float=lambda digits: _fraction(digits, refuse),
            parse_int=lambda digits: _integer(digits, refuse),
        )
    except json.JSONDecodeError as error:
        raise invalid(
            _("The body is not JSON: line %(line)s, column %(column)s.", line=error.lineno, column=error.colno)
        ) from None
    except RecursionError:
        raise too_deep() from None
    if isinstance(value, Refused):
        raise value.problem
    if not isinstance(value, dict):
        raise invalid(_("The body must be a JSON object."))
    return value


def _raise(problem: Problem) -> NoReturn:
    raise problem


def _may_be_unstorable(text: str) -> bool:
    """The only way in: raw control characters and lone surrogates are no JSON and no UTF-8."""
    return "\\u" in text


def _checked_item(item: Any) -> Any:
    try:
        found = _first_refused(item)
        if found is None:
            _refuse_unstorable(item, "")
    except Problem as problem:
        return Refused(problem)
    except RecursionError:
        return Refused(too_deep())
    return item if found is None else found


def _first_refused(value: Any) -> Refused | None:
    """Objects with something refused in them are a Refused themselves, so only lists are left to look into."""
    if isinstance(value, Refused):
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for one in inner if (found := _first_refused(one)) is not None), None)


def depth_of(value: Any) -> int:
    """How many objects and lists lie in each other, the value itself included."""
    if isinstance(value, dict):
        return 1 + max((depth_of(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth_of(inner) for inner in value), default=0)
    return 0


def _refuse_deep(raw: bytes) -> None:
    if raw.count(b"[") + raw.count(b"{") <= DEEPEST:
        return
    depth = 0
    for token in _TOKENS.finditer(raw):
        first = raw[token.start()]
        depth += (first in b"[{") - (first in b"]}")
        if depth > DEEPEST:
            raise too_deep()


def _object(pairs: list[tuple[str, Any]], refuse: Refuse) -> Any:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if isinstance(value, Refused):
            return value
        if name in found:
            return refuse(invalid(_("“%(name)s” is given twice.", name=_shown(name)), field=_shown(name)))
        found[name] = value
    return found


def _integer(digits: str, refuse: Refuse) -> Any:
    if len(digits) > 20 or not -_BEYOND_INTEGERS <= int(digits) < _BEYOND_INTEGERS:
        return refuse(_too_many_bits(digits))
    return int(digits)


def _fraction(digits: str, refuse: Refuse) -> Any:
    value = float(digits)
    if len(digits) > 64 or math.isinf(value) or (value == 0 and re.search("[1-9]", digits.lower().split("e")[0])):
        return refuse(_too_many_bits(digits))
    return value


def _too_many_bits(digits: str) -> Problem:
    return invalid(_("The number %(number)s… has more than 64 bits.", number=digits[:24]))


def _refuse_unstorable(value: Any, field: str) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise invalid(_("Text must not hold the character U+0000."), field=field)
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise invalid(_("Text must not hold half of a surrogate pair."), field=field)
    elif isinstance(value, dict):
        for name, inner in value.items():
            _refuse_unstorable(name, field or _shown(name))
            _refuse_unstorable(inner, field or _shown(name))
    elif isinstance(value, list):
        for inner in value:
            _refuse_unstorable(inner, field)


def _shown(name: str) -> str:
    """A name from the body, short and printable enough to be quoted in the answer."""
    return "".join(character if character.isprintable() else "�" for character in name[:64])
