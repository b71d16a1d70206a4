"""/admin/approvals: what waits for a second person, what it would do, and what was decided."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_login import current_user
from sqlalchemy import select

from webapp.admin import acting, acts, audit, figure_words
from webapp.admin.act_words import act_words
from webapp.admin.acting import PasswordRefused, require_password
from webapp.admin.acts import Refused
from webapp.admin.approvals import Approval, CannotDecide, list_waiting
from webapp.admin.listing import Column, Listing, Rows, Sort, list_csv, list_page
from webapp.admin.subjects import page_of, subject_cell, subject_link
from webapp.database import unit_of_work
from webapp.people.roles import require_role

pages = Blueprint("admin_approvals", __name__)

PATH = "/admin/approvals"
MOST_WAITING = 100
DECISIONS: Mapping[str, object] = {
    "approved": lazy_pgettext("decision", "agreed"),
    "declined": lazy_pgettext("decision", "declined"),
}


def _selection(_values: Mapping[str, str]) -> Rows:
    statement: Rows = select(
        Approval.id,
        Approval.act,
        Approval.subject,
        Approval.credits,
        Approval.price_minor,
        Approval.currency,
        Approval.asked_by_who,
        Approval.decided_by_who,
        Approval.decided_at,
        Approval.decision,
    )
    return statement.where(Approval.decision.is_not(None), Approval.act.in_(_open_acts()))


def _open_acts() -> list[str]:
    return acts.open_acts(current_user.role or "")


def money_of(row: Any) -> tuple[int, str] | None:
    """What it moves of money, if anything."""
    return (row.price_minor, row.currency) if row.price_minor else None


DECIDED = Listing(
    key="approvals",
    title=_l("Decided"),
    path=PATH,
    id=Approval.id,
    selection=_selection,
    columns=(
        Column(
            key="act",
            label=_l("What"),
            show=lambda row: (f"{PATH}/{row.id}", act_words(row.act)),
            kind="link",
        ),
        Column(key="subject", label=_l("To what"), show=lambda row: subject_cell(row.subject), kind="link"),
        Column(key="credits", label=_l("Credits"), show=lambda row: row.credits or None, kind="credits"),
        Column(key="money", label=_l("Money"), show=money_of, kind="money"),
        Column(key="asked_by", label=_l("Asked by"), show=lambda row: row.asked_by_who),
        Column(key="decided_by", label=_l("Decided by"), show=lambda row: row.decided_by_who),
        Column(key="decided_at", label=_l("Decided at"), show=lambda row: row.decided_at, kind="moment"),
        Column(key="decision", label=_l("Decision"), show=lambda row: str(DECISIONS[row.decision])),
    ),
    sorts=(Sort(key="newest", label=_l("Newest first"), by=Approval.id),),
    empty=_l("Nothing has been decided yet"),
)


@pages.get(PATH)
@require_role("finance", "support")
def approvals() -> ResponseReturnValue:
    """What waits, the longest first, and below what was decided."""
    with unit_of_work() as session:
        waiting = list_waiting(session, acts=_open_acts(), most=MOST_WAITING)
        session.expunge_all()
    return list_page(
        DECIDED,
        template="admin/approvals/approvals.html",
        waiting=waiting,
        act_words=act_words,
        subject_link=subject_link,
        money_of=money_of,
    )


@pages.get(f"{PATH}.csv")
@require_role("finance", "support")
def approvals_csv() -> Response:
    """What was decided, as CSV."""
    return list_csv(DECIDED)


@pages.route(f"{PATH}/<number:approval_id>", methods=["GET", "POST"])
@require_role("finance", "support")
def approval(approval_id: int) -> ResponseReturnValue:
    """What it would do now, and agree or decline; each with the password."""
    if request.method == "GET":
        return _page(approval_id)
    try:
        require_password()
        agreed = request.form.get("decision") == "agree"
        if agreed:
            acts.approve(approval_id, by=audit.doer(), limits=acting.limits())
        elif request.form.get("decision") == "decline":
            acts.decline(approval_id, by=audit.doer())
        else:
            return _page(approval_id, problem=_("Agree or decline."), status=422)
    except PasswordRefused as wrong:
        return _page(approval_id, password_problem=str(wrong.message), status=wrong.status)
    except (Refused, CannotDecide) as refusal:
        return _page(approval_id, problem=str(refusal.message), status=409)
    flash(_("You have agreed, and it is done.") if agreed else _("It is declined. Nothing has happened."))
    return redirect(PATH, 303)


def _page(approval_id: int, *, problem: str = "", password_problem: str = "", status: int = 200) -> ResponseReturnValue:
    with unit_of_work() as session:
        asked = session.get(Approval, approval_id)
        if asked is None or asked.act not in _open_acts():
            abort(404)
        session.expunge_all()
    figures: list[figure_words.Pair] = []
    if asked.decision is None:
        try:
            done = acts.rehearse_asked(asked, by=audit.doer(), limits=acting.limits())
            figures = figure_words.beside(done.before, done.after)
        except Refused as refusal:
            problem = problem or str(refusal.message)
    page = render_template(
        "admin/approvals/approval.html",
        asked=asked,
        label=act_words(asked.act),
        subject=subject_link(asked.subject),
        account=page_of(f"/admin/accounts/{asked.account_id}") if asked.account_id else "",
        money=money_of(asked),
        decisions=DECISIONS,
        figures=figures,
        is_own=asked.asked_by == current_user.id,
        ask_password=not acting.password_is_fresh(),
        problem=problem,
        password_problem=password_problem,
    )
    return page, status
