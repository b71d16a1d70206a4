"""Seeing as a customer: credits, history, usage, prices and plan of an account as its holder sees them.

Reading only, for half an hour, with a reason, and marked on every page. `webapp.people.signed_in` puts the account in
the place of the person, for requests that read; here everything else is refused meanwhile.
"""

from typing import Any

from flask import Blueprint, Flask, Response, abort, flash, g, redirect, render_template, request, session
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.exceptions import Forbidden

from webapp import ledger
from webapp.admin import audit
from webapp.admin.forms import Form, reason_field
from webapp.database import unit_of_work
from webapp.errors import show_refusal
from webapp.layout.navigation import page_exists
from webapp.ledger import AccountNotFound
from webapp.people import seen_as
from webapp.people.leaving import HasRole
from webapp.people.roles import require_role
from webapp.people.signed_in import READING, SEEN_BLUEPRINTS, seen_account

pages = Blueprint("admin_impersonation", __name__)

_NOBODYS = {"static", "healthz", "readyz", "metrics"}
_MAY_BE_SENT = {"admin_impersonation.stop", "language", "people.log_out"}


class ReasonForm(Form):
    """Why somebody's pages are looked at."""

    reason = reason_field()


def register(app: Flask) -> None:
    """Add the pages, and let nothing be changed while somebody sees as a customer."""
    app.register_blueprint(pages)
    app.before_request(keep_to_reading)


def keep_to_reading() -> ResponseReturnValue | None:
    """None where the request may go on; a refusal, or the way back when the half hour is over."""
    if request.endpoint in _NOBODYS or seen_as.MARK not in session:
        return None
    if not current_user.is_authenticated:
        _forget()
        return None
    seen = seen_account()
    if seen is None:
        return _over()
    if request.method not in READING:
        return None if request.endpoint in _MAY_BE_SENT else _refuse_to_change(seen.name)
    if _is_shown():
        return None
    return show_refusal(
        Forbidden(),
        title=_("This page is not shown now"),
        text=_("It is not among the pages that you see as %(name)s. Stop that first.", name=seen.name),
    )


def _is_shown() -> bool:
    return request.endpoint is None or request.blueprint in SEEN_BLUEPRINTS or f"{request.path}/".startswith("/admin/")


def _refuse_to_change(name: str) -> ResponseReturnValue:
    return show_refusal(
        Forbidden(),
        title=_("You are only looking"),
        text=_("You see the pages of %(name)s as they do. Nothing can be changed until you stop.", name=name),
    )


def _over() -> ResponseReturnValue:
    with unit_of_work() as database:
        seen_as.end(database, session_id=current_user.current_session_id)
    _forget()
    flash(_("The half hour is over: you do not see as the customer any more."))
    if request.headers.get("HX-Request") == "true":
        return Response(status=401, headers={"HX-Redirect": "/admin"})
    return redirect("/admin", 303)


def _forget() -> None:
    """Forms on pages that are still open go stale: none of them may be sent as somebody else."""
    session.pop(seen_as.MARK, None)
    session.pop("csrf_token", None)
    g.pop("csrf_token", None)


@pages.route("/admin/accounts/<number:account_id>/see-as", methods=["GET", "POST"])
@require_role("finance", "support")
def see_as(account_id: int) -> ResponseReturnValue:
    """Ask why; then this browser sees that account's pages, and the audit log has a line."""
    with unit_of_work() as database:
        try:
            account = ledger.get_account(database, account_id=account_id)
        except AccountNotFound:
            abort(404)
    form = ReasonForm()
    messages: dict[str, Any] = {}
    if form.validate_on_submit():
        try:
            _begin(account_id, reason=form.reason.data)
            return redirect("/credits", 303)
        except HasRole:
            messages = {"form": _l("Whoever has this account has a role here; their pages are theirs alone.")}
    messages = {**form.messages, **messages}
    page = render_template(
        "admin/search/see_as.html", account=account, form=form, messages=messages, back=_account_page(account_id)
    )
    return page, 422 if messages else 200


def _begin(account_id: int, *, reason: str) -> None:
    with unit_of_work() as database:
        by = audit.doer()
        row = seen_as.begin(
            database,
            account_id=account_id,
            by=current_user,
            session_id=current_user.current_session_id,
            ip=by.ip,
            reason=reason,
        )
        audit.record(
            database,
            by=by,
            act="account.see_as",
            subject=f"account:{account_id}",
            account_id=account_id,
            reason=reason,
            after={"seen_until": {"at": row.expires_at.isoformat()}},
        )
    _forget()
    session[seen_as.MARK] = True


@pages.post("/admin/see-as/stop")
@require_role("finance", "support")
def stop() -> ResponseReturnValue:
    """This browser shows one's own pages again; 303 to the account that was seen."""
    seen = seen_account()
    with unit_of_work() as database:
        seen_as.end(database, session_id=current_user.current_session_id)
    _forget()
    return redirect(_account_page(seen.account_id) if seen else "/admin", 303)


def _account_page(account_id: int) -> str:
    path = f"/admin/accounts/{account_id}"
    return path if page_exists("/admin/accounts/1") else "/admin"
