"""GET/POST /confirm-address/<token>, and POST /confirm-address for another mail."""

from flask import Response, current_app, flash, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.people.confirm_address import LinkUnusable, asked_by, confirm_address, request_confirmation
from webapp.people.first_credits import give
from webapp.people.next_page import safe_next
from webapp.people.user import User
from webapp.people.views import limits, people


@people.get("/confirm-address/<token>", endpoint="confirm_address")
def confirm_page(token: str) -> ResponseReturnValue:
    """A page with the one button: mail scanners follow links, and must not confirm for anybody."""
    try:
        with unit_of_work() as session:
            asked = asked_by(session, token=token, secret_key=_secret_key())
            page = render_template("people/confirm_address.html", email=asked.user.email, confirmed=asked.confirmed)
    except LinkUnusable:
        return _guarded(render_template("people/confirm_address.html", email=None, confirmed=False), 410)
    return _guarded(page, 200)


@people.post("/confirm-address/<token>", endpoint="confirm_address_now")
@limits.confirmations_by_network
def confirm_now(token: str) -> ResponseReturnValue:
    """The address is confirmed, and credits that waited for that are there. However often it is asked."""
    try:
        with unit_of_work() as session:
            asked = confirm_address(session, token=token, secret_key=_secret_key())
            give(session, user=asked.user)
    except LinkUnusable:
        return _guarded(render_template("people/confirm_address.html", email=None, confirmed=False), 410)
    flash(_("Your address is confirmed."))
    return redirect("/credits", 303)


@people.post("/confirm-address", endpoint="send_confirmation")
@login_required
@limits.confirmation_mails
def send_again() -> ResponseReturnValue:
    """Another mail is on its way, at most one a minute."""
    with unit_of_work() as session:
        request_confirmation(session, user=session.get_one(User, current_user.id))
    flash(_("A mail is on its way to %(email)s.", email=current_user.email))
    return redirect(safe_next(request.form.get("next")) or "/settings", 303)


def mail_folder() -> str | None:
    """Where a developer finds the mail, in a sandbox without a mail server."""
    settings: Settings = current_app.config["SETTINGS"]
    return str(settings.data_dir / "mail") if settings.sandbox and settings.mail_url is None else None


def _secret_key() -> str:
    settings: Settings = current_app.config["SETTINGS"]
    return settings.secret_key


def _guarded(page: str, status: int) -> Response:
    """The URL is a secret: it is told to no other site, and no cache keeps it."""
    response = make_response(page, status)
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response
