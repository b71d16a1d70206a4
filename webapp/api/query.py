"""Query parameters: declared once, for reading and for the OpenAPI document."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flask import request
from flask_babel import gettext as _

from webapp.api.problems import Problem, invalid
from webapp.api.times import read_time


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter that a call understands; all are optional."""

    name: str
    kind: Literal["integer", "time", "text", "choice"]
    about: str
    default: int | None = None
    low: int = 1
    high: int = 10**18
    choices: tuple[str, ...] = ()


def read_query(parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """The value of each parameter, None where it is absent. Raises 400 naming what is unknown, twice or malformed."""
    known = {parameter.name: parameter for parameter in parameters}
    for name, values in request.args.lists():
        shown = name[:64]
        if name not in known:
            raise invalid(_("The query parameter “%(name)s” is not known here.", name=shown), field=shown)
        if len(values) > 1:
            raise invalid(_("“%(name)s” is given twice.", name=shown), field=shown)
    return {
        name: parameter.default if name not in request.args else _read(parameter, request.args[name])
        for name, parameter in known.items()
    }


def _read(parameter: Parameter, written: str) -> int | str | datetime:
    name = parameter.name
    if parameter.kind == "integer":
        if not re.fullmatch(r"\d{1,18}", written, re.ASCII) or not parameter.low <= int(written) <= parameter.high:
            raise _bad(
                name,
                _(
                    "“%(name)s” must be a whole number from %(low)s to %(high)s.",
                    name=name,
                    low=parameter.low,
                    high=parameter.high,
                ),
            )
        return int(written)
    if parameter.kind == "time":
        try:
            return read_time(written)
        except ValueError:
            text = _("“%(field)s” must be a time such as 2026-11-21T08:00:00Z (RFC 3339).", field=name)
            raise _bad(name, text) from None
    if parameter.kind == "choice" and written not in parameter.choices:
        choices = ", ".join(parameter.choices)
        raise _bad(name, _("“%(field)s” must be one of: %(choices)s.", field=name, choices=choices))
    if "\x00" in written or not 1 <= len(written) <= 255:
        raise _bad(name, _("“%(field)s” must be 1 to 255 characters.", field=name))
    return written


def _bad(name: str, detail: str) -> Problem:
    return invalid(detail, field=name)
