"""/settings/data: taking everything that is kept about oneself along, and leaving for good."""

from flask import Blueprint, flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required, logout_user

from webapp.billing.leaving import PaymentOnItsWay, leave, preview_leaving
from webapp.billing.stripe_api import mode
from webapp.credits.personal_data import personal_data
from webapp.database import unit_of_work
from webapp.layout.csv_file import stream
from webapp.people.leaving import HasRole
from webapp.people.password_change import WrongPassword
from webapp.people.signed_in import forget_browser
from webapp.people.views import limits
from webapp.people.views.forms import LeaveForm

blueprint = Blueprint("your_data", __name__, url_prefix="/settings")


@blueprint.get("/data")
@login_required
def your_data() -> ResponseReturnValue:
    """What can be taken along, and the way out."""
    return render_template("people/data.html")


@blueprint.get("/data.json")
@login_required
@limits.exports
def export_data() -> ResponseReturnValue:
    """All of it as one JSON file, streamed."""
    pieces = personal_data(
        user_id=current_user.id, account_id=current_user.account_id, external_id=current_user.external_id
    )
    return stream(pieces, mimetype="application/json", name="my-data.json")


@blueprint.route("/delete", methods=["GET", "POST"])
@login_required
@limits.password_changes
def delete() -> ResponseReturnValue:
    """What would be lost, before it is; with the password it is done, and nobody is logged in here any more."""
    form = LeaveForm()
    if form.validate_on_submit() and _leave(form):
        logout_user()
        forget_browser()
        flash(_("Your account is deleted. Thank you for having been here."))
        return redirect("/", 303)
    with unit_of_work() as session:
        leaving = preview_leaving(session, account_id=current_user.account_id, mode=mode())
    page = render_template("people/delete.html", form=form, leaving=leaving)
    return page, 422 if form.errors else 200


def _leave(form: LeaveForm) -> bool:
    try:
        with unit_of_work() as session:
            leave(session, user_id=current_user.id, password=form.password.data, mode=mode())
    except WrongPassword:
        form.refuse("password", _("This is not your present password."))
    except HasRole:
        form.refuse("password", _("You have a role here. Somebody else must take it away before you can leave."))
    except PaymentOnItsWay:
        form.refuse("password", _("A payment of yours is on its way. Wait until it has arrived or failed, then leave."))
    else:
        return True
    return False
