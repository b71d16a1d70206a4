"""GET/POST /settings/security, and ending sessions there."""

from flask import abort, flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from webapp.database import unit_of_work
from webapp.people import portal_session, sessions
from webapp.people.password_change import WrongPassword, change_password
from webapp.people.passwords import BadPassword
from webapp.people.signed_in import forget_browser, let_in
from webapp.people.user_agent import describe
from webapp.people.views import limits, people
from webapp.people.views.forms import ChangePasswordForm, password_message


@people.route("/settings/security", methods=["GET", "POST"], endpoint="security")
@login_required
@limits.password_changes
def security_page() -> ResponseReturnValue:
    """A new password, and where one is signed in."""
    form = ChangePasswordForm()
    if form.validate_on_submit() and _change(form):
        flash(_("Your password is changed. Everywhere else you are logged out."))
        return redirect("/settings/security", 303)
    with unit_of_work() as session:
        rows = sessions.list_sessions(session, user_id=current_user.id)
        visits = [
            {
                "id": row.id,
                "host": row.return_host,
                "ip": row.ip,
                "browser": describe(row.user_agent),
                "last_seen_at": row.last_seen_at,
            }
            for row in portal_session.list_portal_sessions(session, account_id=current_user.account_id)
        ]
        browsers = [
            {
                "id": row.id,
                "here": row.id == current_user.current_session_id,
                "ip": row.ip,
                "browser": describe(row.user_agent),
                "created_at": row.created_at,
                "last_seen_at": row.last_seen_at,
            }
            for row in rows
        ]
    page = render_template("people/security.html", form=form, browsers=browsers, visits=visits)
    return page, 422 if form.errors else 200


def _change(form: ChangePasswordForm) -> bool:
    """Change it, and go on in this browser with a session of a new token."""
    try:
        with unit_of_work() as session:
            stay = sessions.stays(session, session_id=current_user.current_session_id)
            user = change_password(
                session,
                user_id=current_user.id,
                current=form.current_password.data,
                new=form.password.data,
            )
            let_in(session, user=user, stay=stay)
    except WrongPassword:
        form.refuse("current_password", _("This is not your present password."))
        return False
    except BadPassword as error:
        form.refuse("password", password_message(error.reason))
        return False
    return True


@people.post("/settings/security/sessions/<string(maxlength=18):number>/end", endpoint="end_session")
@login_required
def end_session(number: str) -> ResponseReturnValue:
    """That browser is logged out; this one too, if it is that."""
    if not number.isdecimal():
        abort(404)
    session_id = int(number)
    with unit_of_work() as session:
        ended = sessions.end(session, user_id=current_user.id, session_id=session_id)
    if session_id == current_user.current_session_id:
        forget_browser()
        return redirect("/log-in", 303)
    if ended:
        flash(_("That browser is logged out."))
    return redirect("/settings/security", 303)


@people.post("/settings/security/portal-sessions/<string(maxlength=18):number>/end", endpoint="end_portal_session")
@login_required
def end_portal_session(number: str) -> ResponseReturnValue:
    """Who came by way of a product is logged out."""
    if not number.isdecimal():
        abort(404)
    with unit_of_work() as session:
        ended = portal_session.end(session, account_id=current_user.account_id, portal_session_id=int(number))
    if ended:
        flash(_("That browser is logged out."))
    return redirect("/settings/security", 303)


@people.post("/settings/security/sessions/end-others", endpoint="end_other_sessions")
@login_required
def end_other_sessions() -> ResponseReturnValue:
    """All other browsers are logged out."""
    with unit_of_work() as session:
        sessions.end_all(session, user_id=current_user.id, except_id=current_user.current_session_id)
        portal_session.end_all(session, account_id=current_user.account_id)
    flash(_("Everywhere else you are logged out."))
    return redirect("/settings/security", 303)
