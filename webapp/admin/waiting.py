"""What waits for a person: each kind counted up to a bound, with the oldest one's time and where it is looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.admin.navigation import SECTIONS
from webapp.billing.proofs import Proof
from webapp.i18n.formats import credits_number
from webapp.job_runs import JobRun
from webapp.layout.navigation import page_exists

# Nobody needs to know exactly how many more there are.
MOST_COUNTED = 100
DUE_SOON = timedelta(days=3)

_ROWS = {
    "events": "SELECT received_at AS at FROM stripe_events WHERE state = 'parked'",
    "outbox": "SELECT parked_at AS at FROM outbox WHERE parked_at IS NOT NULL AND done_at IS NULL",
    "purchases": "SELECT created_at AS at FROM purchases WHERE state = 'parked'",
    "orders": "SELECT created_at AS at FROM plan_orders WHERE state = 'parked'",
    "disputes": "SELECT coalesce(evidence_due_at, opened_at) AS at FROM disputes WHERE state IN ('open', 'parked')",
    "approvals": "SELECT asked_at AS at FROM approvals WHERE decision IS NULL",
    "past_due": "SELECT period_starts_at AS at FROM subscriptions WHERE status = 'past_due'",
}
_COUNTED = text(
    " UNION ALL ".join(
        f"SELECT '{kind}' AS kind, count(*) AS number, min(at) AS at FROM ({rows} LIMIT {MOST_COUNTED}) {kind}"  # noqa: S608 - constants
        for kind, rows in _ROWS.items()
    )
)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One kind: how many, what to say, where to go; `bad` where money or the books are at stake."""

    kind: str
    number: int
    label: str
    at: datetime | None
    href: str
    bad: bool


def read_waiting(
    session: Session,
    *,
    role: str,
    proof: Proof | None,
    runs: Mapping[str, JobRun],
    failed_jobs: int,
    now: datetime,
) -> list[Waiting]:
    """What waits, of what this role may open, in the order in which it is worth a look."""
    counted = {row.kind: (row.number, row.at) for row in session.execute(_COUNTED)}
    if proof is not None:
        counted["findings"] = (proof.findings, proof.finished_at)
    failed = [run for run in runs.values() if run.outcome == "failed"]
    counted["failed"] = (max(failed_jobs, len(failed)), min((run.started_at for run in failed), default=None))
    reconciled = runs.get("reconcile_stripe")
    if reconciled is not None:
        counted["reconciled"] = (int(reconciled.counts.get("parked", 0)), reconciled.finished_at)
    found = []
    for kind, (path, query, bad, label) in _KINDS.items():
        number, at = counted.get(kind, (0, None))
        if not number or role not in ("owner", *SECTIONS[path][1]):
            continue
        href = f"{path}{query}" if page_exists(path) else ""
        bad = bad or (kind == "disputes" and at is not None and at - now < DUE_SOON)
        found.append(Waiting(kind=kind, number=number, label=label(number), at=at, href=href, bad=bad))
    return sorted(found, key=lambda one: not one.bad)


def _shown(number: int) -> str:
    return f"{credits_number(number)}+" if number >= MOST_COUNTED else credits_number(number)


def _findings(number: int) -> str:
    words: str = ngettext(
        "The last proof found %(number)s lie in the ledger",
        "The last proof found %(number)s lies in the ledger",
        number,
        number=credits_number(number),
    )
    return words


def _failed(number: int) -> str:
    words: str = ngettext("%(number)s job failed", "%(number)s jobs failed", number, number=_shown(number))
    return words


def _outbox(number: int) -> str:
    words: str = ngettext(
        "%(number)s thing to do was set aside after many attempts",
        "%(number)s things to do were set aside after many attempts",
        number,
        number=_shown(number),
    )
    return words


def _events(number: int) -> str:
    words: str = ngettext(
        "%(number)s Stripe event was set aside",
        "%(number)s Stripe events were set aside",
        number,
        number=_shown(number),
    )
    return words


def _purchases(number: int) -> str:
    words: str = ngettext(
        "%(number)s purchase differs from its payment",
        "%(number)s purchases differ from their payments",
        number,
        number=_shown(number),
    )
    return words


def _orders(number: int) -> str:
    words: str = ngettext(
        "%(number)s order of a plan differs from its payment",
        "%(number)s orders of plans differ from their payments",
        number,
        number=_shown(number),
    )
    return words


def _reconciled(number: int) -> str:
    words: str = ngettext(
        "The last comparison with Stripe left %(number)s difference",
        "The last comparison with Stripe left %(number)s differences",
        number,
        number=credits_number(number),
    )
    return words


def _disputes(number: int) -> str:
    words: str = ngettext("%(number)s dispute is open", "%(number)s disputes are open", number, number=_shown(number))
    return words


def _approvals(number: int) -> str:
    words: str = ngettext(
        "%(number)s act waits for a second person",
        "%(number)s acts wait for a second person",
        number,
        number=_shown(number),
    )
    return words


def _past_due(number: int) -> str:
    words: str = ngettext("%(number)s plan is past due", "%(number)s plans are past due", number, number=_shown(number))
    return words


# kind → (where it is looked at, its query, whether it is bad, words)
_KINDS: Mapping[str, tuple[str, str, bool, Callable[[int], str]]] = {
    "findings": ("/admin/proof", "", True, _findings),
    "failed": ("/admin/jobs", "#failed", True, _failed),
    "outbox": ("/admin/jobs", "#outbox", True, _outbox),
    "events": ("/admin/events", "?state=parked", True, _events),
    "purchases": ("/admin/purchases", "?state=parked", True, _purchases),
    "orders": ("/admin/orders", "?state=parked", True, _orders),
    "reconciled": ("/admin/events", "?state=parked", True, _reconciled),
    "disputes": ("/admin/disputes", "?state=waiting&sort=due", False, _disputes),
    "approvals": ("/admin/approvals", "", False, _approvals),
    "past_due": ("/admin/subscriptions", "?status=past_due", False, _past_due),
}


def time_words(one: Waiting, *, now: datetime) -> str:
    """What the time beside it means."""
    if one.at is None:
        return ""
    words: str = _("answer due") if one.kind == "disputes" and one.at >= now else _("since")
    return words
