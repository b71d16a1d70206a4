"""What a line of a charge's arithmetic says in words beside its figures."""

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from webapp.i18n.formats import credits_number


def whole(line: Mapping[str, Any], name: str) -> int | None:
    """The line's figure of that name, where it is one."""
    value = line.get(name)
    return value if type(value) is int else None


def note_of(line: Mapping[str, Any]) -> str:
    """Which units the line is about and how it was rounded; empty where the figures say all."""
    minimum = whole(line, "minimum")
    if minimum is not None:
        words = {"number": credits_number(minimum)}
        return ngettext(
            "up to the minimum of %(number)s credit", "up to the minimum of %(number)s credits", minimum, **words
        )
    free = whole(line, "free")
    if free is not None:
        return ", ".join(note for note in (_free(line, free), _choice(line)) if note)
    return ", ".join(note for note in (_dimension(line), _units(line), _rounding(line), _choice(line)) if note)


def _free(line: Mapping[str, Any], free: int) -> str:
    words = {"free": credits_number(free), "used": credits_number(whole(line, "used") or 0)}
    if line.get("per") == "day":
        return _("of %(free)s free each day, %(used)s used before", **words)
    return _("of %(free)s free each month, %(used)s used before", **words)


def _dimension(line: Mapping[str, Any]) -> str:
    """The name as the price has it: a word of the product's, which nobody translates."""
    name = line.get("dimension")
    return name if isinstance(name, str) else ""


def _choice(line: Mapping[str, Any]) -> str:
    """By which choices this price was the one: `model: large`."""
    when = line.get("when")
    return ", ".join(f"{name}: {value}" for name, value in when.items()) if isinstance(when, dict) else ""


def _units(line: Mapping[str, Any]) -> str:
    model = line.get("model")
    if model == "flat":
        return _("whatever the quantity")
    if model == "package":
        return _packages(line)
    first, last = whole(line, "from"), whole(line, "up_to")
    if model not in ("graduated", "volume") or first is None:
        return ""
    start = credits_number(first)
    if last is None:
        if model == "volume":
            return _("all at the price from %(first)s on", first=start)
        return _("number %(first)s and further", first=start)
    if model == "volume":
        return _("all at the price for %(first)s to %(last)s", first=start, last=credits_number(last))
    return _("number %(first)s to %(last)s", first=start, last=credits_number(last))


def _packages(line: Mapping[str, Any]) -> str:
    packages, size = whole(line, "packages"), whole(line, "unit_size")
    if packages is None or size is None:
        return ""
    words = {"number": credits_number(packages), "size": credits_number(size)}
    return ngettext("%(number)s package of up to %(size)s", "%(number)s packages of up to %(size)s", packages, **words)


def _rounding(line: Mapping[str, Any]) -> str:
    if line.get("rounding") == "up":
        return _("rounded up")
    return _("rounded to the nearest credit") if line.get("rounding") == "half_up" else ""
