"""/admin/audit-log: what was done here, by whom and why. It is read, and never edited."""

from collections.abc import Mapping

from flask import Blueprint, Response, abort, render_template
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy import false, select

from webapp.admin import figure_words
from webapp.admin.act_words import act_choices, act_words
from webapp.admin.audit import AuditLine
from webapp.admin.listing import Column, Filter, Listing, Rows, Sort, list_csv, list_page
from webapp.admin.subjects import page_of, subject_cell, subject_link
from webapp.admin.whose import account_named
from webapp.database import unit_of_work
from webapp.people.roles import require_role

pages = Blueprint("admin_audit_log", __name__)

PATH = "/admin/audit-log"
_MOST_ID = 2**63 - 1


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
    if "account" in values:
        statement = _about_account(statement, values["account"])
    return statement


def _about_account(statement: Rows, named: str) -> Rows:
    """By its number, the external id, or the address of its person."""
    if named.isascii() and named.isdigit():
        number = int(named)
        return statement.where(AuditLine.account_id == number if number <= _MOST_ID else false())
    return statement.where(AuditLine.account_id == account_named(named))


LISTING = Listing(
    key="audit-log",
    title=_l("Audit log"),
    path=PATH,
    id=AuditLine.id,
    selection=_selection,
    columns=(
        Column(
            key="at",
            label=_l("Time"),
            show=lambda row: row.at,
            kind="moment",
        ),
        Column(key="who", label=_l("Who"), show=lambda row: row.who),
        Column(
            key="act",
            label=_l("What"),
            show=lambda row: (f"{PATH}/{row.id}", act_words(row.act)),
            kind="link",
            csv=lambda row: str(row.act),
        ),
        Column(key="subject", label=_l("To what"), show=lambda row: subject_cell(row.subject), kind="link"),
        Column(key="reason", label=_l("Reason"), show=lambda row: row.reason),
    ),
    sorts=(Sort(key="newest", label=_l("Newest first"), by=AuditLine.id),),
    filters=(
        Filter(key="who", label=_l("Who"), placeholder=_l("Email address")),
        Filter(key="act", label=_l("What"), options=act_choices),
        Filter(key="subject", label=_l("To what"), placeholder="package:starter"),
        Filter(key="account", label=_l("Account"), placeholder=_l("Its name, number or address")),
    ),
    lead=_l("Who did what here, and why. Nobody can change or delete a line."),
)


@pages.get(PATH)
@require_role("finance")
def audit_log() -> ResponseReturnValue:
    """The newest lines, by whom or about what is asked for."""
    return list_page(LISTING)


@pages.get(f"{PATH}.csv")
@require_role("finance")
def audit_log_csv() -> Response:
    """The same as CSV."""
    return list_csv(LISTING)


@pages.get(f"{PATH}/<number:line_id>")
@require_role("finance")
def audit_line(line_id: int) -> ResponseReturnValue:
    """One line, with what was before beside what was after."""
    with unit_of_work() as session:
        line = session.get(AuditLine, line_id)
        if line is None:
            abort(404)
        session.expunge(line)
    return render_template(
        "admin/audit/line.html",
        line=line,
        label=act_words(line.act),
        subject=subject_link(line.subject),
        account=page_of(f"/admin/accounts/{line.account_id}") if line.account_id else "",
        approval=page_of(f"/admin/approvals/{line.approval_id}") if line.approval_id else "",
        figures=figure_words.beside(line.before, line.after),
    )
