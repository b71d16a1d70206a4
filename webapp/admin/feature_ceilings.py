"""How much of a feature who is on a plan may use: set and lifted on the feature's page."""

from flask import Blueprint, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from webapp.admin import audit
from webapp.admin.features import FeatureForm, found, page
from webapp.admin.forms import stripped
from webapp.catalog.ceilings import CeilingRefused, list_ceilings, read_ceiling, remove_ceilings, set_ceiling
from webapp.catalog.windows import PERS
from webapp.database import unit_of_work
from webapp.people.roles import require_role

pages = Blueprint("admin_feature_ceilings", __name__, url_prefix="/admin/features")


@pages.post("/<key>/ceilings")
@require_role("finance")
def set_one(key: str) -> ResponseReturnValue:
    """From now on the plan allows no more of the feature than that."""
    typed = {name: stripped(request.form.get(name, "")) for name in ("plan", "quantity", "per")}
    with unit_of_work() as session:
        feature = found(session, key)
        before = _ceilings(session, key)
        try:
            ceiling = read_ceiling(f"{typed['quantity']}/{typed['per']}")
            set_ceiling(session, plan=typed["plan"], feature=key, ceiling=ceiling, actor=audit.doer().actor)
        except CeilingRefused as refused:
            messages = _messages(refused)
            form = FeatureForm(formdata=None, obj=feature)
            return page(session, feature, form, ceiling=typed, ceiling_messages=messages), 422
        _record(session, key, before)
    flash(_("The ceiling holds from now on."))
    return redirect(f"/admin/features/{key}/edit#ceilings", 303)


@pages.post("/<key>/ceilings/remove")
@require_role("finance")
def remove(key: str) -> ResponseReturnValue:
    """The plan has no ceiling of that window for the feature any more."""
    plan, per = request.form.get("plan", ""), request.form.get("per", "")
    with unit_of_work() as session:
        found(session, key)
        before = _ceilings(session, key)
        if "\x00" not in plan and per in PERS and remove_ceilings(session, plan=plan, feature=key, per=per):
            _record(session, key, before)
    flash(_("There is no such ceiling any more."))
    return redirect(f"/admin/features/{key}/edit#ceilings", 303)


def _messages(refused: CeilingRefused) -> dict[str, str]:
    if refused.what == "plan":
        return {"plan": str(_("Choose one of the list."))}
    return {"quantity": str(_("Use a whole number from 0 to 10^15."))}


def _ceilings(session: Session, key: str) -> dict[str, str]:
    return {
        f"{one.plan} {one.per}": f"{one.quantity}/{one.per}" for one in list_ceilings(session) if one.feature == key
    }


def _record(session: Session, key: str, before: dict[str, str]) -> None:
    after = _ceilings(session, key)
    changed = [one for one in {**before, **after} if before.get(one) != after.get(one)]
    if changed:
        audit.record(
            session,
            by=audit.doer(),
            act="feature.ceilings",
            subject=f"feature:{key}",
            before={one: before.get(one) for one in changed},
            after={one: after.get(one) for one in changed},
        )
