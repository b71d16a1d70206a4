"""The catalog: packages, plans and features, with their names in the caller's language."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from webapp.api.catalog_answers import (
    FeatureAnswer,
    FeaturesAnswer,
    PackageAnswer,
    PackagesAnswer,
    PlanAnswer,
    PlansAnswer,
    PriceAnswer,
)
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.problems import language_headers
from webapp.api.unit import one_snapshot
from webapp.catalog.package import PackagePrice, list_packages
from webapp.catalog.plan import PlanPrice, list_plans
from webapp.catalog.pricing_terms import terms_of
from webapp.catalog.rate_card import list_features
from webapp.i18n.content import translate

ENDPOINTS: list[Endpoint] = []


@endpoint(ENDPOINTS, "GET", "/packages", answer=PackagesAnswer, unit=one_snapshot)
def get_packages(session: Session, _call: Call[Any]) -> Reply:
    """The packages on sale."""
    data = [
        PackageAnswer(
            code=package.code,
            name=translate("package", package.code, package.name),
            description=translate("package description", package.code, package.description),
            credits=package.credits,
            valid_months=package.valid_months,
            valid_days=package.valid_days,
            popular=package.popular,
            who_may_buy=package.who_may_buy,
            prices=_prices(package.prices),
        )
        for package in list_packages(session)
    ]
    return _in_language(PackagesAnswer(data=data))


@endpoint(ENDPOINTS, "GET", "/plans", answer=PlansAnswer, unit=one_snapshot)
def get_plans(session: Session, _call: Call[Any]) -> Reply:
    """The plans on offer."""
    data = [
        PlanAnswer(
            code=plan.code,
            name=translate("plan", plan.code, plan.name),
            description=translate("plan description", plan.code, plan.description),
            credits_per_month=plan.credits_per_month,
            rollover_cap=plan.rollover_cap,
            billed=plan.billed,
            prices=_prices(plan.prices),
        )
        for plan in list_plans(session)
    ]
    return _in_language(PlansAnswer(data=data))


@endpoint(ENDPOINTS, "GET", "/features", answer=FeaturesAnswer, unit=one_snapshot)
def get_features(session: Session, _call: Call[Any]) -> Reply:
    """What credits can be spent on, and what it costs by the rate card in force."""
    data = [
        FeatureAnswer(
            feature=feature.key,
            name=translate("feature", feature.key, feature.name),
            description=translate("feature description", feature.key, feature.description),
            unit=translate("unit", feature.key, feature.unit),
            credits_per_unit=feature.credits_per_unit,
            pricing=terms_of(feature.pricing),
            rate_card_version=feature.rate_card_version,
        )
        for feature in list_features(session)
    ]
    return _in_language(FeaturesAnswer(data=data))


def _prices(prices: Iterable[PackagePrice | PlanPrice]) -> list[PriceAnswer]:
    return [PriceAnswer(currency=price.currency, price_minor=price.price_minor) for price in prices]


def _in_language(answer: PackagesAnswer | PlansAnswer | FeaturesAnswer) -> Reply:
    return Reply(body=answer, headers=language_headers())
