"""What is sold, and what a credit buys."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from webapp import clock
from webapp.catalog import shipped
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.package import Package, PackagePrice, find_package, list_packages
from webapp.catalog.plan import list_plans
from webapp.catalog.rate_book import QuantityOutOfBounds, UnknownFeature, quote
from webapp.catalog.rate_card import Rate, RateCard, list_features, rate_card_in_force
from webapp.catalog.validity import Validity
from webapp.database import unit_of_work


def test_shipped_catalog_is_installed_in_its_order(session: Session) -> None:
    install_shipped_catalog(session)
    packages = ["starter", "standard", "premium", "enterprise"]  # other tests may have made more
    assert [package.code for package in list_packages(session) if package.code in packages] == packages
    plans = ["free", "pro", "pro-yearly", "lifetime"]
    assert [plan.code for plan in list_plans(session) if plan.code in plans] == plans
    features = {"chat-message": 1, "image": 8, "api-call": 1, "export": 12}
    assert features.items() <= {feature.key: feature.credits_per_unit for feature in list_features(session)}.items()


def test_every_shipped_package_has_a_price_in_every_shipped_currency_and_more_credits_cost_less_each() -> None:
    for currency in ("EUR", "USD", "GBP", "JPY"):
        each = [package["prices"][currency] / package["credits"] for package in shipped.PACKAGES]
        assert each == sorted(each, reverse=True)
        assert len(set(each)) == len(each)


def test_installing_again_overwrites_nothing(fresh_app: Flask) -> None:
    with fresh_app.app_context():
        with unit_of_work() as session:
            install_shipped_catalog(session)
            session.execute(update(Package).where(Package.code == "starter").values(name="Anfang", active=False))
            session.execute(text("DELETE FROM package_prices WHERE package = 'premium' AND currency = 'JPY'"))
        with unit_of_work() as session:
            before = session.scalar(select(func.count()).select_from(PackagePrice))
            install_shipped_catalog(session)
            starter = find_package(session, code="starter")
            assert starter is not None
            assert (starter.name, starter.active) == ("Anfang", False)
            assert session.scalar(select(func.count()).select_from(PackagePrice)) == before
            assert "starter" not in [package.code for package in list_packages(session)]


def test_a_quote_multiplies_and_says_how(session: Session) -> None:
    install_shipped_catalog(session)
    found = quote(session, feature="image", quantity=3)
    assert found.credits == 24
    assert found.pricing == {
        "rate_card_version": 1,
        "feature": "image",
        "quantity": 3,
        "lines": [{"quantity": 3, "credits_per_unit": 8, "credits": 24}],
        "credits": 24,
    }


@pytest.mark.parametrize("quantity", [0, -1, True, 1.0, "1", None, 10**15 + 1, 10**15])
def test_a_quantity_out_of_bounds_has_no_price(session: Session, quantity: object) -> None:
    install_shipped_catalog(session)
    with pytest.raises(QuantityOutOfBounds):
        quote(session, feature="image", quantity=quantity)  # type: ignore[arg-type]


@pytest.mark.parametrize("feature", ["", "unknown", "image\x00", "IMAGE", "i" * 10_000])
def test_an_unknown_feature_has_no_price(session: Session, feature: str) -> None:
    install_shipped_catalog(session)
    with pytest.raises(UnknownFeature):
        quote(session, feature=feature)


def test_a_rate_card_published_later_is_not_in_force_and_a_newer_one_is(fresh_app: Flask, fresh_database) -> None:
    import psycopg

    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("INSERT INTO rate_cards VALUES (2, now()), (3, now() + interval '1 day')")
        owner.execute("INSERT INTO rates VALUES (2, 'image', 9), (3, 'image', 10)")
    with fresh_app.app_context(), unit_of_work() as session:
        assert quote(session, feature="image").credits == 9
        assert [feature.key for feature in list_features(session)] == ["image"]


def test_a_published_rate_is_never_edited(session: Session) -> None:
    install_shipped_catalog(session)
    with pytest.raises(DBAPIError, match="permission denied"):
        session.execute(text("UPDATE rates SET credits_per_unit = 99"))


def test_months_are_the_calendars_in_the_owners_time_zone() -> None:
    last_of_august = datetime(2026, 8, 31, 22, 30, tzinfo=UTC)  # 1 September in Berlin
    half_a_year = Validity(months=6)
    assert half_a_year.ends_at(last_of_august, time_zone="UTC") == datetime(2027, 2, 28, 22, 30, tzinfo=UTC)
    assert half_a_year.ends_at(last_of_august, time_zone="Europe/Berlin") == datetime(2027, 2, 28, 23, 30, tzinfo=UTC)
    assert Validity(days=30).ends_at(last_of_august, time_zone="UTC") == datetime(2026, 9, 30, 22, 30, tzinfo=UTC)
    assert Validity().ends_at(last_of_august, time_zone="UTC") is None


def test_a_rate_by_terms_is_quoted_with_its_arithmetic(session: Session) -> None:
    install_shipped_catalog(session)
    session.add(RateCard(version=99, effective_at=clock.now(), published_at=clock.now()))
    session.flush()
    terms = '{"model": "per_unit", "credits": 3, "unit_size": 1000, "rounding": "up"}'
    session.execute(text("INSERT INTO rates (version, feature, terms) VALUES (99, 'image', :terms)"), {"terms": terms})
    found = quote(session, feature="image", quantity=1500)
    assert (found.credits, found.rate_card_version) == (5, 99)
    line = {"quantity": 1500, "credits_per_unit": 3, "unit_size": 1000, "rounding": "up", "credits": 5}
    assert found.lines == [line]
    assert [feature.credits_per_unit for feature in list_features(session)] == [None]


def test_the_card_that_took_effect_last_is_in_force_whenever_it_was_published(session: Session) -> None:
    install_shipped_catalog(session)
    first = session.scalars(select(func.max(RateCard.effective_at))).one()
    for version, microseconds, credits in ((96, 1, 7), (97, 3, 9), (98, 3, 8), (99, 2, 6), (100, 3_600_000_000, 5)):
        moment = first + timedelta(microseconds=microseconds)
        session.add(RateCard(version=version, effective_at=moment, published_at=first))
        session.flush()
        session.add(Rate(version=version, feature="image", credits_per_unit=credits))
    session.flush()
    assert quote(session, feature="image").credits == 8
    card = rate_card_in_force(session)
    assert card is not None
    assert card.version == 98


def test_a_rate_is_credits_for_a_unit_or_terms(session: Session) -> None:
    install_shipped_catalog(session)
    session.add(RateCard(version=99, effective_at=clock.now(), published_at=clock.now()))
    session.flush()
    for values in ("NULL, NULL", "1, '{}'", "NULL, '[]'"):
        with pytest.raises(DBAPIError, match="rates_terms_check"), session.begin_nested():
            session.execute(text(f"INSERT INTO rates VALUES (99, 'image', {values})"))
