"""The rate card in the admin pages: drafted, previewed, published once, and never edited."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from jobs.preview_rate_card import preview_rate_card
from tests.admin.drafting import (
    DRAFT,
    begin_draft,
    draft_of,
    lines,
    own_shop,
    publish,
    seen,
    set_price,
    with_role,
)
from tests.credits.member import Member
from webapp import clock, ledger
from webapp.admin import rate_card_preview as preview_page
from webapp.billing import rate_card_preview
from webapp.billing.rate_card_preview import RateCardPreview
from webapp.catalog.rate_book import quote
from webapp.catalog.rate_card import RateCard
from webapp.catalog.rate_card_file import read_card
from webapp.catalog.rate_card_versions import known_features
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow

__all__ = ["own_shop"]


@pytest.fixture
def finance(own_shop: Flask) -> Member:
    return with_role(own_shop, "finance")


def versions(app: Flask) -> int:
    with app.app_context(), unit_of_work() as session:
        return session.scalars(select(func.count()).select_from(RateCard)).one()


def spend(app: Flask, member: Member, feature: str, quantity: int = 1) -> ledger.Entry:
    with app.app_context(), unit_of_work() as session:
        priced = quote(session, feature=feature, quantity=quantity)
    return member.spend(priced.credits, feature=feature, quantity=quantity, pricing=priced.pricing)


def test_a_spend_is_priced_by_what_was_published_before_it(own_shop: Flask, finance: Member) -> None:
    user = Member(own_shop)
    user.grant(100)
    before = spend(own_shop, user, "image")
    begin_draft(finance)
    assert set_price(finance, "image", model="per_unit", credits="11").status_code == 303
    page = finance.get(DRAFT).text
    assert 'data-feature="image"' in page
    assert spend(own_shop, user, "image").amount == -8, "a draft charges nobody"

    (answer, sent) = publish(finance)
    assert answer.status_code == 303, answer.text
    assert finance.post(f"{DRAFT}/publish", sent, form="/admin/rate-card").status_code == 303, "an impatient finger"
    assert versions(own_shop) == 2
    assert draft_of(own_shop) is None
    after = spend(own_shop, user, "image")
    assert (before.amount, after.amount) == (-8, -11)
    assert before.pricing is not None
    assert after.pricing is not None
    assert (before.pricing["rate_card_version"], after.pricing["rate_card_version"]) == (1, 2)
    (line,) = lines(own_shop, "rate_card.publish")
    assert (line.subject, line.reason) == ("rate-card:2", "New year")
    assert (line.before["image"], line.after["image"]) == ("per_unit, credits = 8", "per_unit, credits = 11")
    assert "Version 2 has been in force" in finance.get("/admin/rate-card").text
    assert "credits = 11" in finance.get("/admin/rate-card/versions/2.toml").text
    assert 'id="changes"' in finance.get("/admin/rate-card/versions/2").text


def test_the_same_draft_published_by_two_makes_one_version(own_shop: Flask, finance: Member) -> None:
    other = with_role(own_shop, "owner")
    begin_draft(finance)
    set_price(finance, "image", model="flat", credits="9")
    path = f"{DRAFT}/publish"
    token = other.token(path)
    _answer, sent = publish(finance)
    refused = other.post_raw(path, {**sent, "submission": "", "csrf_token": token})
    assert refused.status_code == 303
    assert versions(own_shop) == 2


def test_a_version_may_take_effect_later(own_shop: Flask, finance: Member) -> None:
    begin_draft(finance)
    set_price(finance, "image", model="flat", credits="9")
    with own_shop.app_context(), unit_of_work():
        now = clock.now()
    for written, message in [("", "Say the day"), ("2020-01-01T00:00", "past"), ("0001-01-01T00:00", "Say the day")]:
        known = {**seen(finance), "when": "at", "effective_at": written, "reason": "x"}
        answer = finance.post(f"{DRAFT}/publish", known)
        assert answer.status_code == 422, written
        assert message in answer.text, written
    later = (now + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
    (answer, _sent) = publish(finance, when="at", effective_at=later)
    assert answer.status_code == 303
    with own_shop.app_context(), unit_of_work() as session:
        assert quote(session, feature="image").credits == 8
        assert session.get_one(RateCard, 2).effective_at == (now + timedelta(days=3)).replace(second=0, microsecond=0)
    assert "Version 2 is announced" in finance.get("/admin/rate-card").text


def test_a_draft_that_changes_nothing_is_not_published(own_shop: Flask, finance: Member) -> None:
    begin_draft(finance)
    answer = finance.post(f"{DRAFT}/publish", {**seen(finance), "when": "now", "reason": "x"})
    assert answer.status_code == 422
    assert "says the same" in answer.text
    assert versions(own_shop) == 1


def undone(app: Flask) -> list[int]:
    with app.app_context(), unit_of_work() as session:
        rows = select(OutboxRow.id).where(OutboxRow.job == "preview_rate_card", OutboxRow.done_at.is_(None))
        return list(session.scalars(rows))


def test_usage_is_previewed_some_accounts_after_the_others(
    own_shop: Flask, finance: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [Member(own_shop) for _ in range(5)]
    for number, user in enumerate(users, 1):
        user.grant(100)
        spend(own_shop, user, "image", quantity=number)
    spend(own_shop, users[0], "export")
    begin_draft(finance)
    set_price(finance, "image", model="flat", credits="10")
    set_price(finance, "export", step="remove")
    monkeypatch.setattr(rate_card_preview, "ACCOUNTS_AT_ONCE", 2)
    monkeypatch.setattr(preview_page, "SECONDS", 0)  # a page that has no time leaves it to the worker
    path = f"{DRAFT}/preview"
    assert finance.post(path, {"days": "30"}).status_code == 303
    assert 'aria-busy="true"' in finance.get(path).text
    monkeypatch.setattr(rate_card_preview, "JOB_SECONDS", 0)
    steps = 0
    while rows := undone(own_shop):
        (row_id,) = rows
        with own_shop.app_context():
            for _twice in range(2):  # told twice: nothing is counted twice
                preview_rate_card(row_id)
        steps += 1
    assert steps >= 2
    page = finance.get(path).text
    assert 'aria-busy="true"' not in page
    with own_shop.app_context(), unit_of_work() as session:
        figures = rate_card_preview.figures_of(session, preview=session.scalars(select(RateCardPreview)).one())
    image, export = figures.features[1], figures.features[0]
    assert (image.uses, image.before, image.after) == (5, 8 * 15, 50)
    assert (export.uses, export.refused) == (0, 1)
    most = figures.accounts[0]
    assert (most.external_id, most.before, most.after) == (users[4].external_id, 40, 10)
    assert f'data-account="{users[4].account_id}"' in page
    set_price(finance, "image", model="flat", credits="12")
    assert "The draft has changed since" in finance.get(path).text

    finance.post(path, {"days": "7"})
    finance.post(f"{DRAFT}/discard", seen(finance), form=DRAFT)
    (row_id,) = undone(own_shop)
    with own_shop.app_context():
        preview_rate_card(row_id)
    assert undone(own_shop) == [], "nothing is left to do for a draft that is gone"


def test_what_is_drafted_as_text_is_what_the_file_says(own_shop: Flask, finance: Member) -> None:
    known = begin_draft(finance)
    content = (
        '[features.image]\nmodel = "per_unit"\ncredits = 10\nfree = { quantity = 5, per = "day" }\nvariants = [\n'
        '  { when = { plan = "pro", model = "<b>x</b>" }, model = "volume", tiers = '
        "[{ up_to = 10, credits = 9 }, { credits = 8 }] },\n]\n"
    )
    answer = finance.post(f"{DRAFT}/text", {**known, "content": content.replace("\n", "\r\n")})
    assert answer.status_code == 303, answer.text
    with own_shop.app_context(), unit_of_work() as session:
        assert draft_of(own_shop) == read_card(content, features=known_features(session))
    page = finance.get(DRAFT).text
    assert "plan = pro" in page
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x" in page
    # The form keeps what it cannot say, and says the rest.
    assert set_price(finance, "image", model="flat", credits="7", keep_variants="1").status_code == 303
    price = (draft_of(own_shop) or {})["image"]
    assert (price.model, price.credits, price.free, len(price.variants)) == ("flat", 7, None, 1)
    assert "plan = " in finance.get(f"{DRAFT}.toml").text
