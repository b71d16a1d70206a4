"""Durations on the command line: 90s 15m 2h 31d."""

import re
from datetime import timedelta
from typing import Any

import click

Duration = timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=36_500)


class DurationType(click.ParamType[timedelta]):
    """A whole number with its unit, more than nothing and at most a hundred years."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"([0-9]{1,10})([smhd])", str(value).strip())
        try:
            length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta(0)
        except OverflowError:
            length = timedelta(0)
        if not timedelta(0) < length <= LONGEST:
            self.fail(f"{value!r} is no duration; write for example 90s, 15m, 2h or 31d.", param, ctx)
        return length


DURATION = DurationType()
