"""A draft of the rate card is changed by one at a time, and what is wrong with it is named."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.admin.drafting import DRAFT, begin_draft, draft_of, hidden, lines, seen, set_price
from tests.credits.member import Member
from webapp.admin.finding_words import KNOWN
from webapp.catalog import pricing_terms, rate_card_file, rate_card_versions
from webapp.catalog.pricing import Allowance, Pricing, Tier


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


GRADUATED = Pricing(
    model="graduated",
    unit_size=1000,
    rounding="half_up",
    minimum=2,
    tiers=(Tier(up_to=100_000, credits=3), Tier(up_to=None, credits=2)),
)


@pytest.mark.parametrize(
    ("fields", "pricing"),
    [
        ({"model": "flat", "credits": "12"}, Pricing(model="flat", credits=12)),
        (
            {"model": "per_unit", "credits": "3", "unit_size": "1000", "rounding": "up", "minimum": "2"},
            Pricing(model="per_unit", credits=3, unit_size=1000, minimum=2),
        ),
        (
            {"model": "package", "credits": "5", "unit_size": "1000", "free_quantity": "5", "free_per": "month"},
            Pricing(model="package", credits=5, unit_size=1000, free=Allowance(quantity=5, per="month")),
        ),
        (
            {
                **{"model": "graduated", "unit_size": "1000", "rounding": "half_up", "minimum": "2"},
                **{"up_to-0": "100000", "tier_credits-0": "3", "up_to-1": "", "tier_credits-1": ""},
                **{"up_to-2": "", "tier_credits-2": "2"},
            },
            GRADUATED,
        ),
        (
            {"model": "volume", "credits": "99", "tier_credits-0": "4"},
            Pricing(model="volume", tiers=(Tier(up_to=None, credits=4),)),
        ),
    ],
)
def test_a_price_is_set_by_a_form(shop: Flask, finance: Member, fields: dict[str, str], pricing: Pricing) -> None:
    begin_draft(finance)
    assert set_price(finance, "image", **fields).status_code == 303
    assert (draft_of(shop) or {})["image"] == pricing
    again = finance.get(f"{DRAFT}/rates/image").text
    assert f'value="{fields["model"]}" selected' in again
    assert finance.get(DRAFT).status_code == 200


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"model": "flat"}, "credits", "Credits: is missing"),
        ({"model": "flat", "credits": "1.5"}, "credits", "must be a whole number"),
        ({"model": "flat", "credits": "0"}, "credits", "must be at least 1"),
        ({"model": "flat", "credits": "9" * 16}, "credits", "must be at most"),
        ({"model": "", "credits": "1"}, "model", "must be one of"),
        ({"model": "package", "credits": "5"}, "unit_size", "is missing"),
        ({"model": "per_unit", "credits": "5", "minimum": "x"}, "minimum", "whole number"),
        ({"model": "flat", "credits": "5", "free_quantity": "5", "free_per": "year"}, "free_per", "day or month"),
        ({"model": "graduated"}, "tier_credits-0", "must be a list of 1 to 100 tiers"),
        (
            {"model": "volume", "tier_credits-0": "", "up_to-1": "5", "tier_credits-1": "5"},
            "up_to-1",
            "the last tier has no end",
        ),
    ],
)
def test_a_price_that_is_wrong_names_its_field(
    shop: Flask, finance: Member, fields: dict[str, str], field: str, says: str
) -> None:
    begin_draft(finance)
    before = draft_of(shop)
    answer = set_price(finance, "image", **fields)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert says in answer.text
    assert draft_of(shop) == before


def test_more_tiers_are_a_press_away(shop: Flask, finance: Member) -> None:
    begin_draft(finance)
    answer = set_price(finance, "image", step="more", **{"model": "volume", "up_to-0": "7", "tier_credits-0": "5"})
    assert answer.status_code == 200
    assert 'name="up_to-0" value="7"' in answer.text
    assert 'name="tier_credits-3"' in answer.text


@pytest.mark.parametrize(
    ("content", "where", "says"),
    [
        ("[features.image\n", "Line 1", "is no TOML"),
        ('[features.image]\nmodel = "flat"\n\ncredits = 0\n', "Line 4", "must be at least 1"),
        (
            '[features.image]\nmodel = "flat"\ncredits = 5\n[features.video]\nmodel = "flat"\n',
            "Line 4",
            "no such feature",
        ),
        ("[features.image]\ncredits = " + "9" * 5000 + "\n", "Text", "is no TOML"),
        ("", "Text", "must price at least one feature"),
        ('colour = "red"\n[features.image]\nmodel = "flat"\ncredits = 5\n', "Line 1", "means nothing here"),
        ('[features.image]\nmodel = "</textarea><script>"\n', "Line 2", "must be one of"),
    ],
)
def test_a_text_that_is_wrong_names_line_and_place(
    shop: Flask, finance: Member, content: str, where: str, says: str
) -> None:
    known = begin_draft(finance)
    before = draft_of(shop)
    answer = finance.post(f"{DRAFT}/text", {**known, "content": content})
    assert answer.status_code == 422
    assert where in answer.text
    assert says in answer.text
    assert "<script>" not in answer.text.split('id="content"')[1]
    assert draft_of(shop) == before


def test_who_was_overtaken_is_told_and_keeps_what_they_typed(
    shop: Flask, finance: Member, person: Callable[..., Member]
) -> None:
    other = person("owner")
    known = begin_draft(finance)
    assert set_price(other, "export", model="flat", credits="20").status_code == 303
    late = set_price(finance, "image", known, model="flat", credits="77")
    assert late.status_code == 409
    assert other.email in late.text
    assert 'name="credits" type="text" value="77"' in late.text
    assert (draft_of(shop) or {})["image"].credits == 8
    now = hidden(late.text, "draft_id", "revision")
    assert set_price(finance, "image", now, model="flat", credits="77").status_code == 303
    prices = draft_of(shop) or {}
    assert (prices["image"].credits, prices["export"].credits) == (77, 20)

    text = finance.post(f"{DRAFT}/text", {**known, "content": '[features.image]\nmodel = "flat"\ncredits = 1\n'})
    assert text.status_code == 409
    assert 'id="changes"' in text.text
    assert draft_of(shop) == prices
    line = lines(shop, "rate_card.draft.change")[-1]
    assert (line.who, line.after) == (finance.email, {"image": "flat, credits = 77"})


def test_a_draft_is_given_up_for_good(shop: Flask, finance: Member) -> None:
    known = begin_draft(finance)
    set_price(finance, "image", model="flat", credits="77")
    assert finance.post(f"{DRAFT}/discard", {**known, "draft_id": "1" * 30}, form=DRAFT).status_code == 303
    assert draft_of(shop) is not None
    assert finance.post(f"{DRAFT}/discard", known, form=DRAFT).headers["Location"] == DRAFT, "it was changed since"
    assert draft_of(shop) is not None
    assert finance.post(f"{DRAFT}/discard", seen(finance), form=DRAFT).status_code == 303
    assert draft_of(shop) is None
    for path in ("", "/text", "/preview", "/publish", "/rates/image"):
        assert finance.get(f"{DRAFT}{path}").headers["Location"] == "/admin/rate-card"
    assert finance.get(f"{DRAFT}.toml").status_code == 404


def test_one_draft_at_a_time(shop: Flask, finance: Member) -> None:
    begin_draft(finance)
    set_price(finance, "image", model="flat", credits="77")
    token = finance.token(DRAFT)
    assert finance.post_raw(f"{DRAFT}/start", {"csrf_token": token}).status_code == 303
    assert (draft_of(shop) or {})["image"].credits == 77
    assert seen(finance)["revision"] == "2"


def said(path: Path) -> Iterator[str]:
    """What the findings of a module say, before values are filled in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == "_wrong_number":
            found: ast.AST | None = node
        elif isinstance(node, ast.keyword) and node.arg == "says":
            found = node.value
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).strip("(").startswith("says"):
            found = node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value
        else:
            continue
        yield from (
            one.value for one in ast.walk(found) if isinstance(one, ast.Constant) and isinstance(one.value, str)
        )


def test_translators_know_whatever_a_draft_is_refused_for() -> None:
    modules = (pricing_terms, rate_card_file, rate_card_versions)
    assert {words for module in modules for words in said(Path(str(module.__file__)))} == KNOWN


PATHS = ("", "/versions", "/versions.csv", "/versions/1", "/versions/1.toml")
OF_DRAFT = ("", ".toml", "/text", "/preview", "/publish", "/rates/image")


@pytest.mark.parametrize("role", [None, "support", "translator"])
def test_who_lacks_the_role_finds_no_rate_card(person: Callable[..., Member], role: str | None) -> None:
    one = person(role)
    paths = [*(f"/admin/rate-card{path}" for path in PATHS), *(DRAFT + path for path in OF_DRAFT)]
    for path in (*paths, "/admin/features", "/admin/features/new", "/admin/features/image/edit"):
        assert one.get(path).status_code == 404, path


def test_each_page_answers(finance: Member) -> None:
    begin_draft(finance)
    for path in [*(f"/admin/rate-card{path}" for path in PATHS), *(DRAFT + path for path in OF_DRAFT)]:
        assert finance.download(path).status_code == 200, path
    for path in ("/admin/rate-card/versions/99999", f"{DRAFT}/rates/nothing", f"{DRAFT}/rates/%00"):
        assert finance.get(path).status_code == 404, path
