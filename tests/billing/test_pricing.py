"""The prices, for everybody, in every language and currency."""

import re
from collections.abc import Iterator

import pytest

from tests.billing.shop import Buyer, Shop
from tests.people.browser import Browser
from tests.statements import sent_through
from webapp.catalog.package import Package, PackagePrice
from webapp.catalog.plan import Plan, PlanPrice
from webapp.database import unit_of_work
from webapp.extensions import db


@pytest.fixture
def stranger(shop: Shop) -> Browser:
    return Browser(shop.app)


@pytest.mark.parametrize("path", ["/", "/pricing", "/en/pricing", "/de/pricing", "/ar/pricing"])
def test_everybody_sees_packages_plans_and_what_a_credit_buys(stranger: Browser, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 200
    assert answer.text.count('class="voucher') >= 4
    for landmark in ('id="packages"', 'id="plans"', 'id="rates"', 'id="faq"'):
        assert landmark in answer.text


def test_each_language_has_its_own_address_and_names_the_others(stranger: Browser) -> None:
    page = stranger.get("/ar/pricing").text
    assert '<html lang="ar" dir="rtl"' in page
    for tag in ("en", "de", "fr", "es", "pt-BR", "ja", "ar", "x-default"):
        assert f'hreflang="{tag}"' in page
    assert '<html lang="de" dir="ltr"' in stranger.get("/de/pricing").text


@pytest.mark.parametrize("tag", ["it", "xx", "EN", "de_DE", "de-DE", "..", "%00", "en%0a", "api", "x" * 500, "١"])
def test_a_language_that_is_not_offered_is_not_found(stranger: Browser, tag: str) -> None:
    assert stranger.get(f"/{tag}/pricing").status_code == 404


@pytest.mark.parametrize(("currency", "price"), [("EUR", "€9"), ("usd", "$9"), ("GBP", "£8"), ("JPY", "¥1,400")])
def test_prices_are_shown_in_the_chosen_currency(stranger: Browser, currency: str, price: str) -> None:
    page = stranger.get(f"/pricing?currency={currency}").text
    assert price in page
    assert f'value="{currency.upper()}" checked' in page
    assert f"currency={currency.upper()}" in page  # the links to buy keep it


@pytest.mark.parametrize("currency", ["XXX", "", "%00", "€", "E" * 5000, "{{7*7}}", "%25s"])
def test_an_unknown_currency_is_passed_over(stranger: Browser, currency: str) -> None:
    answer = stranger.get(f"/pricing?currency={currency}")
    assert answer.status_code == 200
    assert "€9" in answer.text


def test_the_saving_is_against_the_smallest_package(stranger: Browser) -> None:
    page = stranger.get("/en/pricing?currency=EUR").text
    for saving in ("19%", "28%", "39%"):
        assert saving in page
    assert "€0.0180" in page
    assert "€0.0110" in page


def test_popular_is_said_in_words(stranger: Browser) -> None:
    assert stranger.get("/en/pricing").text.count("Most chosen") == 1


def test_what_cannot_be_bought_has_no_button_but_a_reason(stranger: Browser) -> None:
    page = stranger.get("/en/pricing").text
    assert "/packages/enterprise/buy" not in page
    assert "For subscribers only." in page


def test_every_plan_has_a_button(stranger: Browser) -> None:
    page = stranger.get("/en/pricing?currency=USD").text
    for code in ("free", "pro", "pro-yearly", "lifetime"):
        assert f"/plans/{code}/subscribe?currency=USD" in page


def test_the_signed_in_see_their_own_navigation(buyer: Buyer) -> None:
    page = buyer.browser.get("/pricing").text
    assert 'id="balance"' in page
    assert "Log out" in page


def test_a_page_to_come_back_to_is_kept_if_it_is_ours(stranger: Browser) -> None:
    assert "next=/credits/playground" in stranger.get("/pricing?next=/credits/playground").text
    page = stranger.get("/pricing?next=//evil.example").text
    assert "evil" not in "".join(re.findall(r'href="[^"]*buy[^"]*"', page))


def test_the_page_costs_a_bounded_number_of_statements(shop: Shop, stranger: Browser) -> None:
    with shop.app.app_context():
        engine = db.engine
    stranger.get("/pricing")
    with sent_through(engine) as statements:
        stranger.get("/pricing")
    assert len(statements) <= 8, statements


def test_strangers_on_the_front_page_are_told_what_credits_are(stranger: Browser, buyer: Buyer) -> None:
    page = stranger.get("/").text
    assert 'id="how"' in page
    assert 'href="/sign-up"' in page
    assert "You start with 100 credits." in page
    assert page.index('id="how"') < page.index('id="packages"')
    for other in (stranger.get("/pricing").text, buyer.browser.get("/").text):
        assert 'id="how"' not in other


def test_ones_own_plan_is_marked_and_not_offered_again(buyer: Buyer) -> None:
    buyer.browser.post("/plans/free/subscribe", form="/plans/free/subscribe")
    page = buyer.browser.get("/pricing").text
    assert 'data-mine="free"' in page
    assert "data-mine" not in Browser(buyer.shop.app).get("/pricing").text
    assert "/plans/free/subscribe" not in page
    assert "/plans/pro/subscribe" in page


@pytest.fixture
def odd_offers(shop: Shop) -> Iterator[None]:
    """A package in euros alone, and a plan whose credits stay and pay for two features only; for one test."""
    with shop.app.app_context(), unit_of_work() as session:
        session.add(
            Package(
                code="euros-only",
                name="Euros only",
                description="",
                credits=700,
                position=90,
                active=True,
                popular=False,
                who_may_buy="everyone",
                prices=[PackagePrice(currency="EUR", price_minor=1100)],
            )
        )
        terms = {"billed": "monthly", "expiry": "never", "features": ["image", "export"], "position": 90}
        session.add(
            Plan(
                code="painter",
                name="Painter",
                description="",
                credits_per_month=50,
                rollover_cap=0,
                active=True,
                prices=[PlanPrice(currency="EUR", price_minor=500)],
                **terms,
            )
        )
    yield
    with shop.app.app_context(), unit_of_work() as session:
        session.get_one(Package, "euros-only").active = False
        session.get_one(Plan, "painter").active = False


@pytest.mark.usefixtures("odd_offers")
def test_what_a_currency_lacks_and_what_a_plan_pays_for_is_said(stranger: Browser) -> None:
    page = stranger.get("/en/pricing?currency=USD").text
    assert "Euros only is not sold in USD." in page
    assert "/packages/euros-only/buy" not in page
    assert 'href="/pricing?currency=EUR"' in page
    page = stranger.get("/en/pricing?currency=EUR").text
    assert "/packages/euros-only/buy" in page
    assert "is not sold in" not in page
    assert "They pay for Image, Export alone." in page
    assert "Unspent credits stay for good" in page


def test_a_page_kept_for_many_says_what_is_true_now(shop: Shop, stranger: Browser) -> None:
    def prices(tag: str) -> str:
        return stranger.get(f"/{tag}/pricing").text.partition("<main")[2]

    def rename(name: str) -> None:
        with shop.app.app_context(), unit_of_work() as session:
            package = session.get(Package, "starter")
            assert package is not None
            package.name = name

    before = prices("de")
    assert prices("de") == before
    assert prices("ja") != before
    rename("Renamed <i>")
    assert "Renamed &lt;i&gt;" in prices("de")
    rename("Starter")
    assert prices("de") == before
