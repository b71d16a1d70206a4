"""What people read of free uses and of what their plan allows: before, after, and on the page of their plan."""

from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask

from tests.api.priced_features import MakeFeature, features_of_a_test
from tests.credits.member import Member
from tests.credits.test_playground import form_of

TERMS = {"model": "per_unit", "credits": 3, "free": {"quantity": 10, "per": "month"}}


@pytest.fixture
def make_feature(shop: Flask, superuser_connection: psycopg.Connection) -> Iterator[MakeFeature]:
    with features_of_a_test(superuser_connection) as make:
        yield make


def use(member: Member, feature: str, quantity: int) -> str:
    """Spends in the playground; returns the page that says so, or why not."""
    form = form_of(member.get("/credits/playground?feature=image").text)
    answer = member.post_raw("/credits/playground", {**form, "feature": feature, "quantity": str(quantity)})
    return str(answer.text if answer.status_code != 303 else member.get(answer.headers["Location"]).text)


def test_a_free_use_is_told_before_it_and_explained_after_it(member: Member, make_feature: MakeFeature) -> None:
    feature = make_feature(TERMS)
    member.grant(100)
    before = member.get(f"/credits/playground?feature={feature}&quantity=4").text
    assert 'data-cost="0"' in before
    assert "3 credits, 10 free each month" in before
    assert "0 credits spent" in use(member, feature, 4)
    why = member.get("/credits/entries/2").text
    assert "Why did this cost nothing?" in why
    assert "of 10 free each month, 0 used before" in why
    use(member, feature, 8)
    why = member.get("/credits/entries/3").text
    assert "Why was I charged 6 credits?" in why
    assert "of 10 free each month, 4 used before" in why
    assert member.balance() == 94


def test_free_uses_stand_in_the_history_the_usage_and_what_is_exported(
    member: Member, make_feature: MakeFeature
) -> None:
    feature = make_feature(TERMS)
    member.grant(100)
    use(member, feature, 4)
    assert 'data-kind="spend" data-amount="0" data-balance-after="100"' in member.get("/credits/history").text
    assert 'data-amount="0"' in member.get("/credits").text
    assert ",spend,0,100," in member.download("/credits/history.csv").text
    assert '"amount":0' in member.download("/credits/history.json").text.replace(" ", "")
    assert member.get("/credits/usage").status_code == 200


def test_the_playground_says_what_the_plan_allows(member: Member, make_feature: MakeFeature) -> None:
    feature = make_feature({"model": "per_unit", "credits": 3}, ceilings={"free": "5/month"})
    member.grant(100)
    use(member, feature, 4)
    assert "The plan allows" not in member.get(f"/credits/playground?feature={feature}&quantity=1").text
    before = member.get(f"/credits/playground?feature={feature}&quantity=2").text
    assert "The plan allows 5 of these a month, and 4 are used." in before
    assert "Spend 6 credits" not in before
    refused = use(member, feature, 2)
    assert "The plan allows 5 of these a month, and 4 are used." in refused
    assert member.balance() == 88


def test_the_page_of_the_plan_says_what_is_left(member: Member, make_feature: MakeFeature) -> None:
    feature = make_feature(TERMS, ceilings={"free": "50/day"})
    member.grant(100)
    use(member, feature, 4)
    page = member.get("/plan").text
    assert f'data-limit="{feature}" data-left="46"' in page
    assert "4 of at most 50 used today" in page
    assert f'data-free="{feature}" data-left="6"' in page
    assert "4 of 10 free ones used this month" in page
    assert "Begins anew" in page


def test_the_prices_say_what_is_free(member: Member, make_feature: MakeFeature) -> None:
    make_feature({**TERMS, "free": {"quantity": 7, "per": "day"}})
    assert "3 credits, 7 free each day" in member.get("/pricing").text
