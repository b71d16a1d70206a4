"""What a quantity costs under each model, against a reference that counts unit by unit."""

from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.catalog.pricing import MOST_CREDITS, Pricing, Tier
from webapp.catalog.pricing_terms import pricing_from, read_pricing, terms_of

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
