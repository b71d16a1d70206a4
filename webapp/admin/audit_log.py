"""/admin/audit-log: what was done here, by whom and why. It is read, and never edited."""

from collections.abc import Mapping

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from webapp.admin.audit import AuditLine
from webapp.admin.listing import Column, Filter, Listing, Rows, Sort, list_csv, list_page
from webapp.people.roles import require_role

pages = Blueprint("admin_audit_log", __name__)


def _selection(values: Mapping[str, str]) -> Rows:
    statement: Rows = select(
        AuditLine.id, AuditLine.at, AuditLine.who, AuditLine.act, AuditLine.subject, AuditLine.reason
    )
    if "who" in values:
        statement = statement.where(AuditLine.who == values["who"])
    if "act" in values:
        statement = statement.where(AuditLine.act == values["act"])
    if "subject" in values:
        statement = statement.where(AuditLine.subject == values["subject"])
    return statement


LISTING = Listing(
    key="audit-log",
    title=_l("Audit log"),
    path="/admin/audit-log",
    id=AuditLine.id,
    selection=_selection,
    columns=(
        Column(key="at", label=_l("Time"), show=lambda row: row.at, kind="moment"),
        Column(key="who", label=_l("Who"), show=lambda row: row.who),
        Column(key="act", label=_l("What"), show=lambda row: row.act, kind="code"),
        Column(key="subject", label=_l("To what"), show=lambda row: row.subject, kind="code"),
        Column(key="reason", label=_l("Reason"), show=lambda row: row.reason),
    ),
    sorts=(Sort(key="newest", label=_l("Newest first"), by=AuditLine.id),),
    filters=(
        Filter(key="who", label=_l("Who")),
        Filter(key="act", label=_l("What")),
        Filter(key="subject", label=_l("To what")),
    ),
)


@pages.get(LISTING.path)
@require_role("finance")
def audit_log() -> ResponseReturnValue:
    """The newest lines, by whom or about what is asked for."""
    return list_page(LISTING)


@pages.get(f"{LISTING.path}.csv")
@require_role("finance")
def audit_log_csv() -> Response:
    """The same as CSV."""
    return list_csv(LISTING)
