"""What of a price is free: written down, read again, and in the arithmetic."""

from typing import Any

import pytest

from webapp.catalog.counted import allowance_of, free_units, is_open, settle, settle_free
from webapp.catalog.pricing import Allowance, Pricing
from webapp.catalog.pricing_terms import Finding, pricing_from, read_pricing, terms_of
from webapp.catalog.rate_book import RateBook, Rated
from webapp.catalog.rate_card_file import in_one_line, read_card, write_card

FREE = {"quantity": 10, "per": "month"}
CARD = """
[features.image]
model = "per_unit"
credits = 3
free = { quantity = 10, per = "month" }
"""


def read(**terms: Any) -> Pricing:
    found = read_pricing(terms, where="x")
    assert isinstance(found, Pricing), found
    return found


def costs(pricing: Pricing, quantity: int, used: int, **dimensions: Any) -> int:
    quote = RateBook({"x": Rated(1, pricing)}).quote(feature="x", quantity=quantity, dimensions=dimensions)
    settled = settle(quote.pricing, used=used)
    assert not is_open(settled)
    assert settled["credits"] == sum(line["credits"] for line in settled["lines"])
    return int(settled["credits"])


def test_an_allowance_comes_back_from_a_file_and_from_the_database() -> None:
    prices = read_card(CARD, features=["image"])
    assert prices["image"].free == Allowance(quantity=10, per="month")
    assert read_card(write_card(prices, heading="x", names={}), features=["image"]) == prices
    assert pricing_from(terms_of(prices["image"])) == prices["image"]
    assert in_one_line(prices["image"]) == 'per_unit, credits = 3, free = { quantity = 10, per = "month" }'
    assert prices["image"].credits_per_unit is None


@pytest.mark.parametrize(
    ("free", "where"),
    [
        (5, "x.free"),
        ({"quantity": 0, "per": "month"}, "x.free.quantity"),
        ({"per": "month"}, "x.free.quantity"),
        ({"quantity": 5, "per": "hour"}, "x.free.per"),
        ({"quantity": 5}, "x.free.per"),
        ({"quantity": 5, "per": ["day"]}, "x.free.per"),
        ({"quantity": 5, "per": "day", "rollover": True}, "x.free.rollover"),
    ],
)
def test_what_is_wrong_with_an_allowance_is_named(free: Any, where: str) -> None:
    found = read_pricing({"model": "flat", "credits": 1, "free": free}, where="x")
    assert isinstance(found, list)
    assert [finding.where for finding in found] == [where]
    assert isinstance(found[0], Finding)


@pytest.mark.parametrize(
    ("terms", "quantity", "used", "expected"),
    [
        ({"model": "per_unit", "credits": 3}, 4, 0, 0),
        ({"model": "per_unit", "credits": 3}, 4, 8, 6),
        ({"model": "per_unit", "credits": 3}, 4, 10, 12),
        ({"model": "per_unit", "credits": 3}, 4, 99, 12),
        ({"model": "flat", "credits": 7}, 4, 6, 0),
        ({"model": "flat", "credits": 7}, 4, 7, 7),
        ({"model": "package", "credits": 5, "unit_size": 10}, 15, 4, 5),
        ({"model": "graduated", "tiers": [{"up_to": 2, "credits": 5}, {"credits": 1}]}, 14, 0, 5 + 5 + 2),
        ({"model": "per_unit", "credits": 1, "minimum": 5}, 11, 0, 5),
        ({"model": "per_unit", "credits": 1, "minimum": 5}, 10, 0, 0),
    ],
)
def test_the_rest_costs_what_it_would_by_itself(terms: dict[str, Any], quantity: int, used: int, expected: int) -> None:
    assert costs(read(**terms, free=FREE), quantity, used) == expected


def test_a_use_that_is_measured_is_free_or_not() -> None:
    tokens = {"dimension": "tokens", "credits": 2}
    pricing = read(model="dimensions", rounding="up", rates=[tokens], free={"quantity": 2, "per": "day"})
    assert [costs(pricing, 1, used, tokens=7) for used in (0, 1, 2)] == [0, 0, 14]


def test_each_variant_has_an_allowance_of_its_own_or_none() -> None:
    small = {"when": {"size": "s"}, "model": "flat", "credits": 1}
    medium = {"when": {"size": "m"}, "model": "flat", "credits": 2, "free": {"quantity": 1, "per": "day"}}
    pricing = read(model="per_unit", credits=3, free=FREE, variants=[small, medium])
    book = RateBook({"x": Rated(1, pricing)})
    assert not is_open(book.quote(feature="x", dimensions={"size": "s"}).pricing)
    assert costs(pricing, 1, 0, size="m") == 0
    assert costs(pricing, 1, 1, size="m") == 2
    assert costs(pricing, 1, 1) == 0


def test_what_a_plan_limits_is_counted_though_nothing_is_free() -> None:
    book = RateBook({"x": Rated(1, read(model="per_unit", credits=3), True)})
    pricing = book.quote(feature="x", quantity=2).pricing
    assert (is_open(pricing), allowance_of(pricing)) == (True, None)
    settled = settle(pricing, used=0)
    assert settled == {
        "rate_card_version": 1,
        "feature": "x",
        "quantity": 2,
        "lines": [{"quantity": 2, "credits_per_unit": 3, "credits": 6}],
        "credits": 6,
    }


def test_no_more_is_free_than_was_promised() -> None:
    book = RateBook({"x": Rated(1, read(model="per_unit", credits=3, free=FREE))})
    promised = settle_free(book.quote(feature="x", quantity=8).pricing, units=5)
    assert (promised["credits"], free_units(promised)) == (9, 5)
    assert settle_free(promised, units=0) == promised
    assert settle_free(book.quote(feature="x", quantity=2).pricing, units=5)["credits"] == 0
