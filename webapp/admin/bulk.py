"""/admin/bulk: credits given to, or taken from, many accounts by a CSV: looked at first, then confirmed."""

from pathlib import PurePosixPath
from typing import Any

import structlog
from flask import Blueprint, Response, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField
from sqlalchemy import select
from sqlalchemy.orm import Session
from wtforms import BooleanField, IntegerField, StringField
from wtforms.validators import AnyOf, NumberRange, Optional

from webapp.admin import acting, audit
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.admin.approvals import Approval
from webapp.admin.bulk_booking import NotOpen, confirm, drop, stop, stuck_row
from webapp.admin.bulk_checking import check
from webapp.admin.bulk_lists import KIND_WORDS, RUNS, STATE_WORDS, lines_of
from webapp.admin.bulk_reading import MOST_BYTES, MOST_CREDITS, MOST_DAYS, BadFile, Defaults, read_file
from webapp.admin.bulk_tables import KINDS, BulkLine, BulkRun
from webapp.admin.bulk_words import say_bad_file, say_problems
from webapp.admin.forms import Form, reason_field, stripped, text_field
from webapp.admin.listing import list_csv, list_page
from webapp.database import unit_of_work
from webapp.people.roles import require_role

log = structlog.get_logger()

pages = Blueprint("admin_bulk", __name__)

PATH = "/admin/bulk"
MOST_PROBLEMS_SHOWN = 25


@pages.url_value_preprocessor
def _allow_a_whole_file(endpoint: str | None, _values: dict[str, object] | None) -> None:
    """Before the form token is looked for in the body: other forms are smaller than a file may be."""
    if endpoint == "admin_bulk.index":
        request.max_content_length = MOST_BYTES + 64 * 1024


def _apply(session: Session, order: Order, *, run_id: int) -> Done:
    try:
        run = confirm(session, run_id=run_id, actor=order.actor, reason=order.reason)
    except NotOpen:
        raise Refused(_("This file was confirmed or thrown away already.")) from None
    if run.good == 0:
        raise Refused(_("No line of this file can be done."))
    moved = "credits_granted" if run.kind == "grant" else "credits_taken"
    return Done(
        subject=f"bulk:{run.id}",
        before={"lines": 0, "accounts": 0, moved: 0},
        after={"lines": run.good, "accounts": run.accounts, moved: run.credits, "left_out": run.left_out},
        credits=run.credits,
    )


APPLY = define(
    Act(
        key="bulk.apply",
        label=_l("Grant or take for many accounts"),
        done=_l("It is being done, line by line."),
        roles=("finance",),
        do=_apply,
        gives_credits=True,
    )
)


class UploadForm(Form):
    """The file, what it does, and what counts where it says nothing."""

    file = FileField()
    kind = StringField(validators=[AnyOf(KINDS)])
    credits = IntegerField(validators=[Optional(), NumberRange(1, MOST_CREDITS)])
    days = IntegerField(validators=[Optional(), NumberRange(1, MOST_DAYS)])
    text = text_field()
    twins = BooleanField()
    partial = BooleanField()


class ConfirmForm(Form):
    """Why."""

    reason = reason_field()


@pages.route(PATH, methods=["GET", "POST"])
@require_role("finance")
def index() -> ResponseReturnValue:
    """The form for a file, and the files so far."""
    form = UploadForm()
    if form.validate_on_submit():
        if not form.file.data:
            form.refuse("file", _("Choose a file."))
        else:
            try:
                return redirect(f"{PATH}/{_keep(form)}", 303)
            except BadFile as bad:
                form.refuse("file", say_bad_file(bad))
    shown: Any = list_page(RUNS, template="admin/bulk/index.html", form=form, kinds=list(KIND_WORDS.items()))
    return shown, 422 if form.errors else 200


def _keep(form: UploadForm) -> int:
    """The run that the file has become."""
    handed_in = form.file.data
    name = PurePosixPath(str(stripped(handed_in.filename or "")).replace("\\", "/")).name
    defaults = Defaults(credits=form.credits.data, days=form.days.data, text=form.text.data or "")
    with unit_of_work() as session:
        run = check(
            session,
            file=read_file(handed_in.stream, defaults=defaults),
            kind=form.kind.data,
            partial=form.partial.data and form.kind.data == "take",
            twins=form.twins.data,
            file_name=(name.encode("utf-8", "replace").decode() or "?")[:200],
            by=audit.doer(),
        )
        log.info("bulk_file_checked", run=run.id, kind=run.kind, lines=run.lines, good=run.good)
        return run.id


@pages.get(f"{PATH}.csv")
@require_role("finance")
def runs_csv() -> Response:
    """The files so far, as CSV."""
    return list_csv(RUNS)


@pages.route(f"{PATH}/<number:run_id>", methods=["GET", "POST"])
@require_role("finance")
def run(run_id: int) -> ResponseReturnValue:
    """What a file would do; then, confirmed, how far it is and what came of it."""
    form = ConfirmForm()

    def page(**more: Any) -> ResponseReturnValue:
        with unit_of_work() as session:
            html = render_template("admin/bulk/run.html", form=form, **_facts(session, run_id), **more)
        return html, 422 if form.errors or more else 200

    def refuse(refusal: Refused) -> ResponseReturnValue:
        return page(refusal=str(refusal.message))

    with unit_of_work() as session:
        if session.get(BulkRun, run_id) is None:
            abort(404)
    if not form.validate_on_submit():
        return page()
    back = f"{PATH}/{run_id}"
    return acting.handle(APPLY, arguments={"run_id": run_id}, reason=form.reason.data, back=back, refuse=refuse)


@pages.get(f"{PATH}/<number:run_id>/progress")
@require_role("finance")
def progress(run_id: int) -> ResponseReturnValue:
    """The part that a browser asks for again while it is being done."""
    with unit_of_work() as session:
        return render_template("admin/bulk/_progress.html", **_facts(session, run_id))


@pages.get(f"{PATH}/<number:run_id>/lines")
@require_role("finance")
def lines(run_id: int) -> ResponseReturnValue:
    """Every line, with what is wrong with it or what came of it."""
    return list_page(_lines_of(run_id))


@pages.get(f"{PATH}/<number:run_id>/lines.csv")
@require_role("finance")
def lines_csv(run_id: int) -> Response:
    """The same as CSV."""
    return list_csv(_lines_of(run_id))


@pages.post(f"{PATH}/<number:run_id>/stop")
@require_role("finance")
def stop_run(run_id: int) -> ResponseReturnValue:
    """No further line is done. What was done stays, and is on record."""
    with unit_of_work() as session:
        stopped = stop(session, run_id=run_id)
        if stopped is not None:
            after: audit.Figures = {"lines": stopped.done_lines, "left_out": stopped.good - stopped.seen_lines}
            audit.record(session, by=audit.doer(), act="bulk.stop", subject=f"bulk:{run_id}", after=after)
    if stopped is None:
        flash(_("It does not run any more."), "bad")
    else:
        flash(_("It is stopped. What was done before stays."))
    return redirect(f"{PATH}/{run_id}", 303)


@pages.post(f"{PATH}/<number:run_id>/drop")
@require_role("finance")
def drop_run(run_id: int) -> ResponseReturnValue:
    """A file that was not confirmed is gone."""
    with unit_of_work() as session:
        dropped = drop(session, run_id=run_id)
        if dropped is not None:
            before: audit.Figures = {"name": dropped.file_name, "lines": dropped.lines}
            audit.record(session, by=audit.doer(), act="bulk.drop", subject=f"bulk:{run_id}", before=before)
    if dropped is None:
        flash(_("This file was confirmed or thrown away already."), "bad")
    else:
        flash(_("The file is thrown away."))
    return redirect(PATH, 303)


def _lines_of(run_id: int) -> Any:
    with unit_of_work() as session:
        found = session.get(BulkRun, run_id)
        if found is None:
            abort(404)
        return lines_of(found)


def _facts(session: Session, run_id: int) -> dict[str, Any]:
    found = session.get(BulkRun, run_id)
    if found is None:
        abort(404)
    bad = select(BulkLine).where(BulkLine.run_id == run_id, ~BulkLine.good).order_by(BulkLine.line)
    asked = select(Approval.id).where(Approval.subject == f"bulk:{run_id}", Approval.decision.is_(None))
    return {
        "run": found,
        "kind": KIND_WORDS[found.kind],
        "state": STATE_WORDS[found.state],
        "problems": [(line, say_problems(line)) for line in session.scalars(bad.limit(MOST_PROBLEMS_SHOWN))],
        "like_it": _like_it(session, found) if found.state == "checked" else None,
        "approval_id": session.scalars(asked.limit(1)).one_or_none() if found.state == "checked" else None,
        "stuck": stuck_row(session, run=found) if found.state == "running" else None,
    }


def _like_it(session: Session, run: BulkRun) -> BulkRun | None:
    """A file that was confirmed and looks the same, whatever it was called: the same one, handed in twice?"""
    same = (
        (BulkRun.kind == run.kind)
        & (BulkRun.lines == run.lines)
        & (BulkRun.accounts == run.accounts)
        & (BulkRun.credits == run.credits)
    )
    newest = select(BulkRun).where(same, BulkRun.state != "checked", BulkRun.id != run.id).order_by(BulkRun.id.desc())
    return session.scalars(newest.limit(1)).one_or_none()
