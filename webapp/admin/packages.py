"""/admin/packages: what is sold once: made, changed, put in order, taken off sale."""

from typing import Any
from uuid import uuid4

from flask import Blueprint, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from wtforms import BooleanField, IntegerField
from wtforms.validators import InputRequired, NumberRange, Optional

from webapp.admin import audit, offers, price_fields
from webapp.admin.acts import Refused
from webapp.admin.offer_form import OfferForm, one_of
from webapp.admin.offers import Kind, Meanwhile, Wanted
from webapp.admin.price_fields import PriceField
from webapp.catalog.offers import (
    MOST_CREDITS,
    MOST_DAYS,
    MOST_MONTHS,
    ChangedMeanwhile,
    CodeTaken,
    OfferNotFound,
    PackageTerms,
    list_all,
)
from webapp.catalog.package import EVERYONE, SUBSCRIBERS, Package
from webapp.database import unit_of_work
from webapp.i18n import content
from webapp.people.roles import require_role

pages = Blueprint("admin_packages", __name__, url_prefix="/admin/packages")

VALID_IN = {"months": lazy_pgettext("valid for", "months"), "days": lazy_pgettext("valid for", "days")}
WHO_MAY_BUY = {EVERYONE: _l("Everybody"), SUBSCRIBERS: _l("Subscribers only")}


def _figures(package: Package) -> dict[str, Any]:
    return {
        "name": package.name,
        "description": package.description,
        "credits": package.credits,
        "prices": offers.prices_of(package),
        "valid_months": package.valid_months,
        "valid_days": package.valid_days,
        "for_subscribers": package.for_subscribers,
        "popular": package.popular,
        "version": package.version,
    }


KIND = Kind(word="package", model=Package, figures=_figures)


class PackageForm(OfferForm):
    """What a package promises. How long its credits last is a number and its unit; no number is for ever."""

    credits = IntegerField(validators=[InputRequired(_l("Say how many.")), NumberRange(1, MOST_CREDITS)])
    valid = IntegerField(validators=[Optional()])
    valid_in = one_of(VALID_IN)
    who_may_buy = one_of(WHO_MAY_BUY)
    popular = BooleanField()

    def validate_valid(self, field: IntegerField) -> None:
        most = MOST_DAYS if self.valid_in.data == "days" else MOST_MONTHS
        NumberRange(1, most)(self, field)

    def terms(self) -> PackageTerms:
        valid, in_days = self.valid.data, self.valid_in.data == "days"
        return PackageTerms(
            name=self.name.data,
            description=self.description.data or "",
            credits=self.credits.data,
            valid_months=None if in_days else valid,
            valid_days=valid if in_days else None,
            who_may_buy=self.who_may_buy.data,
            popular=self.popular.data,
        )


@pages.get("")
@require_role("finance")
def packages() -> ResponseReturnValue:
    """All of them, in the order of the shop window."""
    with unit_of_work() as session:
        found = list_all(session, Package)
        page = render_template(
            "admin/catalog/packages.html",
            packages=[(one, KIND.untranslated(one)) for one in found],
            currencies=price_fields.currencies(),
            languages_to_translate=len(content.translated_tags()),
        )
    return page


@pages.route("/new", methods=["GET", "POST"])
@require_role("finance")
def create() -> ResponseReturnValue:
    """The form, and one more package."""
    form = PackageForm(valid_in="months", who_may_buy=EVERYONE, active=True)
    if request.method == "GET":
        return _form_page(form, price_fields.stored_prices(None))
    typed = price_fields.typed_prices()
    if not form.accept(typed, needs_price=True):
        return _form_page(form, typed)
    try:
        offers.create(KIND, _wanted(form, typed, form.code.data), active=form.active.data)
    except CodeTaken:
        form.refuse("code", _("There is a package of this code already."))
        return _form_page(form, typed)
    except Refused as refusal:
        form.refuse("name", str(refusal.message))
        return _form_page(form, typed)
    flash(_("The package is made."))
    return redirect(f"/admin/packages/{form.code.data}/edit", 303)


@pages.route("/<code>/edit", methods=["GET", "POST"])
@require_role("finance")
def change(code: str) -> ResponseReturnValue:
    """The form of one package, and its change."""
    package = _found(code)
    if request.method == "GET":
        return _form_page(_filled(package), price_fields.stored_prices(package), package=package)
    form, typed = PackageForm(code=code), price_fields.typed_prices()
    if not form.accept(typed, needs_price=True):
        return _form_page(form, typed, package=package)
    try:
        changed = offers.change(KIND, _wanted(form, typed, code), version=form.seen)
    except OfferNotFound:
        abort(404)
    except ChangedMeanwhile:
        return _meanwhile_page(form, typed, code)
    except Refused as refusal:
        form.refuse("name", str(refusal.message))
        return _form_page(form, typed, package=package)
    flash(_("The package is changed.") if changed else _("There was nothing to change."))
    return redirect(f"/admin/packages/{code}/edit", 303)


@pages.post("/<code>/sale")
@require_role("finance")
def sale(code: str) -> ResponseReturnValue:
    """On sale, or no more. What was bought stays as it was."""
    active = request.form.get("active") == "1"
    try:
        offers.switch(KIND, code=code, active=active, by=audit.doer())
    except OfferNotFound:
        abort(404)
    flash(_("The package is on sale.") if active else _("The package is not on sale any more."))
    return redirect(f"/admin/packages#package-{code}", 303)


@pages.post("/<code>/move")
@require_role("finance")
def move(code: str) -> ResponseReturnValue:
    """One place to the front or to the back."""
    try:
        offers.move(KIND, code=code, places=-1 if request.form.get("to") == "front" else 1, by=audit.doer())
    except OfferNotFound:
        abort(404)
    return redirect(f"/admin/packages#package-{code}", 303)


def _found(code: str) -> Package:
    package = offers.find(KIND, code=code)
    return package if package is not None else abort(404)


def _filled(package: Package) -> PackageForm:
    return PackageForm(
        code=package.code,
        version=package.version,
        name=package.name,
        description=package.description,
        credits=package.credits,
        valid=package.valid_months or package.valid_days,
        valid_in="days" if package.valid_days else "months",
        who_may_buy=package.who_may_buy,
        popular=package.popular,
    )


def _wanted(form: PackageForm, typed: list[PriceField], code: str) -> Wanted:
    return Wanted(
        code=code,
        terms=form.terms(),
        prices=price_fields.in_minor_units(typed),
        submission=offers.submission(),
        by=audit.doer(),
    )


def _meanwhile_page(form: PackageForm, typed: list[PriceField], code: str) -> ResponseReturnValue:
    """Their own input stands, what others changed stands above it, and saving again is for this newer version."""
    package = _found(code)
    with unit_of_work() as session:
        told = offers.meanwhile(session, KIND, offer=package, version=form.seen)
    return _form_page(form, typed, package=package, told=told, version=told.version)


def _form_page(
    form: PackageForm,
    prices: list[PriceField],
    *,
    package: Package | None = None,
    told: Meanwhile | None = None,
    version: int | None = None,
) -> ResponseReturnValue:
    page = render_template(
        "admin/catalog/package.html",
        form=form,
        prices=prices,
        package=package,
        untranslated=[] if package is None else KIND.untranslated(package),
        meanwhile=told,
        version=version or (form.seen if package is not None else 0),
        submission=uuid4(),
        valid_in=list(VALID_IN.items()),
        who_may_buy=list(WHO_MAY_BUY.items()),
    )
    return page, 409 if told else 422 if form.messages else 200
