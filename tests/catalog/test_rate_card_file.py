"""A rate card as a file: what is read back is what was written, and all that is wrong is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.catalog.test_pricing import many_sided, pricings
from webapp.catalog.pricing import Pricing
from webapp.catalog.rate_card_file import CardRefused, changes_between, in_one_line, read_card, write_card

FEATURES = ["image", "api-call", "export"]


@given(
    prices=st.dictionaries(st.text(min_size=1), pricings() | many_sided(), min_size=1, max_size=4),
    name=st.text(),
)
def test_a_written_card_is_read_back_the_same(prices: dict[str, Pricing], name: str) -> None:
    content = write_card(prices, heading=name, names=dict.fromkeys(prices, name))
    read = read_card(content, features=prices)
    assert read == prices
    assert list(read) == list(prices)
    assert changes_between(read, prices) == []


def test_a_file_is_written_for_people() -> None:
    draft = """
[features.image]
model = "volume"
tiers = [{ up_to = 10, credits = 9 }, { credits = 8 }]
"""
    prices = read_card(draft, features=FEATURES)
    assert write_card(prices, heading="Rate card", names={"image": "Image"}) == (
        "# Rate card\n\n"
        "[features.image]  # Image\n"
        'model = "volume"\n'
        "tiers = [\n  { up_to = 10, credits = 9 },\n  { credits = 8 },\n]\n"
    )
    assert in_one_line(prices["image"]) == "volume, tiers = [{ up_to = 10, credits = 9 }, { credits = 8 }]"


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("", ["features: must price at least one feature"]),
        ("features = 3", ["features: must price at least one feature"]),
        ("[features]", ["features: must price at least one feature"]),
        ("version = 3\n[features]", ["version: means nothing here", "features: must price at least one feature"]),
        ("[features.image", ["file: is no TOML: "]),
        ("[features.image]\n[features.image]", ["file: is no TOML: "]),
        ("x = " + "[" * 5000, ["file: is no TOML: "]),
        ("features.image = 8", ["features.image: must be a table"]),
        (
            '[features.imgae]\nmodel = "flat"\ncredits = 0\n[features.image]\nmodel = "per_unit"\ncredits = 1.5',
            [
                "features.imgae: there is no such feature; there are image, api-call, export",
                "features.imgae.credits: must be at least 1",
                "features.image.credits: must be a whole number",
            ],
        ),
    ],
)
def test_everything_wrong_with_a_draft_is_named_at_once(content: str, wrong: list[str]) -> None:
    with pytest.raises(CardRefused) as refused:
        read_card(content, features=FEATURES)
    said = [str(finding) for finding in refused.value.findings]
    assert len(said) == len(wrong)
    for finding, start in zip(said, wrong, strict=True):
        assert finding.startswith(start)
