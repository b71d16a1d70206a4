"""/admin/people: who has a role here. Owners give, change and take roles; nobody else and no other page does."""

from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy.orm import Session
from wtforms import StringField
from wtforms.validators import AnyOf

from webapp.admin import acting
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.admin.forms import Form, reason_field, text_field
from webapp.admin.role_words import ROLE_WORDS
from webapp.database import unit_of_work
from webapp.people.role_change import LastOwner, NobodyThere, NotConfirmed, change_role, people_with_role
from webapp.people.roles import require_role
from webapp.people.user import ROLES

pages = Blueprint("admin_people", __name__)

PATH = "/admin/people"
_NONE = lazy_pgettext("role", "None")


def _change(session: Session, order: Order, *, email: str, role: str | None) -> Done:
    try:
        user, before = change_role(session, email=email, role=role)
    except NobodyThere:
        raise Refused(_("Nobody has this address. They have to sign up first."), field="email") from None
    except NotConfirmed:
        raise Refused(_("This address is not confirmed yet. They have to do that first."), field="email") from None
    except LastOwner:
        raise Refused(_("This is the last owner. Make somebody else an owner first."), field="role") from None
    if before == role:
        raise Refused(_("They have this role already."), field="role")
    return Done(
        subject=f"user:{user.id}",
        account_id=user.account_id,
        before={"person": user.email, "role": before},
        after={"person": user.email, "role": role},
    )


CHANGE = define(
    Act(key="person.role", label=_l("Change a role"), done=_l("The role is changed."), roles=(), do=_change)
)


class RoleForm(Form):
    """Whose, which, and why."""

    email = text_field(most=254, required=_l("Whose? Enter their address."))
    role = StringField(validators=[AnyOf(("", *ROLES), _l("There is no such role."))])
    reason = reason_field()


@pages.route(PATH, methods=["GET", "POST"])
@require_role()
def people() -> ResponseReturnValue:
    """Who has a role, and a form that changes one; before it does, it shows what it would do."""
    form = RoleForm()
    if request.method == "GET":
        form.email.data = request.args.get("email", "").replace("\0", "")[:254]
        form.role.data = request.args.get("role", "")

    def page(refusal: Refused | None = None) -> ResponseReturnValue:
        messages: dict[str, Any] = dict(form.messages)
        if refusal is not None:
            messages[refusal.field or "email"] = str(refusal.message)
        with unit_of_work() as session:
            html = render_template(
                "admin/people/people.html",
                people=people_with_role(session),
                roles=ROLE_WORDS,
                choices=[("", _NONE), *((key, words[0]) for key, words in ROLE_WORDS.items())],
                form=form,
                messages=messages,
            )
        return html, 422 if messages else 200

    if not form.validate_on_submit():
        return page()
    return acting.handle(
        CHANGE,
        arguments={"email": form.email.data, "role": form.role.data or None},
        reason=form.reason.data,
        back=PATH,
        refuse=page,
    )
