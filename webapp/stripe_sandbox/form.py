"""Decodes the nested form encoding of Stripe's API: `a[b][0][c]=d`, `a[]=b`."""

import re
from typing import Union
from urllib.parse import parse_qsl

from webapp.stripe_sandbox.errors import StripeError, invalid

Nested = Union[str, dict[str, "Nested"]]  # noqa: UP007 - `|` cannot name what is not defined yet

MAX_FIELDS = 2_000
MAX_DEPTH = 10
NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")


def decode_form(encoded: bytes) -> dict[str, Nested]:
    """The parameters as nested dicts; lists become dicts with the keys "0", "1", ….

    Raises StripeError (400) for what is not UTF-8, holds NUL, is nested too deeply, or uses one name both
    for a value and for an object.
    """
    try:
        pairs = parse_qsl(encoded.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise StripeError("Invalid request: the parameters are not valid UTF-8.") from None
    except ValueError:
        raise StripeError(f"Invalid request: more than {MAX_FIELDS} parameters.") from None
    params: dict[str, Nested] = {}
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise StripeError("Invalid request: parameters may not hold NUL characters.")
        _put(params, _path_of(name), value, name=name)
    return params


def _path_of(name: str) -> list[str]:
    match = NAME.match(name)
    if match is None:
        return [name]
    path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
    if len(path) > MAX_DEPTH:
        raise invalid("Invalid request: parameters are nested too deeply.", param=match[1])
    return path


def _put(params: dict[str, Nested], path: list[str], value: str, *, name: str) -> None:
    at = params
    for step in path[:-1]:
        inner = at.setdefault(step or str(len(at)), {})
        if isinstance(inner, str):
            raise invalid("Invalid object", param=name)
        at = inner
    last = path[-1] or str(len(at))
    if isinstance(at.get(last), dict):
        raise invalid("Invalid object", param=name)
    at[last] = value
