"""What the API answers about the catalog."""

from typing import Any

from webapp.api.answers import Answer


class PriceAnswer(Answer):
    """Money in the currency's minor unit (cents; yen have none)."""

    currency: str
    price_minor: int


class PackageAnswer(Answer):
    """Credits that are bought once; null validity never expires."""

    code: str
    name: str
    description: str
    credits: int
    valid_months: int | None
    valid_days: int | None
    popular: bool
    who_may_buy: str
    prices: list[PriceAnswer]


class PlanAnswer(Answer):
    """Credits each month; `billed` is never, monthly, yearly or once."""

    code: str
    name: str
    description: str
    credits_per_month: int
    rollover_cap: int
    billed: str
    prices: list[PriceAnswer]


class FeatureAnswer(Answer):
    """What a feature costs by the rate card in force; `pricing` says how, in the words of a rate card's file.

    `credits_per_unit` is null where that would not be all: rounded, in tiers, in packages, with a minimum, with some
    `free`: the first `quantity` units of each `per` (day or month) cost nothing.
    """

    feature: str
    name: str
    description: str
    unit: str
    credits_per_unit: int | None
    pricing: dict[str, Any]
    rate_card_version: int


class PackagesAnswer(Answer):
    """The packages on sale."""

    data: list[PackageAnswer]


class PlansAnswer(Answer):
    """The plans on offer."""

    data: list[PlanAnswer]


class FeaturesAnswer(Answer):
    """What credits can be spent on."""

    data: list[FeatureAnswer]
