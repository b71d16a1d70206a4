"""What something costs, before it is done; and the way to more credits and back."""

import re
from html import unescape
from urllib.parse import quote

import pytest
from flask import Flask, render_template_string

from tests.credits.member import Member
from tests.people.browser import PASSWORD, Browser, unique_email
from webapp import ledger
from webapp.catalog.rate_book import UnknownFeature
from webapp.credits.cost import Cost, cost_before, cost_of_amount
from webapp.database import unit_of_work

SHOWN = '{% from "components/cost.html" import cost %}{{ cost(c, "A <b>", back) }}'


@pytest.mark.parametrize(
    ("credits", "available", "left", "missing", "over_half"),
    [(24, 100, 76, 0, False), (50, 100, 50, 0, False), (51, 100, 49, 0, True), (100, 100, 0, 0, True),
     (101, 100, 0, 1, False), (5, 0, 0, 5, False), (0, 0, 0, 0, False)],
)  # fmt: skip
def test_a_cost_says_what_is_left_and_what_is_missing(
    credits: int, available: int, left: int, missing: int, over_half: bool
) -> None:
    cost = Cost(credits=credits, available=available)
    assert (cost.left, cost.missing, cost.over_half) == (left, missing, over_half)


def test_only_what_may_pay_for_it_counts(member: Member) -> None:
    member.grant(30)
    member.grant(500, features=["image"])
    with member.app.app_context(), unit_of_work() as session:
        image = cost_before(session, account_id=member.account_id, feature="image", quantity=3)
        other = cost_of_amount(session, account_id=member.account_id, amount=31)
        with pytest.raises(UnknownFeature):
            cost_before(session, account_id=member.account_id, feature="nothing of the kind")
        with pytest.raises(ledger.AccountNotFound):
            cost_of_amount(session, account_id=10**15, amount=1)
    assert (image.credits, image.available, image.missing) == (24, 530, 0)
    assert (other.available, other.missing) == (30, 1)


def test_the_macro_shows_names_as_text_and_leads_to_more_credits(shop: Flask) -> None:
    with shop.test_request_context():
        missing = render_template_string(SHOWN, c=Cost(credits=9, available=2), back="/here?a=1&b=<2>")
        enough = render_template_string(SHOWN, c=Cost(credits=9, available=12), back="/here")
    assert "A &lt;b&gt;" in missing
    assert 'data-missing="7"' in missing
    assert "next=%2Fhere%3Fa%3D1%26b%3D%3C2%3E" in missing
    assert 'data-left="3"' in enough
    assert "more than half" in enough
    assert "/pricing" not in enough


def test_the_way_back_survives_the_prices_and_signing_up(shop: Flask) -> None:
    back = "/credits/playground?feature=image&quantity=3"
    stranger = Browser(shop)
    prices = stranger.get(f"/pricing?next={quote(back)}").text
    buy = unescape(re.findall(r'href="(/packages/starter/buy[^"]*)"', prices)[0])
    door = stranger.get(buy).headers["Location"]
    assert door.startswith("/log-in?next=")
    sign_up = unescape(re.findall(r'href="(/sign-up[^"]*)"', stranger.get(door).text)[0])
    fields = dict(re.findall(r'type="hidden" name="(next)" value="([^"]*)"', stranger.get(sign_up).text))
    person = {"email": unique_email(), "password": PASSWORD, "next": unescape(fields["next"])}
    summary = stranger.post("/sign-up", person).headers["Location"]
    assert summary == buy
    page = stranger.get(summary).text
    assert unescape(re.findall(r'name="next" value="([^"]*)"', page)[0]) == back


@pytest.mark.parametrize("evil", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_the_way_back_leads_to_no_other_site(shop: Flask, evil: str) -> None:
    page = Browser(shop).get(f"/pricing?next={quote(evil)}").text
    assert 'name="next"' not in page
    assert not [href for href in re.findall(r'href="([^"]*)"', page) if "evil" in href]
