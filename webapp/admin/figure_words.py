"""Figures of before and after, as people read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from webapp.admin.audit import Figure, Figures
from webapp.i18n import formats

# Every name that an act puts into before and after has its words here.
NAMES: Mapping[str, object] = {
    "balance": _l("Balance"),
    "available": _l("Available"),
    "held": _l("Reserved"),
    "frozen": _l("Frozen"),
    "debt": _l("Debt"),
    "overdraft_limit": _l("Overdraft limit"),
    "reason": _l("Reason"),
    "active": _l("Active"),
    "name": _l("Name"),
    "role": _l("Role"),
}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One figure before and after, as texts."""

    name: str
    label: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after


def beside(before: Figures, after: Figures) -> list[Pair]:
    """The figures of both, in the order of `after`, then those that only `before` has."""
    names = [*after, *(name for name in before if name not in after)]
    return [
        Pair(name=name, label=str(NAMES.get(name, name)), before=say(before.get(name)), after=say(after.get(name)))
        for name in names
    ]


def say(value: Figure | Any) -> str:
    """A figure in the reader's language; nothing is a dash."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, int):
        return formats.credits_number(value)
    if isinstance(value, dict) and set(value) == {"minor", "currency"}:
        return formats.money(value["minor"], value["currency"])
    if isinstance(value, dict) and set(value) == {"at"}:
        return formats.moment(datetime.fromisoformat(value["at"]))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {say(one)}" for name, one in value.items()) or "–"
    if isinstance(value, list):
        return ", ".join(say(one) for one in value) or "–"
    return str(value)
