"""GET/POST /forgot-password and /reset-password/<token>."""

from flask import Response, current_app, flash, make_response, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.people.first_credits import give
from webapp.people.password_reset import LinkUnusable, is_usable, request_reset, reset_password
from webapp.people.passwords import BadPassword
from webapp.people.signed_in import forget_browser
from webapp.people.views import limits, people
from webapp.people.views.forms import ForgotPasswordForm, ResetPasswordForm, password_message


@people.route("/forgot-password", methods=["GET", "POST"], endpoint="forgot_password")
@limits.forgotten_by_network
@limits.forgotten_by_email
def forgot_password_page() -> ResponseReturnValue:
    """The form; the answer is the same whether or not the address is known."""
    form = ForgotPasswordForm()
    sent = False
    if form.validate_on_submit():
        with unit_of_work() as session:
            request_reset(session, email=form.email.data)
        sent = True
    page = render_template("people/forgot_password.html", form=form, sent=sent, mail_folder=_mail_folder())
    return page, 422 if form.errors else 200


@people.route("/reset-password/<token>", methods=["GET", "POST"], endpoint="reset_password")
@limits.resets_by_network
def reset_password_page(token: str) -> ResponseReturnValue:
    """The form for a new password; opening it uses nothing up."""
    form = ResetPasswordForm()
    try:
        if form.validate_on_submit() and _reset(form, token):
            flash(_("Your password is changed. Log in with the new one."))
            return redirect("/log-in", 303)
        with unit_of_work() as session:
            if not is_usable(session, token=token):
                raise LinkUnusable
    except LinkUnusable:
        return _guarded(render_template("people/reset_password_gone.html"), 410)
    page = render_template("people/reset_password.html", form=form, token=token)
    return _guarded(page, 422 if form.errors else 200)


def _mail_folder() -> str | None:
    """Where a developer finds the mail, in a sandbox without a mail server."""
    settings: Settings = current_app.config["SETTINGS"]
    return str(settings.data_dir / "mail") if settings.sandbox and settings.mail_url is None else None


def _reset(form: ResetPasswordForm, token: str) -> bool:
    try:
        with unit_of_work() as session:
            user = reset_password(session, token=token, password=form.password.data)
            give(session, user=user)  # who has this link has the address, too
    except BadPassword as error:
        form.refuse("password", password_message(error.reason))
        return False
    forget_browser()
    return True


def _guarded(page: str, status: int) -> Response:
    """The URL is a secret: it is told to no other site, and no cache keeps it.

    `same-origin`, not `no-referrer`: over https the CSRF check wants to see our own page as the referrer.
    """
    response = make_response(page, status)
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response
