"""What a quantity costs under each model, against a reference that counts unit by unit."""

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.catalog.pricing import MOST_CREDITS, DimensionRate, Pricing, Tier, Variant
from webapp.catalog.pricing_terms import pricing_from, read_pricing, terms_of
from webapp.catalog.rate_book import DimensionsRefused, RateBook, Rated

QUANTITIES = st.integers(1, 400)
PRICES = st.integers(1, 60)


@st.composite
def pricings(draw: st.DrawFn) -> Pricing:
    model = draw(st.sampled_from(["flat", "per_unit", "graduated", "volume", "package"]))
    if model == "flat":
        return Pricing(model=model, credits=draw(PRICES))
    sized = {"unit_size": draw(st.integers(1, 50)), "minimum": draw(st.integers(1, 80))}
    if model == "package":
        return Pricing(model=model, credits=draw(PRICES), **sized)
    sized["rounding"] = draw(st.sampled_from(["up", "half_up"])) if sized["unit_size"] > 1 else "up"
    if model == "per_unit":
        return Pricing(model=model, credits=draw(PRICES), **sized)
    ends = [*sorted(draw(st.sets(st.integers(1, 300), max_size=5))), None]
    return Pricing(model=model, tiers=tuple(Tier(up_to=end, credits=draw(PRICES)) for end in ends), **sized)


def price_of_unit(pricing: Pricing, number: int) -> int:
    return next(tier.credits for tier in pricing.tiers if tier.up_to is None or number <= tier.up_to)


def reference(pricing: Pricing, quantity: int) -> int:
    """What the charge must be, by counting."""
    if pricing.model == "flat":
        exact = Fraction(pricing.credits)
    elif pricing.model == "package":
        exact = Fraction(len(range(0, quantity, pricing.unit_size)) * pricing.credits)
    elif pricing.model == "per_unit":
        exact = Fraction(quantity * pricing.credits, pricing.unit_size)
    elif pricing.model == "volume":
        exact = Fraction(quantity * price_of_unit(pricing, quantity), pricing.unit_size)
    else:
        exact = Fraction(sum(price_of_unit(pricing, n) for n in range(1, quantity + 1)), pricing.unit_size)
    rounded = ceil(exact) if pricing.rounding == "up" else floor(exact + Fraction(1, 2))
    return max(rounded, pricing.minimum)


@given(pricing=pricings(), quantity=QUANTITIES)
def test_every_model_costs_what_counting_unit_by_unit_says(pricing: Pricing, quantity: int) -> None:
    assert pricing.cost(quantity) == reference(pricing, quantity)


@given(pricing=pricings(), quantity=QUANTITIES)
def test_lines_are_whole_never_negative_and_about_every_unit_once(pricing: Pricing, quantity: int) -> None:
    lines = pricing.lines(quantity)
    assert all(type(line["credits"]) is int and line["credits"] >= 0 for line in lines)
    assert sum(line.get("quantity", 0) for line in lines) == quantity
    assert pricing.cost(quantity) >= 1


@given(pricing=pricings())
def test_terms_say_all_there_is_to_a_price(pricing: Pricing) -> None:
    assert pricing_from(terms_of(pricing)) == pricing
    assert read_pricing(terms_of(pricing), where="x") == pricing


def test_no_figure_is_too_large_to_be_exact() -> None:
    pricing = Pricing(model="per_unit", credits=MOST_CREDITS - 1, unit_size=MOST_CREDITS, rounding="half_up")
    assert pricing.cost(MOST_CREDITS) == MOST_CREDITS - 1


def test_a_graduated_charge_is_rounded_once_and_names_its_tiers() -> None:
    tiers = (Tier(up_to=1500, credits=3), Tier(up_to=None, credits=2))
    pricing = Pricing(model="graduated", unit_size=1000, rounding="up", tiers=tiers, minimum=10)
    sized = {"unit_size": 1000, "rounding": "up", "model": "graduated"}
    assert pricing.lines(2200) == [
        {"quantity": 1500, "credits_per_unit": 3, "from": 1, "up_to": 1500, **sized, "credits": 5},
        {"quantity": 700, "credits_per_unit": 2, "from": 1501, "up_to": None, **sized, "credits": 1},
        {"minimum": 10, "credits": 4},
    ]


def test_a_package_counts_when_it_is_started() -> None:
    pricing = Pricing(model="package", credits=5, unit_size=1000)
    assert [pricing.cost(quantity) for quantity in (1, 1000, 1001, 2000, 2001)] == [5, 5, 10, 10, 15]


def test_half_a_credit_is_rounded_up_and_less_down_but_nothing_is_free() -> None:
    pricing = Pricing(model="per_unit", credits=1, unit_size=10, rounding="half_up")
    assert [pricing.cost(quantity) for quantity in (1, 4, 14, 15, 24, 25)] == [1, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        (8, ["x: must be a table"]),
        ({}, ["x.model: must be one of"]),
        ({"model": "free"}, ["x.model: must be one of"]),
        ({"model": ["flat"]}, ["x.model: must be one of"]),
        ({"model": "flat"}, ["x.credits: is missing"]),
        ({"model": "flat", "credits": 0}, ["x.credits: must be at least 1"]),
        ({"model": "flat", "credits": -1}, ["x.credits: must be at least 1"]),
        ({"model": "flat", "credits": 1.0}, ["x.credits: must be a whole number"]),
        ({"model": "flat", "credits": True}, ["x.credits: must be a whole number"]),
        ({"model": "flat", "credits": 10**15 + 1}, ["x.credits: must be at most 10^15"]),
        ({"model": "flat", "credits": 1, "minimum": 2}, ["x.minimum: means nothing"]),
        ({"model": "per_unit", "credits": 1, "unit_size": 10}, ["x.rounding: must be stated"]),
        ({"model": "per_unit", "credits": 1, "rounding": "down"}, ["x.rounding: must be one of up or half_up"]),
        ({"model": "package", "credits": 1}, ["x.unit_size: is missing"]),
        ({"model": "volume", "tiers": []}, ["x.tiers: must be a list of 1 to 100 tiers"]),
        ({"model": "volume", "tiers": [1]}, ["x.tiers[0]: must be a table"]),
        ({"model": "volume", "tiers": [{"up_to": 5, "credits": 1}]}, ["x.tiers[0].up_to: the last tier has no end"]),
        (
            {"model": "volume", "tiers": [{"credits": 0}, {"credits": 1, "price": 2}]},
            [
                "x.tiers[0].credits: must be at least 1",
                "x.tiers[0].up_to: is missing",
                "x.tiers[1].price: means nothing",
            ],
        ),
        (
            {
                "model": "graduated",
                "colour": "red",
                "tiers": [{"up_to": 9, "credits": 2}, {"up_to": 9, "credits": 1}, {"credits": 1}],
            },
            ["x.colour: means nothing", "x.tiers[1].up_to: overlaps the tier before it: must be more than 9"],
        ),
        (
            {"model": "graduated", "tiers": [{"up_to": 10**15, "credits": 2}, {"credits": 1}]},
            ["x.tiers[1]: can never be charged"],
        ),
    ],
)
def test_everything_wrong_with_a_price_is_named(raw: Any, wrong: list[str]) -> None:
    findings = read_pricing(raw, where="x")
    assert isinstance(findings, list)
    said = sorted(str(finding) for finding in findings)
    assert len(said) == len(wrong)
    for finding, start in zip(said, sorted(wrong), strict=True):
        assert finding.startswith(start)


@st.composite
def many_sided(draw: st.DrawFn) -> Pricing:
    """By dimensions, or with variants."""
    names = draw(st.lists(st.sampled_from(["input", "output", "cached"]), min_size=1, max_size=3, unique=True))
    size = st.integers(1, 50)
    rates = tuple(DimensionRate(dimension=name, credits=draw(PRICES), unit_size=draw(size)) for name in names)
    rounding = draw(st.sampled_from(["up", "half_up"]))
    by_dimensions = Pricing(model="dimensions", rates=rates, rounding=rounding, minimum=draw(st.integers(1, 80)))
    if draw(st.booleans()):
        return by_dimensions
    values = draw(st.lists(st.text("abc", min_size=1), min_size=1, max_size=3, unique=True))
    variants = tuple(Variant(when=(("model", value),), pricing=draw(pricings())) for value in values)
    return replace(draw(st.one_of(st.just(by_dimensions), pricings())), variants=variants)


@given(pricing=many_sided())
def test_terms_say_all_there_is_to_a_price_of_many_sides(pricing: Pricing) -> None:
    assert pricing_from(terms_of(pricing)) == pricing
    assert read_pricing(terms_of(pricing), where="x") == pricing


@given(
    pricing=many_sided(),
    measured=st.dictionaries(st.sampled_from(["input", "output", "cached"]), st.integers(0, 10**6)),
)
def test_dimensions_are_each_charged_at_their_rate_and_rounded_together(
    pricing: Pricing, measured: dict[str, int]
) -> None:
    if not pricing.rates:
        return
    exact = sum(
        (Fraction(measured.get(rate.dimension, 0) * rate.credits, rate.unit_size) for rate in pricing.rates),
        start=Fraction(0),
    )
    rounded = ceil(exact) if pricing.rounding == "up" else floor(exact + Fraction(1, 2))
    assert sum(line["credits"] for line in pricing.lines(1, measured)) == max(rounded, pricing.minimum)


def book(raw: dict[str, Any]) -> RateBook:
    pricing = read_pricing(raw, where="x")
    assert isinstance(pricing, Pricing), pricing
    return RateBook({"chat": Rated(3, pricing)})


CHAT = {
    "model": "dimensions",
    "rounding": "up",
    "rates": [
        {"dimension": "input_tokens", "credits": 3, "unit_size": 1000},
        {"dimension": "output_tokens", "credits": 15, "unit_size": 1000},
    ],
    "variants": [
        {"when": {"model": "small", "plan": "pro"}, "model": "flat", "credits": 1},
        {"when": {"model": "small"}, "model": "per_unit", "credits": 2},
    ],
}


def test_a_quote_by_dimensions_says_each_of_them() -> None:
    found = book(CHAT).quote(feature="chat", dimensions={"input_tokens": 1500, "output_tokens": 400})
    sized = {"unit_size": 1000, "rounding": "up"}
    assert found.lines == [
        {"dimension": "input_tokens", "quantity": 1500, "credits_per_unit": 3, **sized, "credits": 5},
        {"dimension": "output_tokens", "quantity": 400, "credits_per_unit": 15, **sized, "credits": 6},
    ]
    assert found.credits == 11  # 4.5 + 6 credits, rounded once


def test_the_first_variant_that_applies_is_the_price_and_is_named() -> None:
    chat = book(CHAT)
    small = chat.quote(feature="chat", quantity=4, dimensions={"model": "small"})
    assert small.lines == [{"quantity": 4, "credits_per_unit": 2, "credits": 8, "when": {"model": "small"}}]
    on_pro = chat.quote(feature="chat", quantity=4, dimensions={"model": "small"}, plan=lambda: "pro")
    assert on_pro.credits == 1
    assert on_pro.lines[0]["when"] == {"model": "small", "plan": "pro"}
    large = chat.quote(feature="chat", dimensions={"model": "large", "input_tokens": 1000}, plan=lambda: "pro")
    assert large.credits == 3


def test_the_plan_is_asked_for_only_where_the_price_depends_on_it() -> None:
    def plan() -> str:
        raise AssertionError("asked")

    simple = book(
        {"model": "per_unit", "credits": 2, "variants": [{"when": {"size": "l"}, "model": "flat", "credits": 9}]}
    )
    assert simple.quote(feature="chat", plan=plan).credits == 2
    assert simple.quote(feature="chat", dimensions={"size": "l"}, plan=plan).credits == 9


@pytest.mark.parametrize(
    ("quantity", "dimensions", "reason"),
    [
        (1, {}, "missing"),
        (1, {"input_tokens": 0}, "missing"),
        (2, {"input_tokens": 5}, "quantity"),
        (1, {"input_tokens": -1}, "number"),
        (1, {"input_tokens": 1.0}, "number"),
        (1, {"input_tokens": True}, "number"),
        (1, {"input_tokens": "5"}, "number"),
        (1, {"input_tokens": None}, "number"),
        (1, {"input_tokens": 10**15 + 1}, "number"),
        (1, {"input_tokens": 5, "colour": "red"}, "unknown"),
        (1, {"input_tokens": 5, "plan": "pro"}, "unknown"),
        (1, {"input_tokens": 5, "model": 5}, "text"),
        (1, {"input_tokens": 5, "model": ["small"]}, "text"),
        (1, {"input_tokens": 5, "model": "small"}, "unknown"),
    ],
)
def test_dimensions_that_the_price_can_do_nothing_with_are_refused(
    quantity: int, dimensions: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DimensionsRefused) as refused:
        book(CHAT).quote(feature="chat", quantity=quantity, dimensions=dimensions)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({"model": "dimensions", "rates": []}, ["x.rates: must be a list of 1 to 100 rates"]),
        ({"model": "dimensions", "rates": [3]}, ["x.rates[0]: must be a table"]),
        (
            {"model": "dimensions", "rates": [{"dimension": "A", "credits": 0, "x": 1}]},
            ["x.rates[0].credits: must be at", "x.rates[0].dimension: must be a name", "x.rates[0].x: means nothing"],
        ),
        (
            {"model": "dimensions", "rates": [{"dimension": "plan", "credits": 1}]},
            ["x.rates[0].dimension: must be a name"],
        ),
        (
            {"model": "dimensions", "rates": [{"dimension": "a", "credits": 1, "unit_size": 9}]},
            ["x.rounding: must be stated"],
        ),
        (
            {"model": "dimensions", "rates": [{"dimension": "a", "credits": 1}, {"dimension": "a", "credits": 2}]},
            ["x.rates[1].dimension: has a rate already"],
        ),
        ({"model": "flat", "credits": 1, "variants": []}, ["x.variants: must be a list"]),
        ({"model": "flat", "credits": 1, "variants": [1]}, ["x.variants[0]: must be a table"]),
        (
            {"model": "flat", "credits": 0, "variants": [{"when": {}, "model": "flat", "credits": 0, "variants": []}]},
            [
                "x.credits: must be at",
                "x.variants[0].credits: must be at",
                "x.variants[0].variants: means nothing",
                "x.variants[0].when: must name",
            ],
        ),
        (
            {"model": "flat", "credits": 1, "variants": [{"when": {"a": 1}, "model": "flat", "credits": 1}]},
            ["x.variants[0].when: must name"],
        ),
        (
            {
                "model": "flat",
                "credits": 1,
                "variants": [
                    {"when": {"a": "1"}, "model": "flat", "credits": 1},
                    {"when": {"b": "1", "a": "1"}, "model": "flat", "credits": 2},
                ],
            },
            ["x.variants[1].when: can never apply"],
        ),
        (
            {
                "model": "dimensions",
                "rates": [{"dimension": "a", "credits": 1}],
                "variants": [{"when": {"a": "1"}, "model": "flat", "credits": 1}],
            },
            ["x: a is both measured and chosen"],
        ),
    ],
)
def test_everything_wrong_with_dimensions_and_variants_is_named(raw: Any, wrong: list[str]) -> None:
    findings = read_pricing(raw, where="x")
    assert isinstance(findings, list)
    said = sorted(str(finding) for finding in findings)
    assert len(said) == len(wrong), said
    for finding, start in zip(said, wrong, strict=True):
        assert finding.startswith(start)
