"""`flask rate-card`: export, validate, diff, publish."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import func, select

from webapp import clock, ledger
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.pricing import Pricing
from webapp.catalog.rate_book import quote
from webapp.catalog.rate_card import RateCard, rate_card_in_force
from webapp.catalog.rate_card_versions import EffectiveInThePast, NoSuchVersion, prices_of, publish_card
from webapp.database import unit_of_work

Run = Callable[..., Result]


@pytest.fixture
def run(fresh_app: Flask) -> Run:
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)

    def invoke(*args: str | Path) -> Result:
        return fresh_app.test_cli_runner().invoke(args=["rate-card", *map(str, args)])

    return invoke


@pytest.fixture
def draft(run: Run, tmp_path: Path) -> Path:
    file = tmp_path / "rate-card.toml"
    exported = run("export")
    assert exported.exit_code == 0, exported.exception
    file.write_text(exported.stdout)
    return file


def change(draft: Path, old: str, new: str) -> None:
    content = draft.read_text()
    assert old in content
    draft.write_text(content.replace(old, new))


def versions(app: Flask) -> int:
    with app.app_context(), unit_of_work() as session:
        return session.scalars(select(func.count()).select_from(RateCard)).one()


def cost(app: Flask, feature: str, quantity: int = 1) -> int:
    with app.app_context(), unit_of_work() as session:
        return quote(session, feature=feature, quantity=quantity).credits


def test_what_is_exported_changes_nothing_and_is_not_published_again(run: Run, draft: Path, fresh_app: Flask) -> None:
    assert "[features.image]  # Image\n" in draft.read_text()
    assert run("validate", draft).stdout == "4 prices, all in order.\n"
    assert "No price changes." in run("diff", draft).stdout
    assert "Version 1 says the same: nothing was published." in run("publish", draft).stdout
    assert versions(fresh_app) == 1


def test_a_published_draft_is_in_force_and_the_version_before_it_stays_as_it_was(
    run: Run, draft: Path, fresh_app: Flask
) -> None:
    change(draft, "credits = 8", "credits = 3\nunit_size = 10\nrounding = 'half_up'")
    said = run("diff", draft).stdout
    assert said.splitlines() == [
        "Compared with version 1:",
        "image",
        "  - per_unit, credits = 8",
        '  + per_unit, credits = 3, unit_size = 10, rounding = "half_up"',
    ]
    assert cost(fresh_app, "image", 15) == 120
    published = run("publish", draft)
    assert said in published.stdout
    assert "Published version 2, in force from " in published.stdout
    assert cost(fresh_app, "image", 15) == 5
    assert 'credits = 3\nunit_size = 10\nrounding = "half_up"\n' in run("export").stdout
    assert "credits = 8\n" in run("export", "--version", "1").stdout
    assert run("diff", draft, "--version", "2").stdout == "Compared with version 2:\nNo price changes.\n"


def test_a_version_published_ahead_waits_for_its_time_and_another_may_come_before_it(
    run: Run, draft: Path, fresh_app: Flask
) -> None:
    change(draft, "credits = 8", "credits = 10")
    assert run("publish", draft, "--effective-at", "2h").exit_code == 0
    assert cost(fresh_app, "image") == 8
    change(draft, "credits = 10", "credits = 9")
    assert "until version 2 follows" in run("publish", draft).stdout
    assert cost(fresh_app, "image") == 9
    with fresh_app.app_context():
        with unit_of_work() as session:
            ledger.advance_clock(session, by=timedelta(hours=2))
        with unit_of_work() as session:
            clock.follow(session, movable=True, at_once=True)
    try:
        assert cost(fresh_app, "image") == 10
    finally:
        clock.forget()


def test_a_feature_that_is_left_out_has_no_price_any_more(run: Run, draft: Path, fresh_app: Flask) -> None:
    draft.write_text('[features.image]\nmodel = "flat"\ncredits = 1\n')
    published = run("publish", draft).stdout
    assert "export\n  - per_unit, credits = 12\n    has no price any more\n" in published
    with fresh_app.app_context(), unit_of_work() as session:
        assert list(prices_of(session, version=2)) == ["image"]


@pytest.mark.parametrize("command", ["validate", "diff", "publish"])
def test_a_draft_that_is_wrong_is_refused_with_every_reason(
    run: Run, draft: Path, fresh_app: Flask, command: str
) -> None:
    change(draft, "credits = 8", "credits = 0")
    change(draft, "features.export", "features.exprt")
    refused = run(command, draft)
    assert refused.exit_code == 1
    assert "features.image.credits: must be at least 1" in refused.stderr
    assert "features.exprt: there is no such feature" in refused.stderr
    assert versions(fresh_app) == 1


def test_what_cannot_be_is_refused_in_words(run: Run, draft: Path, fresh_app: Flask) -> None:
    change(draft, "credits = 8", "credits = 10")
    past = run("publish", draft, "--effective-at", "2020-01-01")
    assert past.exit_code == 2
    assert "That is past." in past.stderr
    for version in ("0", "-1", "2", str(2**40)):
        assert "no version" in run("export", "--version", version).stderr
    draft.write_bytes(b"\xff")
    assert "is not UTF-8" in run("validate", draft).stderr
    assert versions(fresh_app) == 1


def test_without_a_rate_card_the_first_is_published_and_nothing_is_exported(fresh_app: Flask, tmp_path: Path) -> None:
    run = fresh_app.test_cli_runner().invoke
    assert "No rate card is in force." in run(args=["rate-card", "export"]).stderr
    with fresh_app.app_context(), unit_of_work() as session:
        assert rate_card_in_force(session) is None
        with pytest.raises(NoSuchVersion):
            prices_of(session, version=1)
        with pytest.raises(EffectiveInThePast):
            publish_card(session, prices={}, effective_at=clock.now() - timedelta(seconds=1))
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
        before = rate_card_in_force(session)
        assert before is not None
        prices = prices_of(session, version=before.version)
        assert publish_card(session, prices=prices).version == before.version + 1


def test_the_prices_page_says_every_way_of_pricing_in_words(run: Run, tmp_path: Path, fresh_app: Flask) -> None:
    file = tmp_path / "rate-card.toml"
    file.write_text("""
features.image = { model = "flat", credits = 5 }
features.api-call = { model = "package", credits = 1, unit_size = 1000, minimum = 3 }
[features.export]
model = "volume"
unit_size = 10
rounding = "up"
tiers = [{ up_to = 10, credits = 9 }, { credits = 7 }]
variants = [{ when = { z = "1", plan = "pro", aaaaaa = "2" }, model = "flat", credits = 1 }]
[features.chat-message]
model = "dimensions"
rounding = "half_up"
rates = [{ dimension = "input_tokens", credits = 3, unit_size = 1000 }, { dimension = "images", credits = 8 }]
""")
    assert run("publish", file).exit_code == 0
    assert "Version 2 says the same" in run("publish", file).stdout
    page = fresh_app.test_client().get("/pricing").text
    words = " ".join(re.sub(r"<[^>]*>", "", page).split())
    assert "5 credits, whatever the quantity" in words
    assert "1 credit per started 1,000, at least 3" in words
    assert "from 7 credits per 10, with other choices another price" in words
    assert "3 credits per 1,000 (input_tokens) + 8 credits (images)" in words


def test_publishing_at_once_gives_each_a_version_of_its_own(run: Run, fresh_app: Flask) -> None:
    start = Barrier(4)

    def publish(credits: int) -> int:
        with fresh_app.app_context(), unit_of_work() as session:
            start.wait()
            return publish_card(session, prices={"image": Pricing(model="flat", credits=credits)}).version

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(publish, range(1, 5))) == [2, 3, 4, 5]
