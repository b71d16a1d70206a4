"""What lines of the audit log and approvals are about, with a link to its page."""

from collections.abc import Mapping

from webapp.people.roles import may_open

# subject → the path of its page, where there is one
_PATHS: Mapping[str, str] = {
    "account": "/admin/accounts/{}",
    "purchase": "/admin/purchases/{}",
    "payment": "/admin/payments/{}",
    "subscription": "/admin/subscriptions/{}",
    "invoice": "/admin/invoices/{}",
    "dispute": "/admin/disputes/{}",
    "event": "/admin/events/{}",
    "package": "/admin/packages/{}",
    "plan": "/admin/plans/{}",
    "campaign": "/admin/campaigns/{}",
    "feature": "/admin/features/{}/edit",
    "rate-card": "/admin/rate-card/versions/{}",
    "bulk": "/admin/bulk/{}",
    "approval": "/admin/approvals/{}",
}


def subject_link(subject: str) -> tuple[str, str]:
    """(path, text); the path is empty where there is no page about it."""
    kind, _, key = subject.partition(":")
    return page_of(_PATHS[kind].format(key)) if kind in _PATHS and key else "", subject


def subject_cell(subject: str) -> tuple[str, str] | str:
    """The same as a cell of a list: a link, or the text alone."""
    found = subject_link(subject)
    return found if found[0] else subject


def page_of(path: str) -> str:
    """The path, or nothing where no page answers it, or none that the signed-in person may open."""
    return path if may_open(path) else ""
