"""GET/POST /sign-up."""

from flask import redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from webapp.database import unit_of_work
from webapp.i18n.locale import current_tag
from webapp.people.first_credits import terms_now
from webapp.people.log_in import authenticate
from webapp.people.next_page import safe_next
from webapp.people.passwords import BadPassword
from webapp.people.profile import BadTimeZone, check_time_zone
from webapp.people.sign_up import EmailTaken, sign_up
from webapp.people.signed_in import let_in
from webapp.people.views import limits, people
from webapp.people.views.forms import SignUpForm, password_message


@people.route("/sign-up", methods=["GET", "POST"], endpoint="sign_up")
@limits.sign_up_by_network
@limits.sign_up_by_email
@limits.taken_addresses
def sign_up_page() -> ResponseReturnValue:
    """The form; sent well, there is a new person, signed in at once, holding the sign-up credits."""
    target = safe_next(request.values.get("next"))
    if current_user.is_authenticated:
        return redirect(target or "/credits", 303)
    form = SignUpForm()
    if form.validate_on_submit() and _sign_up(form):
        return redirect(target or "/credits", 303)
    with unit_of_work() as session:
        terms = terms_now(session)
    page = render_template("people/sign_up.html", form=form, next_page=target, terms=terms)
    return page, 422 if form.errors else 200


def _sign_up(form: SignUpForm) -> bool:
    """Sign up and sign in; False with a message in the form.

    Who sends the form twice, or has forgotten that they have an account and types its password, is signed in.
    """
    try:
        with unit_of_work() as session:
            user = sign_up(
                session,
                email=form.email.data,
                password=form.password.data,
                name=form.name.data or "",
                locale=current_tag(),
                time_zone=_time_zone(form.time_zone.data),
                first=terms_now(session),
            )
            let_in(session, user=user, stay=False)
    except BadPassword as error:
        form.refuse("password", password_message(error.reason))
        return False
    except EmailTaken:
        return _log_in_instead(form)
    return True


def _log_in_instead(form: SignUpForm) -> bool:
    with unit_of_work() as session:
        user = authenticate(session, email=form.email.data, password=form.password.data)
        if user is not None:
            let_in(session, user=user, stay=False)
            return True
    limits.note_taken_address()
    form.refuse("email", _("There is already an account with this address. Log in or reset your password."))
    return False


def _time_zone(sent: str | None) -> str:
    """The browser's own zone when a script could tell it; nobody is asked on the way in."""
    try:
        check_time_zone(sent or "UTC")
    except BadTimeZone:
        return "UTC"
    return sent or "UTC"
