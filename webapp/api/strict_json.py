"""JSON as RFC 8259 means it, and less: what two readers could understand differently is refused by name."""

import json
import math
import re
from typing import Any, NoReturn

from flask_babel import gettext as _

from webapp.api.problems import Problem, invalid

DEEPEST = 32
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_BEYOND_INTEGERS = 2**63


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that `raw` is.

    Raises a 400 Problem for anything else: not UTF-8, a byte order mark, NaN and Infinity, a name twice in one
    object, nesting beyond 32 levels, numbers beyond 64 bits, half a surrogate pair, U+0000 (which PostgreSQL's text
    cannot hold).
    """
    if raw.startswith(b"\xef\xbb\xbf"):
        raise invalid(_("The body must not begin with a byte order mark."))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise invalid(_("The body is not UTF-8.")) from None
    _refuse_deep(raw)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_fraction,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise invalid(
            _("The body is not JSON: line %(line)s, column %(column)s.", line=error.lineno, column=error.colno)
        ) from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(value, dict):
        raise invalid(_("The body must be a JSON object."))
    if "\\u" in text:  # the only way in: raw control characters and lone surrogates are no JSON and no UTF-8
        _refuse_unstorable(value, "")
    return value


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
            raise _too_deep()


def _too_deep() -> Problem:
    return invalid(_("The body is nested deeper than %(deepest)s levels.", deepest=DEEPEST))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise invalid(_("“%(name)s” is given twice.", name=_shown(name)), field=_shown(name))
        found[name] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise invalid(_("%(name)s is not a JSON number.", name=name))


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -_BEYOND_INTEGERS <= int(digits) < _BEYOND_INTEGERS:
        raise invalid(_("The number %(number)s… has more than 64 bits.", number=digits[:24]))
    return int(digits)


def _fraction(digits: str) -> float:
    value = float(digits)
    if len(digits) > 64 or math.isinf(value) or (value == 0 and re.search("[1-9]", digits.lower().split("e")[0])):
        raise invalid(_("The number %(number)s… has more than 64 bits.", number=digits[:24]))
    return value


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
