"""Figures of before and after, as people read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

from webapp.admin.audit import Figure, Figures
from webapp.admin.role_words import ROLE_WORDS
from webapp.i18n import formats

# Every name that an act puts into before and after has its words here.
NAMES: Mapping[str, object] = {
    "balance": _l("Balance"),
    "available": _l("Available"),
    "held": _l("Reserved"),
    "frozen": _l("Frozen"),
    "debt": _l("Debt"),
    "overdraft_limit": _l("Overdraft limit"),
    "suspended": _l("Suspended"),
    "revoked": _l("Taken back in total"),
    "grant": _l("Grant"),
    "hold": _l("Hold"),
    "entry": _l("Entry"),
    "reason": _l("Reason"),
    "active": _l("Active"),
    "name": _l("Name"),
    "role": _l("Role"),
    "description": _l("Description"),
    "credits": _l("Credits"),
    "prices": _l("Prices"),
    "valid_months": _l("Valid for months"),
    "valid_days": _l("Valid for days"),
    "for_subscribers": _l("For subscribers only"),
    "popular": _l("Popular"),
    "order": _l("Order"),
    "version": _l("Version"),
    "billed": _l("Billed"),
    "credits_per_month": _l("Credits a month"),
    "expiry": _l("Credits expire"),
    "expiry_days": _l("Expire after days"),
    "rollover_cap": _l("Most that rolls over"),
    "trial_days": _l("Days of trial"),
    "trial_credits": _l("Credits of the trial"),
    "grant_priority": _l("Order of burning"),
    "features": _l("Only for"),
    "audience": _l("For whom"),
    "plan": _l("Plan"),
    "accounts": _l("Accounts"),
    "starts_at": _l("Begins"),
    "ends_at": _l("Ends"),
    "confirmed_only": _l("Only when the address is confirmed"),
    "lines": _l("Lines done"),
    "left_out": _l("Lines left out"),
    "credits_granted": _l("Credits granted"),
    "credits_taken": _l("Credits taken"),
    "job": _l("Job"),
    "jobs": _l("Jobs"),
    "rows": _l("Put to work again"),
    "attempts": _l("Attempts"),
    "error": _l("Error"),
    "rate_card": _l("Version of the rate card"),
    "effective_at": _l("In force from"),
    "key": _l("Key"),
    "unit": _l("Unit"),
    "given_back": _l("Given back"),
    "left_of_payment": _l("Left of the payment"),
    "credits_of_payment": _l("Left of its credits"),
    "out_of_reach": _l("Expired before or reserved"),
    "state": _l("State"),
    "person": _l("Person"),
    "act": _l("What"),
    "subject": _l("To what"),
    "seen_from": _l("Seen from"),
    "seen_until": _l("Seen until"),
}

# Values that are words of ours, by the name of their figure.
VALUES: Mapping[str, Mapping[str, object]] = {
    "billed": {
        "never": lazy_pgettext("billed", "never, it is free"),
        "monthly": lazy_pgettext("billed", "each month"),
        "yearly": lazy_pgettext("billed", "each year"),
        "once": lazy_pgettext("billed", "once, for life"),
    },
    "expiry": {
        "period": lazy_pgettext("credits expire", "at the end of the month"),
        "days": lazy_pgettext("credits expire", "after some days"),
        "never": lazy_pgettext("credits expire", "never"),
    },
    "audience": {
        "everyone": lazy_pgettext("for whom", "everybody"),
        "plan": lazy_pgettext("for whom", "who is on a plan"),
        "accounts": lazy_pgettext("for whom", "a list of accounts"),
    },
    "role": {role: words[0] for role, words in ROLE_WORDS.items()},
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
        Pair(
            name=name,
            label=str(NAMES.get(name, name)),
            before=say_value(name, before.get(name)),
            after=say_value(name, after.get(name)),
        )
        for name in names
    ]


def say_value(name: str, value: Figure | Any) -> str:
    """The figure of that name in the reader's language."""
    words = VALUES.get(name, {})
    return str(words[value]) if isinstance(value, str) and value in words else say(value)


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
