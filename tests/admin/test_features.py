"""Features in the admin pages: named, put in order, and limited by plans."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from flask import Flask

from tests.admin.drafting import hidden, lines, own_shop, with_role
from tests.credits.member import Member
from webapp.catalog.ceilings import list_ceilings
from webapp.catalog.feature_changes import all_features, find_feature
from webapp.catalog.rate_card import Feature
from webapp.database import unit_of_work

__all__ = ["own_shop"]

PAGE = "/admin/features"
WORDS = {"name": "Video", "description": "One clip.", "unit": "a clip"}
_numbers = count(1)


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


@pytest.fixture
def key() -> str:
    return f"video-{next(_numbers)}"


def make(member: Member, feature: str, **changes: str) -> Any:
    return member.post(f"{PAGE}/new", {**WORDS, "key": feature, **changes})


def change(member: Member, feature: str, known: Any = None, **changes: str) -> Any:
    path = f"{PAGE}/{feature}/edit"
    return member.post(path, {**WORDS, **(known or hidden(member.get(path).text, "revision")), **changes})


def stored(app: Flask, key: str) -> Feature | None:
    with app.app_context(), unit_of_work() as session:
        feature = find_feature(session, key=key)
        session.expunge_all()
    return feature


def test_a_feature_is_made_once_and_named(shop: Flask, finance: Member, key: str) -> None:
    assert make(finance, key).headers["Location"] == f"{PAGE}/{key}/edit"
    again = make(finance, key)
    assert again.status_code == 422
    assert "There is a feature of this key already" in again.text
    assert change(finance, key, name="Film", unit="a film").status_code == 303
    feature = stored(shop, key)
    assert feature is not None
    assert (feature.name, feature.unit, feature.revision) == ("Film", "a film", 2)
    made, changed = (one for one in lines(shop, "feature.create") + lines(shop, "feature.change") if key in one.subject)
    assert made.after["name"] == changed.before["name"] == "Video"
    assert changed.after["name"] == "Film"
    listed = finance.get(PAGE).text
    assert f'id="feature-{key}"' in listed
    assert "missing:" in listed


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"key": "Video"}, "key"),
        ({"key": "a" * 65}, "key"),
        ({"key": "a--b"}, "key"),
        ({"key": " "}, "key"),
        ({"name": ""}, "name"),
        ({"unit": "\0"}, "unit"),
        ({"description": "x" * 201}, "description"),
    ],
)
def test_bad_input_names_its_field(shop: Flask, finance: Member, key: str, fields: dict[str, str], field: str) -> None:
    answer = make(finance, key, **fields)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert stored(shop, key) is None


def test_who_was_overtaken_is_told(shop: Flask, finance: Member, person: Callable[..., Member], key: str) -> None:
    make(finance, key)
    known = hidden(finance.get(f"{PAGE}/{key}/edit").text, "revision")
    assert change(person("owner"), key, name="Film").status_code == 303
    late = change(finance, key, known, name="Clip & <b>more</b>")
    assert late.status_code == 409
    assert 'id="meanwhile"' in late.text
    assert "Clip &amp; &lt;b&gt;more" in late.text
    feature = stored(shop, key)
    assert feature is not None
    assert feature.name == "Film"
    assert change(finance, key, hidden(late.text, "revision"), name="Clip & <b>more</b>").status_code == 303
    assert "<b>more" not in finance.get(PAGE).text
    assert "<b>more" not in finance.get(f"{PAGE}/{key}/edit").text


def test_a_key_is_fixed_once_it_is_used(shop: Flask, finance: Member, key: str) -> None:
    make(finance, key)
    assert change(finance, key, key=f"{key}-better").headers["Location"] == f"{PAGE}/{key}-better/edit"
    assert stored(shop, key) is None
    assert change(finance, f"{key}-better", key="image").status_code == 422
    assert 'name="key"' not in finance.get(f"{PAGE}/image/edit").text
    answer = change(finance, "image", key=key, name="Image")
    assert answer.status_code == 422
    assert "The key cannot be changed" in answer.text
    assert finance.get(f"{PAGE}/nothing/edit").status_code == 404


def test_the_shop_window_is_put_in_order(own_shop: Flask) -> None:
    finance = with_role(own_shop, "finance")

    def order() -> list[str]:
        with own_shop.app_context(), unit_of_work() as session:
            return [feature.key for feature in all_features(session)]

    first, second, *rest = order()
    assert finance.post(f"{PAGE}/{second}/move", {"to": "front"}, form=PAGE).status_code == 303
    assert order() == [second, first, *rest]
    finance.post(f"{PAGE}/{second}/move", {"to": "front"}, form=PAGE)  # it is the first already
    finance.post(f"{PAGE}/{second}/move", {"to": "back"}, form=PAGE)
    assert order() == [first, second, *rest]
    assert len(lines(own_shop, "feature.move")) == 2


def test_a_plan_limits_a_feature_and_customers_see_it(own_shop: Flask) -> None:
    finance = with_role(own_shop, "finance")
    page = f"{PAGE}/image/edit"

    def set_ceiling(**fields: str) -> Any:
        return finance.post(f"{PAGE}/image/ceilings", {"plan": "free", "per": "day", **fields}, form=page)

    def ceilings() -> list[tuple[str, int, str]]:
        with own_shop.app_context(), unit_of_work() as session:
            return [(one.plan, one.quantity, one.per) for one in list_ceilings(session)]

    for fields in ({"quantity": "-1"}, {"quantity": "x"}, {"quantity": "5", "per": "year"}, {"quantity": "9" * 16}):
        answer = set_ceiling(**fields)
        assert answer.status_code == 422
        assert 'href="#quantity"' in answer.text
    assert 'href="#plan"' in set_ceiling(quantity="5", plan="no\0ne").text
    assert ceilings() == []
    assert set_ceiling(quantity="50").status_code == 303
    assert set_ceiling(quantity="0", plan="pro", per="hour").status_code == 303
    assert ceilings() == [("free", 50, "day"), ("pro", 0, "hour")]
    assert 'data-ceiling="free-day"' in finance.get(page).text
    pricing = finance.get("/pricing").text
    assert "Image: at most 50 a day" in pricing
    assert "Image: not included" in pricing
    for _attempt in range(2):
        finance.post(f"{PAGE}/image/ceilings/remove", {"plan": "free", "per": "day"}, form=page)
    assert ceilings() == [("pro", 0, "hour")]
    noted = lines(own_shop, "feature.ceilings")
    assert [(one.before, one.after) for one in noted] == [
        ({"free day": None}, {"free day": "50/day"}),
        ({"pro hour": None}, {"pro hour": "0/hour"}),
        ({"free day": "50/day"}, {"free day": None}),
    ]
