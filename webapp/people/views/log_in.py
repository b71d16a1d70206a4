"""GET/POST /log-in and POST /log-out."""

from flask import redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, logout_user

from webapp.database import unit_of_work
from webapp.people import sessions
from webapp.people.log_in import authenticate
from webapp.people.next_page import safe_next
from webapp.people.signed_in import forget_browser, let_in
from webapp.people.views import limits, people
from webapp.people.views.forms import LogInForm
from webapp.people.views.portal import leave_portal


@people.route("/log-in", methods=["GET", "POST"], endpoint="log_in")
@limits.log_in_by_network
@limits.log_in_by_email
def log_in_page() -> ResponseReturnValue:
    """The form; with the right password this browser is signed in. What was wrong is not told."""
    target = safe_next(request.values.get("next"))
    if current_user.is_authenticated:
        return redirect(target or "/credits", 303)
    form = LogInForm()
    if form.validate_on_submit():
        if _log_in(form):
            return redirect(target or "/credits", 303)
        form.refuse("email", _("Address and password do not belong together."))
    page = render_template("people/log_in.html", form=form, next_page=target)
    return page, 422 if form.errors else 200


def _log_in(form: LogInForm) -> bool:
    with unit_of_work() as session:
        user = authenticate(session, email=form.email.data, password=form.password.data)
        if user is None:
            return False
        let_in(session, user=user, stay=bool(form.stay.data))
    return True


@people.post("/log-out", endpoint="log_out")
def log_out() -> ResponseReturnValue:
    """The session is over, for every copy of its cookie."""
    if current_user.is_authenticated and current_user.is_visitor:
        return leave_portal()
    if current_user.is_authenticated:
        with unit_of_work() as session:
            sessions.end(session, user_id=current_user.id, session_id=current_user.current_session_id)
        logout_user()
    forget_browser()
    return redirect("/", 303)
