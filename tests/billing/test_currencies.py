"""Currencies with no decimals and with three, the whole way: prices, payment, cost, quote, refund, proration, words."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from flask import Flask

from tests.billing.plan_shop import PlanShop, change, outcome, plan_grants, start
from tests.billing.plans import STUDIO, offer
from tests.billing.shop import Buyer
from tests.billing.test_commands import run
from tests.billing.test_disputes import spend
from tests.billing.test_reversal_pages import text_of
from tests.instance import ROOT
from tests.stripe_sandbox.conftest import serve
from webapp import ledger
from webapp.billing.refund_quote import worth
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work
from webapp.stripe_sandbox import create_sandbox, install

SIGN_UP = 100


@dataclass(frozen=True, kw_only=True)
class Money:
    """What a package and plans cost in one currency, and how some amounts of it are written in English."""

    currency: str
    starter: int
    pro: int
    studio: int
    written: dict[int, str]
    on_tags: dict[int, str]

    def per_cent(self, share: int, of: int) -> int:
        assert share * of % 100 == 0
        return share * of // 100


YEN = Money(
    currency="JPY",
    starter=1400,
    pro=1800,
    studio=7500,
    written={1400: "¥1,400", 420: "¥420", 700: "¥700", 980: "¥980", 1800: "¥1,800"},
    on_tags={1400: "¥1,400", 1800: "¥1,800"},
)
DINARS = Money(
    currency="KWD",
    starter=2500,
    pro=3700,
    studio=15000,
    written={2500: "KWD 2.500", 750: "KWD 0.750", 1250: "KWD 1.250", 1750: "KWD 1.750", 3700: "KWD 3.700"},
    on_tags={2500: "KWD 2.500", 3700: "KWD 3.700"},
)


@pytest.fixture(params=[YEN, DINARS], ids=lambda money: money.currency)
def money(request: pytest.FixtureRequest) -> Money:
    found: Money = request.param
    return found


@pytest.fixture
def shop(fresh_database: Any, make_app: Callable[..., Flask], money: Money) -> Iterator[PlanShop]:
    """One that sells in this currency, and in euros."""
    install(fresh_database.owner_url)

    def make(url: str) -> Flask:
        return create_sandbox(
            dsn=fresh_database.database_url,
            base_url=url,
            webhook_url=None,
            webhook_secret="whsec_sandbox",
            background=False,
        )

    with serve(make) as url:
        app = make_app(fresh_database, STRIPE_API_BASE=url, CURRENCIES=f"{money.currency},EUR")
        with app.app_context(), unit_of_work() as session:
            install_shipped_catalog(session)
            offer(session, STUDIO)
        with psycopg.connect(fresh_database.owner_url) as owner:
            for table, of, code, price in (
                ("package_prices", "package", "starter", money.starter),
                ("plan_prices", "plan", "pro", money.pro),
                ("plan_prices", "plan", "studio", money.studio),
            ):
                owner.execute(
                    f"INSERT INTO {table} ({of}, currency, price_minor) VALUES (%s, %s, %s)"  # type: ignore[arg-type]
                    f" ON CONFLICT ({of}, currency) DO UPDATE SET price_minor = excluded.price_minor",
                    [code, money.currency, price],
                )
        yield PlanShop(app=app, sandbox_url=url)


@pytest.fixture
def buyer(shop: PlanShop) -> Buyer:
    return shop.new_buyer()


def read(buyer: Buyer, path: str) -> str:
    answer = buyer.browser.get(path)
    assert answer.status_code == 200, path
    return text_of(answer.text)


def test_a_package_is_priced_paid_quoted_and_refunded_in_its_own_minor_units(
    shop: PlanShop, buyer: Buyer, money: Money
) -> None:
    assert money.on_tags[money.starter] in read(buyer, f"/pricing?currency={money.currency}")
    assert money.written[money.starter] in read(buyer, f"/packages/starter/buy?currency={money.currency}")
    purchase = buyer.start("starter", currency=money.currency)
    asked = shop.stripe.v1.checkout.sessions.retrieve(purchase.stripe_session_id or "")
    assert (asked.amount_total, asked.currency) == (money.starter, money.currency.lower())
    shop.press(purchase.stripe_session_id or "", "pay")
    page = text_of(buyer.come_back(purchase).text)
    assert money.written[money.starter] in page
    assert shop.member(buyer).grants()[-1] == ("purchase", 500, 500, money.starter)

    spend(shop, buyer, SIGN_UP + 250)
    half, part = money.starter // 2, money.per_cent(30, money.starter)
    quote = run(shop.app, "purchase", "quote", str(purchase.id)).output.replace("\xa0", " ")
    assert f"worth {money.written[half]} of {money.written[money.starter]}" in quote
    amount = money.written[part].removeprefix("¥").removeprefix("KWD ")
    refund = ("purchase", "refund", str(purchase.id), "--amount", amount, "--reason", "test", "--yes")
    assert f"{money.written[part]}: succeeded" in run(shop.app, *refund).output.replace("\xa0", " ")
    assert shop.purchase(purchase.id).refunded_minor == part
    assert shop.member(buyer).grants()[-1] == ("purchase", 500, 100, money.starter)
    assert "Refund of 30% of “Starter”" in read(buyer, "/credits/history")
    newest = shop.read(lambda session: ledger.entries(session, account_id=purchase.account_id, limit=1)).entries[0]
    story = read(buyer, f"/credits/entries/{newest.seq}")
    assert f"{money.written[part]} of the {money.written[money.starter]} paid for “Starter” were refunded" in story

    charge = shop.stripe.v1.charges.list(params={"payment_intent": shop.purchase(purchase.id).stripe_payment_intent_id})
    assert (charge.data[0].amount, charge.data[0].amount_refunded) == (money.starter, part)
    rest = ("purchase", "refund", str(purchase.id), "--reason", "the rest", "--yes")
    assert f"{money.written[money.starter - part]}: succeeded" in run(shop.app, *rest).output.replace("\xa0", " ")
    shop.assert_sound()


def test_an_amount_that_the_currency_has_no_coins_for_is_refused(shop: PlanShop, buyer: Buyer, money: Money) -> None:
    purchase = buyer.start("starter", currency=money.currency)
    shop.press(purchase.stripe_session_id or "", "pay")
    assert buyer.outcome(purchase) == "success"
    finer = {"JPY": "0.5", "KWD": "0.7505"}[money.currency]
    result = run(shop.app, "purchase", "quote", str(purchase.id), "--amount", finer)
    assert result.exit_code == 2
    assert f"no amount in {money.currency}" in result.output


def test_a_plan_costs_renews_and_is_prorated_in_its_own_minor_units(shop: PlanShop, buyer: Buyer, money: Money) -> None:
    assert money.written[money.pro] in read(buyer, f"/plans/pro/subscribe?currency={money.currency}")
    session_id = start(buyer, "pro", currency=money.currency)
    assert shop.press(session_id, "pay").status_code == 303
    assert outcome(buyer, session_id) == "success"
    assert plan_grants(shop, buyer) == [("subscription", 1000, 1000, money.pro)]
    assert money.on_tags[money.pro] in read(buyer, "/plan")

    shop.pass_days(10)
    preview = buyer.browser.get("/plan/change/studio").text
    due = int(preview.partition('data-due-minor="')[2].partition('"')[0])
    whole = money.studio - money.pro
    assert whole * 19 // 31 <= due <= whole * 21 // 28
    if money is DINARS:
        assert due % 10 == 0
    assert change(buyer, "studio").status_code == 303
    upgraded = plan_grants(shop, buyer)[-1]
    assert abs(upgraded[3] - due) <= 1
    assert 4000 * 19 // 31 <= upgraded[1] <= 4000 * 21 // 28
    customer = shop.member(buyer).customer_id
    invoice = shop.stripe.v1.invoices.list(params={"customer": customer, "limit": 1}).data[0]
    assert (invoice.currency, invoice.amount_paid) == (money.currency.lower(), upgraded[3])

    shop.pass_days(25)
    shop.hear()
    assert ("subscription", 5000, 5000, money.studio) in plan_grants(shop, buyer)
    shop.assert_sound()


@pytest.mark.parametrize(
    ("currency", "price", "credits", "expected"),
    [
        ("EUR", 900, 333, 599),
        ("JPY", 1400, 333, 932),
        ("KWD", 2500, 333, 1660),  # 1.665 would be a coin that Stripe does not take
        ("ISK", 130_000, 333, 86_500),
        ("RSD", 100_000, 333, 66_600),
    ],
)
def test_what_is_unspent_is_worth_no_more_than_stripe_can_give_back(
    currency: str, price: int, credits: int, expected: int
) -> None:
    assert worth(credits=credits, of_credits=500, price_minor=price, currency=currency) == expected


def test_how_many_minor_units_are_one_is_known_in_one_place_only() -> None:
    """No division of money by a hundred, and no decimals of Babel's: they are how people write, not what it costs."""
    elsewhere = re.compile(r"get_currency_precision|minor\w* ?(//?|\*) ?100\b|/ ?100(\.0)?\b.*(minor|price|amount_)")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("webapp", "jobs")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "minor_units.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if elsewhere.search(line)
    ]
    assert found == []
