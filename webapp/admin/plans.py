"""/admin/plans: what brings credits each month: made, changed for who comes later, put in order, taken off sale."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session
from wtforms import IntegerField, SelectMultipleField
from wtforms.validators import InputRequired, NumberRange, Optional

from webapp.admin import offers, price_fields
from webapp.admin.audit import Figures
from webapp.admin.figure_words import VALUES
from webapp.admin.offer_form import OfferForm, one_of
from webapp.admin.offer_pages import Desk, Words
from webapp.admin.offers import Kind
from webapp.admin.price_fields import PriceField
from webapp.billing.plan_holders import awaited_currencies, count_on_plans
from webapp.billing.product_name import put_product_name
from webapp.billing.stripe_api import mode
from webapp.catalog.offers import MOST_CREDITS, MOST_DAYS, MOST_TRIAL_DAYS, PlanTerms, list_all
from webapp.catalog.plan import KINDS, Plan
from webapp.catalog.rate_card import Feature
from webapp.database import unit_of_work
from webapp.i18n import content
from webapp.people.roles import require_role

pages = Blueprint("admin_plans", __name__)

EXPIRIES = ("period", "days", "never")
MOST_PRIORITY = 100
# So many on a plan are counted; of more it is said that they are more.
MOST_COUNTED = 1_000


class PlanForm(OfferForm):
    """What a plan promises. How it is billed is chosen once: `stands` is how an existing one is."""

    billed = one_of(KINDS)
    credits_per_month = IntegerField(validators=[InputRequired(_l("Say how many.")), NumberRange(1, MOST_CREDITS)])
    expiry = one_of(EXPIRIES)
    expiry_days = IntegerField(validators=[Optional(), NumberRange(1, MOST_DAYS)])
    rollover_cap = IntegerField(validators=[Optional(), NumberRange(0, MOST_CREDITS)])
    trial_days = IntegerField(validators=[Optional(), NumberRange(0, MOST_TRIAL_DAYS)])
    trial_credits = IntegerField(validators=[Optional(), NumberRange(0, MOST_CREDITS)])
    grant_priority = IntegerField(validators=[Optional(), NumberRange(-MOST_PRIORITY, MOST_PRIORITY)])
    features = SelectMultipleField(validate_choice=False)

    def __init__(self, *, stands: Plan | None = None, known_features: Sequence[str] = (), **values: Any) -> None:
        super().__init__(**values)
        self.stands, self.known_features = stands, known_features
        if stands is not None:
            self.billed.data = stands.billed

    @property
    def is_priced(self) -> bool:
        return bool(self.billed.data != "never")

    def validate(self, extra_validators: Any = None) -> bool:
        """What no field can know alone."""
        sound = bool(super().validate(extra_validators))
        for name, message in self._at_odds():
            self.refuse(name, message)
            sound = False
        return sound

    def _at_odds(self) -> list[tuple[str, str]]:
        found = []
        if self.expiry.data == "days" and self.expiry_days.data is None and not self.expiry_days.errors:
            found.append(("expiry_days", _("Say after how many days.")))
        if self.expiry.data != "period" and self.rollover_cap.data:
            found.append(("rollover_cap", _("Only credits that end with the month can roll over.")))
        if self.trial_days.data and self.billed.data not in ("monthly", "yearly"):
            found.append(("trial_days", _("Only a plan that is billed each month or each year can be tried.")))
        if self.trial_credits.data and not self.trial_days.data:
            found.append(("trial_days", _("Say how many days the trial lasts.")))
        if not set(self.features.data or ()) <= set(self.known_features):
            found.append(("features", _("Choose one of the list.")))
        return found

    def find_price_faults(self, prices: Sequence[PriceField]) -> dict[str, str]:
        if not self.is_priced:
            free = _("A free plan has no price.")
            return {price.name: free for price in prices if price.minor is not None}
        if self.stands is not None and (faults := self._awaited(prices)):
            return faults
        return super().find_price_faults(prices)

    def _awaited(self, prices: Sequence[PriceField]) -> dict[str, str]:
        assert self.stands is not None
        with unit_of_work() as session:
            awaited = awaited_currencies(session, plan=self.stands.code, mode=mode())
        needed = _("Somebody changes to this plan when their month ends, and pays in this currency.")
        return {price.name: needed for price in prices if price.minor is None and price.currency in awaited}

    def terms(self) -> PlanTerms:
        return PlanTerms(
            name=self.name.data or "",
            description=self.description.data or "",
            credits_per_month=self.credits_per_month.data or 0,
            expiry=self.expiry.data or "",
            expiry_days=self.expiry_days.data if self.expiry.data == "days" else None,
            rollover_cap=self.rollover_cap.data or 0,
            trial_days=self.trial_days.data or 0,
            trial_credits=self.trial_credits.data or 0,
            grant_priority=self.grant_priority.data or 0,
            features=[one for one in self.known_features if one in (self.features.data or ())] or None,
        )


def _figures(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "description": plan.description,
        "billed": plan.billed,
        "credits_per_month": plan.credits_per_month,
        "prices": offers.prices_of(plan),
        "expiry": plan.expiry,
        "expiry_days": plan.expiry_days,
        "rollover_cap": plan.rollover_cap,
        "trial_days": plan.trial_days,
        "trial_credits": plan.trial_credits,
        "grant_priority": plan.grant_priority,
        "features": plan.features,
        "version": plan.version,
    }


def _tell_stripe(session: Session, plan: Plan, before: Figures) -> None:
    if before["name"] != plan.name:
        put_product_name(session, plan=plan, mode=mode())


def _filled(plan: Plan | None) -> PlanForm:
    with unit_of_work() as session:
        known = [key for key, _name in _features(session, plan)]
    if plan is None:
        return PlanForm(known_features=known, billed="monthly", expiry="period", active=True)
    return PlanForm(
        stands=plan,
        known_features=known,
        **{name: value for name, value in _figures(plan).items() if name != "prices"},
        code=plan.code,
    )


def _more(plan: Plan | None) -> dict[str, Any]:
    with unit_of_work() as session:
        return {
            "features": _features(session, plan),
            "billed": list(VALUES["billed"].items()),
            "expiries": list(VALUES["expiry"].items()),
            "on_it": 0 if plan is None else _on_each(session, [plan])[plan.code],
            "most_counted": MOST_COUNTED,
        }


def _features(session: Session, plan: Plan | None) -> list[tuple[str, str]]:
    """Key and name of each that there is, and of those that the plan names though there are none of them."""
    rows = session.execute(select(Feature.key, Feature.name).order_by(Feature.position, Feature.key))
    found = {row.key: row.name for row in rows}
    return list((found | {key: key for key in (plan and plan.features) or () if key not in found}).items())


def _on_each(session: Session, plans: Sequence[Plan]) -> dict[str, int]:
    codes = [plan.code for plan in plans]
    return count_on_plans(session, plans=codes, mode=mode(), most=MOST_COUNTED + 1)


DESK = Desk(
    kind=Kind(word="plan", model=Plan, figures=_figures, also=_tell_stripe),
    path="/admin/plans",
    template="admin/catalog/plan.html",
    words=Words(
        made=_l("The plan is made."),
        changed=_l("The plan is changed for who comes later."),
        unchanged=_l("There was nothing to change."),
        on_sale=_l("The plan is on sale."),
        off_sale=_l("The plan is not on sale any more. Who is on it stays on it."),
        taken=_l("There is a plan of this code already."),
    ),
    filled=_filled,
    once=lambda form: {"billed": form.billed.data},
    more=_more,
)


@pages.get("/admin/plans")
@require_role("finance")
def plans() -> ResponseReturnValue:
    """All of them, in the order of the shop window, with how many are on each."""
    with unit_of_work() as session:
        found = list_all(session, Plan)
        on_each = _on_each(session, found)
        page = render_template(
            "admin/catalog/plans.html",
            plans=[(one, DESK.kind.untranslated(one), on_each[one.code]) for one in found],
            currencies=price_fields.currencies(),
            most_counted=MOST_COUNTED,
            billed=VALUES["billed"],
            languages_to_translate=len(content.translated_tags()),
        )
    return page


@pages.get("/admin/plans.csv")
@require_role("finance")
def plans_csv() -> Response:
    """The same as CSV."""
    return DESK.csv()


@pages.route("/admin/plans/new", methods=["GET", "POST"])
@require_role("finance")
def create() -> ResponseReturnValue:
    """The form, and one more plan."""
    return DESK.create()


@pages.route("/admin/plans/<code>/edit", methods=["GET", "POST"])
@require_role("finance")
def change(code: str) -> ResponseReturnValue:
    """The form of one plan, and its change. Who is on it keeps what was promised."""
    return DESK.change(code)


@pages.post("/admin/plans/<code>/sale")
@require_role("finance")
def sale(code: str) -> ResponseReturnValue:
    """On sale, or no more. Who is on it stays on it."""
    return DESK.sale(code)


@pages.post("/admin/plans/<code>/move")
@require_role("finance")
def move(code: str) -> ResponseReturnValue:
    """One place to the front or to the back of the shop window."""
    return DESK.move(code)
