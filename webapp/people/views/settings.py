"""GET/POST /settings."""

from flask import flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from webapp import ledger
from webapp.database import unit_of_work
from webapp.i18n.locale import languages
from webapp.people.first_credits import waiting
from webapp.people.profile import BadTimeZone, change_profile
from webapp.people.views import people
from webapp.people.views.confirm_address import mail_folder
from webapp.people.views.forms import SettingsForm


@people.route("/settings", methods=["GET", "POST"], endpoint="settings")
@login_required
def settings_page() -> ResponseReturnValue:
    """Name, language, time zone, and which credits go first where two lots expire together."""
    with unit_of_work() as session:
        account = ledger.get_account(session, account_id=current_user.account_id)
        waiting_credits = waiting(session, user=current_user)
    form = SettingsForm(
        data={
            "name": current_user.name,
            "locale": current_user.locale,
            "time_zone": current_user.time_zone,
            "spend_order": account.spend_order,
            "credit_mails": current_user.credit_mails,
        }
    )
    form.offer(locales=[(tag, name) for tag, name, _direction in languages()])
    if form.validate_on_submit() and _save(form):
        flash(_("Your settings are saved."))
        return redirect("/settings", 303)
    page = render_template("people/settings.html", form=form, waiting=waiting_credits, mail_folder=mail_folder())
    return page, 422 if form.errors else 200


def _save(form: SettingsForm) -> bool:
    try:
        with unit_of_work() as session:
            change_profile(
                session,
                user_id=current_user.id,
                name=form.name.data or "",
                locale=form.locale.data,
                time_zone=form.time_zone.data,
                spend_order=form.spend_order.data,
                credit_mails=form.credit_mails.data,
            )
    except BadTimeZone:
        form.refuse("time_zone", _("Choose one of the list."))
        return False
    return True
