"""What lines of the audit log and approvals are about, with a link to its page."""

from collections.abc import Mapping
from urllib.parse import quote

from webapp.people.roles import may_open

# kind of subject → where its page may be
_PATHS: Mapping[str, tuple[str, ...]] = {
    "account": ("/admin/accounts/{}",),
    "approval": ("/admin/approvals/{}",),
    "bulk": ("/admin/bulk/{}",),
    "campaign": ("/admin/campaigns/{}/details",),
    "dispute": ("/admin/disputes/{}",),
    "event": ("/admin/events/{}",),
    "feature": ("/admin/features/{}", "/admin/features/{}/edit"),
    "invoice": ("/admin/invoices/{}",),
    "outbox": ("/admin/jobs/outbox/{}",),
    "package": ("/admin/packages/{}", "/admin/packages/{}/edit"),
    "payment": ("/admin/payments/{}",),
    "plan": ("/admin/plans/{}", "/admin/plans/{}/edit"),
    "purchase": ("/admin/purchases/{}",),
    "rate-card": ("/admin/rate-card/{}", "/admin/rate-card/versions/{}"),
    "subscription": ("/admin/subscriptions/{}",),
}


def subject_link(subject: str) -> tuple[str, str]:
    """(path, text); the path is empty where there is no page about it."""
    kind, _, key = subject.partition(":")
    paths = (page_of(path.format(quote(key, safe=""))) for path in _PATHS.get(kind, ()) if key)
    return next((path for path in paths if path), ""), subject


def subject_cell(subject: str) -> tuple[str, str] | str:
    """The same as a cell of a list: a link, or the text alone."""
    found = subject_link(subject)
    return found if found[0] else subject


def page_of(path: str) -> str:
    """The path, or nothing where no page answers it, or none that the signed-in person may open."""
    return path if may_open(path) else ""
