"""/admin/features: what credits are spent on: its names, its order, and what it costs now."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from webapp.admin import audit
from webapp.admin.forms import Form, text_field
from webapp.admin.rate_card_draft import number_of
from webapp.billing.limit_words import allowed_words
from webapp.catalog.ceilings import list_ceilings
from webapp.catalog.feature_changes import (
    MOST_KEY,
    FeatureChanged,
    FeatureRefused,
    FeatureWords,
    all_features,
    change_feature,
    create_feature,
    find_feature,
    is_key_used,
    move_feature,
)
from webapp.catalog.plan import Plan
from webapp.catalog.rate_card import Feature, rate_card_in_force
from webapp.catalog.rate_card_versions import prices_of
from webapp.database import unit_of_work
from webapp.i18n import content
from webapp.people.roles import require_role

pages = Blueprint("admin_features", __name__, url_prefix="/admin/features")

MOST_NAME = 100


class FeatureForm(Form):
    """What a feature is called."""

    key = text_field(most=MOST_KEY, required=_l("Say its key."))
    name = text_field(most=MOST_NAME, required=_l("Say its name."))
    description = text_field()
    unit = text_field(most=MOST_NAME, required=_l("Say what one of it is, such as: an image"))

    @property
    def words(self) -> FeatureWords:
        return FeatureWords(name=self.name.data, description=self.description.data or "", unit=self.unit.data)

    def refuse_for(self, refused: FeatureRefused) -> None:
        """Say at the key what only the catalog could find out."""
        words = {
            "key": _("Use small letters, digits and single hyphens between them, at most 64 characters."),
            "taken": _("There is a feature of this key already."),
            "used": _("The key cannot be changed: a rate card or a plan uses it."),
        }
        self.refuse("key", words[refused.reason])


@pages.get("")
@require_role("finance")
def features() -> ResponseReturnValue:
    """All of them, in the order of the shop window, with what they cost now."""
    with unit_of_work() as session:
        card = rate_card_in_force(session)
        limited = {one.feature for one in list_ceilings(session)}
        return render_template(
            "admin/features/list.html",
            features=[(one, untranslated(one)) for one in all_features(session)],
            prices=prices_of(session, version=card.version) if card else {},
            limited=limited,
            languages_to_translate=len(content.translated_tags()),
        )


@pages.route("/new", methods=["GET", "POST"])
@require_role("finance")
def create() -> ResponseReturnValue:
    """The form, and one more feature."""
    form = FeatureForm()
    if not form.validate_on_submit():
        return _new_page(form)
    try:
        with unit_of_work() as session:
            feature = create_feature(session, key=form.key.data, words=form.words)
            audit.record(
                session, by=audit.doer(), act="feature.create", subject=f"feature:{feature.key}", after=figures(feature)
            )
    except FeatureRefused as refused:
        form.refuse_for(refused)
        return _new_page(form)
    flash(_("The feature is made. It can be used once the rate card has a price for it."))
    return redirect(f"/admin/features/{form.key.data}/edit", 303)


@pages.get("/<key>/edit")
@require_role("finance")
def edit(key: str) -> ResponseReturnValue:
    """One feature: its names, what it costs, and how much of it plans allow."""
    with unit_of_work() as session:
        feature = found(session, key)
        form = FeatureForm(obj=feature)
        return page(session, feature, form)


@pages.post("/<key>/edit")
@require_role("finance")
def change(key: str) -> ResponseReturnValue:
    """The feature is called that; else the form with what is wrong, or what somebody else has changed."""
    form = FeatureForm()
    if "key" not in request.form:
        form.key.data, form.key.raw_data = key, [key]
    is_valid = form.validate_on_submit()
    with unit_of_work() as session:
        feature = found(session, key)
        if not is_valid:
            return page(session, feature, form), 422
        before, revision = figures(feature), feature.revision
        try:
            feature = change_feature(
                session,
                key=key,
                revision=number_of(request.form.get("revision", "")),
                words=form.words,
                new_key=form.key.data,
            )
        except FeatureChanged as changed:
            return page(session, changed.feature, form, meanwhile=True), 409
        except FeatureRefused as refused:
            if refused.reason == "gone":
                abort(404)
            form.refuse_for(refused)
            return page(session, feature, form), 422
        if feature.revision != revision:
            audit.record(
                session,
                by=audit.doer(),
                act="feature.change",
                subject=f"feature:{feature.key}",
                before=before,
                after=figures(feature),
            )
    flash(_("The feature is saved."))
    return redirect(f"/admin/features/{form.key.data}/edit", 303)


@pages.post("/<key>/move")
@require_role("finance")
def move(key: str) -> ResponseReturnValue:
    """One place to the front of the shop window, or to the back."""
    to_front = request.form.get("to") == "front"
    with unit_of_work() as session:
        found(session, key)
        if move_feature(session, key=key, places=-1 if to_front else 1):
            audit.record(
                session,
                by=audit.doer(),
                act="feature.move",
                subject=f"feature:{key}",
                after={"order": found(session, key).position},
            )
    return redirect(f"/admin/features#feature-{key}", 303)


def found(session: Session, key: str) -> Feature:
    """The feature, or no page."""
    feature = find_feature(session, key=key)
    if feature is None:
        abort(404)
    return feature


def figures(feature: Feature) -> dict[str, Any]:
    """The feature as the log keeps it."""
    return {"key": feature.key, "name": feature.name, "description": feature.description, "unit": feature.unit}


def untranslated(feature: Feature) -> list[str]:
    """The languages whose readers meet one of its texts in English."""
    texts = (
        ("feature", feature.name),
        ("feature description", feature.description),
        ("unit", feature.unit),
    )
    return content.untranslated_in(texts)


def page(
    session: Session,
    feature: Feature,
    form: FeatureForm,
    *,
    meanwhile: bool = False,
    ceiling: dict[str, str] | None = None,
    ceiling_messages: dict[str, str] | None = None,
) -> str:
    """One feature's page. `ceiling` is what was typed there, and `ceiling_messages` what is wrong with that."""
    card = rate_card_in_force(session)
    plans = list(session.query(Plan).order_by(Plan.position, Plan.code))
    return render_template(
        "admin/features/feature.html",
        feature=feature,
        form=form,
        meanwhile=meanwhile,
        is_used=is_key_used(session, key=feature.key),
        untranslated=untranslated(feature),
        pricing=prices_of(session, version=card.version).get(feature.key) if card else None,
        card=card,
        plans=plans,
        plan_names={plan.code: plan.name for plan in plans},
        ceilings=[one for one in list_ceilings(session) if one.feature == feature.key],
        ceiling_allowed=allowed_words,
        ceiling=ceiling or {},
        ceiling_messages=ceiling_messages or {},
    )


def _new_page(form: FeatureForm) -> ResponseReturnValue:
    return render_template("admin/features/new.html", form=form), 422 if form.errors else 200
