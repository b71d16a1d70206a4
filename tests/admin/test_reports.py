"""Reports and the journal: periods, tables, CSV that spreadsheets and accounting programs read."""

import csv
import io
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from flask import Flask

from tests.credits.member import Member, statements
from webapp.admin.report_query import periods, span_of
from webapp.admin.report_tables import names_for_page
from webapp.database import unit_of_work

__all__ = ["statements"]


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


@pytest.fixture
def sale(member: Member) -> Member:
    """Somebody bought 7 credits for €1.00 and used 3 of them."""
    member.grant(7, "Odd package", source="purchase", cost_minor=100, cost_currency="EUR")
    member.spend(3, feature="=image")
    return member


def table(finance: Member, path: str) -> list[dict[str, str]]:
    answer = finance.download(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"].startswith("attachment")
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_the_page_has_every_table_and_its_csv(finance: Member, sale: Member) -> None:
    page = finance.get("/admin/reports").text
    for key in ("credits", "money", "items", "sources", "features"):
        assert f'data-report="{key}"' in page
        assert f"/admin/reports/{key}.csv?period=" in page
        assert len(table(finance, f"/admin/reports/{key}.csv")) > 1
    assert isinstance(table(finance, "/admin/reports/depletion.csv"), list)


def test_the_page_says_names_and_csv_keys(
    person: Callable[..., Member], finance: Member, sale: Member, shop: Flask
) -> None:
    sale.grant(5, "Welcome", source="sign-up")
    sale.spend(1, feature="image")
    german = person("finance", locale="de")
    for reader, feature, source in ((finance, "Image", "Sign-up credits"), (german, "Bild", "Credits zur Anmeldung")):
        page = reader.get("/admin/reports").text
        assert f'<bdi>{feature}</bdi> <code class="s quiet" dir="ltr">image</code>' in page
        assert f'<bdi>{source}</bdi> <code class="s quiet" dir="ltr">sign-up</code>' in page
        assert "<bdi>=image</bdi>" in page, "which is no feature of the catalog"
    assert "image" in {row["Feature"] for row in table(finance, "/admin/reports/features.csv")}
    with shop.app_context(), unit_of_work() as session:
        names = names_for_page(session)["item"]
    assert (names["package:starter"], names["plan:pro"]) == ("Starter", "Pro")


def test_money_in_csv_is_a_number_with_decimals(finance: Member, sale: Member) -> None:
    before, *rows, total = table(finance, "/admin/reports/money.csv?currency=EUR")
    for name in ("Sold", "Earned by use", "Earned by expiry", "Given back"):
        assert sum(Decimal(row[name]) for row in rows) == Decimal(total[name])
    earned = Decimal(total["Earned by use"]) + Decimal(total["Earned by expiry"]) + Decimal(total["Given back"])
    assert Decimal(before["Still owed"]) + Decimal(total["Sold"]) - earned == Decimal(total["Still owed"])
    assert Decimal(total["Sold"]) >= 1


def test_the_journal_balances_each_day(finance: Member, sale: Member) -> None:
    for unit in ("money", "credits"):
        lines = table(finance, f"/admin/reports/journal.csv?currency=EUR&unit={unit}")
        assert {"date", "journal_number", "account", "account_name", "debit", "credit", "currency", "text"} <= set(
            lines[0]
        )
        days: dict[str, Decimal] = {}
        for line in lines:
            change = Decimal(line["debit"] or 0) - Decimal(line["credit"] or 0)
            days[line["date"]] = days.get(line["date"], Decimal(0)) + change
            assert line["currency"] == ("EUR" if unit == "money" else "CREDITS")
        assert set(days.values()) == {Decimal(0)}


def test_a_feature_that_is_a_formula_is_none_in_a_spreadsheet(finance: Member, sale: Member) -> None:
    names = [row["Feature"] for row in table(finance, "/admin/reports/features.csv")]
    assert "'=image" in names
    assert "=image" not in names


@pytest.mark.parametrize(
    "query",
    [
        "period=2026-13",
        "period=9999-12",
        "period=%00",
        "from=2026-01-01",
        "from=2026-02-01&to=2026-01-01",
        "from=0001-01-01&to=2026-01-01",
        "from=1990-01-01&to=2026-01-01",
        "from=x&to=y",
    ],
)
def test_a_period_that_means_nothing_is_said(finance: Member, query: str) -> None:
    answer = finance.get(f"/admin/reports?{query}")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert finance.get(f"/admin/reports/journal.csv?{query}").status_code == 400
    assert finance.get(f"/admin/reports/money.csv?{query}").status_code == 400


@pytest.mark.parametrize(
    "query", ["period=2026-Q4", "from=2025-01-01&to=2026-12-31", "period=1999-01", "currency=%27", "currency=JPY"]
)
def test_any_other_period_is_shown(finance: Member, query: str) -> None:
    assert finance.get(f"/admin/reports?{query}").status_code == 200


def test_there_is_no_other_table(finance: Member) -> None:
    assert finance.get("/admin/reports/secrets.csv").status_code == 404


def test_months_and_quarters_end_where_the_calendar_says() -> None:
    assert span_of("2028-02") == (date(2028, 2, 1), date(2028, 2, 29))
    assert span_of("2026-12") == (date(2026, 12, 1), date(2026, 12, 31))
    assert span_of("2026-Q1") == (date(2026, 1, 1), date(2026, 3, 31))
    assert span_of("2026-Q4") == (date(2026, 10, 1), date(2026, 12, 31))
    assert span_of("2026-Q5") is None


def test_the_newest_months_and_quarters_are_offered(shop: Flask) -> None:
    with shop.test_request_context():
        offered = [value for value, _words in periods(date(2026, 1, 15))]
    assert offered[:2] == ["2026-01", "2025-12"]
    assert [value for value in offered if "Q" in value] == ["2026-Q1", "2025-Q4", "2025-Q3", "2025-Q2", "2025-Q1"]


def test_another_currency_has_no_share_in_it(finance: Member, member: Member) -> None:
    before = table(finance, "/admin/reports/money.csv?currency=JPY")[-1]
    member.grant(10, "Yen", source="purchase", cost_minor=500, cost_currency="JPY")
    after = table(finance, "/admin/reports/money.csv?currency=JPY")[-1]
    assert Decimal(after["Sold"]) - Decimal(before["Sold"]) == 500


def test_as_many_statements_whatever_was_sold(finance: Member, member: Member, statements: list[str]) -> None:
    finance.get("/admin/reports")
    counts = []
    for _ in range(2):
        del statements[:]
        assert finance.get("/admin/reports").status_code == 200
        counts.append(len(statements))
        for n in range(3):
            member.grant(10, f"Gift {n}", source=f"present-{n}", cost_minor=n, cost_currency="EUR" if n else None)
    assert counts[0] == counts[1] <= 8


def test_a_paid_grant_is_bought_whatever_it_came_from(finance: Member, member: Member) -> None:
    before = table(finance, "/admin/reports/credits.csv")[-1]
    member.grant(10, "Plan", source="subscription", cost_minor=900, cost_currency="EUR")
    member.grant(3, "Gift")
    after = table(finance, "/admin/reports/credits.csv")[-1]
    assert [int(after[name]) - int(before[name]) for name in ("Bought", "Given", "Outstanding")] == [10, 3, 13]
