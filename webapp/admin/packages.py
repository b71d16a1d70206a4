"""/admin/packages: what is sold once: made, changed, put in order, taken off sale."""

from typing import Any

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from wtforms import BooleanField, IntegerField
from wtforms.validators import InputRequired, NumberRange, Optional

from webapp.admin import offers, price_fields
from webapp.admin.offer_form import OfferForm, one_of
from webapp.admin.offer_pages import Desk, Words
from webapp.admin.offers import Kind
from webapp.catalog.offers import MOST_CREDITS, MOST_DAYS, MOST_MONTHS, PackageTerms, list_all
from webapp.catalog.package import EVERYONE, SUBSCRIBERS, Package
from webapp.database import unit_of_work
from webapp.i18n import content
from webapp.people.roles import require_role

pages = Blueprint("admin_packages", __name__)

VALID_IN = {"months": lazy_pgettext("valid for", "months"), "days": lazy_pgettext("valid for", "days")}
WHO_MAY_BUY = {EVERYONE: _l("Everybody"), SUBSCRIBERS: _l("Subscribers only")}


class PackageForm(OfferForm):
    """What a package promises. How long its credits last is a number and its unit; no number is for ever."""

    credits = IntegerField(validators=[InputRequired(_l("Say how many.")), NumberRange(1, MOST_CREDITS)])
    valid = IntegerField(validators=[Optional()])
    valid_in = one_of(VALID_IN)
    who_may_buy = one_of(WHO_MAY_BUY)
    popular = BooleanField()

    def validate_valid(self, field: IntegerField) -> None:
        NumberRange(1, MOST_DAYS if self.valid_in.data == "days" else MOST_MONTHS)(self, field)

    def terms(self) -> PackageTerms:
        valid, in_days = self.valid.data, self.valid_in.data == "days"
        return PackageTerms(
            name=self.name.data or "",
            description=self.description.data or "",
            credits=self.credits.data or 0,
            valid_months=None if in_days else valid,
            valid_days=valid if in_days else None,
            who_may_buy=self.who_may_buy.data or "",
            popular=self.popular.data,
        )


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


def _filled(package: Package | None) -> PackageForm:
    if package is None:
        return PackageForm(valid_in="months", who_may_buy=EVERYONE, active=True)
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


DESK = Desk(
    kind=Kind(word="package", model=Package, figures=_figures),
    path="/admin/packages",
    template="admin/catalog/package.html",
    words=Words(
        made=_l("The package is made."),
        changed=_l("The package is changed."),
        unchanged=_l("There was nothing to change."),
        on_sale=_l("The package is on sale."),
        off_sale=_l("The package is not on sale any more."),
        taken=_l("There is a package of this code already."),
    ),
    filled=_filled,
    more=lambda _package: {"valid_in": list(VALID_IN.items()), "who_may_buy": list(WHO_MAY_BUY.items())},
)


@pages.get("/admin/packages")
@require_role("finance")
def packages() -> ResponseReturnValue:
    """All of them, in the order of the shop window."""
    with unit_of_work() as session:
        page = render_template(
            "admin/catalog/packages.html",
            packages=[(one, DESK.kind.untranslated(one)) for one in list_all(session, Package)],
            currencies=price_fields.currencies(),
            languages_to_translate=len(content.translated_tags()),
        )
    return page


@pages.get("/admin/packages.csv")
@require_role("finance")
def packages_csv() -> Response:
    """The same as CSV."""
    return DESK.csv()


@pages.route("/admin/packages/new", methods=["GET", "POST"])
@require_role("finance")
def create() -> ResponseReturnValue:
    """The form, and one more package."""
    return DESK.create()


@pages.route("/admin/packages/<code>/edit", methods=["GET", "POST"])
@require_role("finance")
def change(code: str) -> ResponseReturnValue:
    """The form of one package, and its change: for who buys from then on."""
    return DESK.change(code)


@pages.post("/admin/packages/<code>/sale")
@require_role("finance")
def sale(code: str) -> ResponseReturnValue:
    """On sale, or no more. What was bought stays as it was."""
    return DESK.sale(code)


@pages.post("/admin/packages/<code>/move")
@require_role("finance")
def move(code: str) -> ResponseReturnValue:
    """One place to the front or to the back of the shop window."""
    return DESK.move(code)
