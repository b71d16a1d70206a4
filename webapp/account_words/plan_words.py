"""Why a plan gave credits, and what became of those that were left, in words that the one who is on it understands."""

from collections.abc import Callable, Sequence

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.billing.entitlement import EntitlementPeriod
from webapp.billing.left_over import carried
from webapp.i18n.formats import credits_number
from webapp.ledger import Entry

_MOST = 2**31 - 1


def plan_cause(entry: Entry) -> str:
    """Why a plan granted it, as billing wrote it down: month, trial or change; empty where no plan did."""
    kept = entry.metadata or {}
    if entry.kind != "grant" or type(kept.get("entitlement")) is not int:
        return ""
    cause = kept.get("cause")
    return cause if cause in ("month", "trial", "change") else ""


def plan_detail(cause: str) -> str:
    """For a line of the history."""
    if cause == "trial":
        return _("Credits of the trial")
    return _("Difference after the change of plan") if cause == "change" else _("Credits of the month")


def plan_story(cause: str, *, plan: str) -> str:
    """The whole story in a sentence or two; `plan` is its name in the reader's language."""
    if cause == "trial":
        return _("They came with the free trial of your plan “%(plan)s”.", plan=plan)
    if cause == "change":
        return _(
            "You changed to “%(plan)s”: its credits for the time from then on, less those that the plan before it had"
            " given for the same time.",
            plan=plan,
        )
    return _("They are the month’s credits of your plan “%(plan)s”.", plan=plan)


def carried_over_to(session: Session, *, account_id: int, grant_id: int) -> Entry | None:
    """The entry by which what this grant of a plan had left was carried over; None where nothing was."""
    kept = ledger.entry(session, account_id=account_id, seq=grant_id).metadata or {}
    key = (kept.get("entitlement"), kept.get("period"))
    if not all(type(number) is int and abs(number) <= _MOST for number in key):
        return None
    period = session.get(EntitlementPeriod, key)
    if period is None or (period.account_id, period.grant_id) != (account_id, grant_id) or period.rolled_into is None:
        return None
    return ledger.entry(session, account_id=account_id, seq=period.rolled_into)


def what_became_of_it(session: Session, entries: Sequence[Entry], *, named: Callable[[Entry], str]) -> dict[int, str]:
    """What the history says of credits of a plan that expired, by the entry's seq; `named` is what they are called.

    Nothing of those of a month that were simply lost. One statement, however many entries.
    """
    ended = [entry for entry in entries if entry.kind == "expire" and entry.about_seq is not None]
    grants = [(entry.account_id, entry.about_seq) for entry in ended if entry.about_seq is not None]
    on, before = carried(session, grants=grants)
    found = {}
    for entry in ended:
        grant = (entry.account_id, entry.about_seq or 0)
        if grant in on:
            found[entry.seq] = f"{named(entry)} · {_how_many(on[grant], of=-entry.amount)}"
        elif grant in before:
            found[entry.seq] = carried_over(named(entry))
    return found


def carried_over(name: str) -> str:
    """What credits called `name` are called once a month has handed them on."""
    return _("%(grant)s, carried over", grant=name)


def _how_many(amount: int, *, of: int) -> str:
    if amount >= of:
        return _("all of them carried over")
    return ngettext(
        "%(number)s of them carried over",
        "%(number)s of them carried over",
        amount,
        number=credits_number(amount),
    )


def carried_over_words(amount: int) -> str:
    """How many of the credits that expired go on."""
    return ngettext(
        "%(number)s credit of them was carried over into the next month.",
        "%(number)s credits of them were carried over into the next month.",
        amount,
        number=credits_number(amount),
    )
