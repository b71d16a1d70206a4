"""`flask rate-card preview`: what was used lately, at the prices of a draft."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.api.conftest import Caller, make_secret
from tests.api.test_charging import publish
from tests.api.test_dimensions import put_on_plan
from webapp import clock
from webapp.billing.price_preview import FeaturePreview, PricePreview, preview_prices
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.rate_card_file import read_card
from webapp.catalog.rate_card_versions import known_features
from webapp.database import unit_of_work

TOKENS = """
[features.chat-message]
model = "dimensions"
rounding = "up"
rates = [{ dimension = "tokens", credits = 1, unit_size = 100 }]
variants = [{ when = { size = "s" }, model = "flat", credits = 2 }]
[features.image]
model = "per_unit"
credits = 8
[features.export]
model = "flat"
credits = 12
"""
DRAFT = """
[features.chat-message]
model = "dimensions"
rounding = "up"
rates = [{ dimension = "tokens", credits = 2, unit_size = 100 }]
variants = [
  { when = { size = "s", plan = "pro" }, model = "flat", credits = 1 },
  { when = { size = "s" }, model = "flat", credits = 5 },
]
[features.image]
model = "per_unit"
credits = 10
free = { quantity = 3, per = "month" }
"""


@pytest.fixture
def caller(fresh_app: Flask) -> Caller:
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    return Caller(fresh_app.test_client(), make_secret(fresh_app))


@pytest.fixture
def preview(fresh_app: Flask) -> Callable[[str], PricePreview]:
    def ask(draft: str, **more: Any) -> PricePreview:
        with fresh_app.app_context(), unit_of_work() as session:
            prices = read_card(draft, features=known_features(session))
            now = clock.now()
            return preview_prices(session, prices=prices, since=now - timedelta(days=30), until=now, **more)

    return ask


def figures(one: FeaturePreview) -> tuple[int, int, int, int, int]:
    return one.uses, one.before, one.after, one.refused, one.by_amount


def test_a_draft_is_shown_by_what_was_used(
    fresh_app: Flask, caller: Caller, preview: Callable[..., PricePreview], tmp_path: Path
) -> None:
    publish(fresh_app, TOKENS)
    ada, ben = caller.new_account(credits=1000), caller.new_account(credits=1000)
    put_on_plan(fresh_app, ben, "pro")

    def use(account: str, feature: str, **more: Any) -> str:
        answer = caller.post("/spends", {"account": account, "feature": feature, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.get_json()["id"])

    for account in (ada, ben):
        use(account, "chat-message", dimensions={"tokens": 150})  # 2, would be 3
        use(account, "chat-message", dimensions={"size": "s"})  # 2, would be 5, or 1 on pro
        for quantity in (2, 2):
            use(account, "image", quantity=quantity)  # 16 each, would be 0 and 10
    use(ada, "export")
    caller.spend(ada, 7)  # of no feature
    given_back = use(ada, "image", quantity=50)
    caller.post(f"/spends/{given_back}/refund", {"reason": "Failed"})
    hold = caller.post("/holds", {"account": ben, "feature": "image", "quantity": 4}).get_json()
    caller.post(f"/holds/{hold['id']}/capture", {"amount": 5})

    found = preview(DRAFT)
    assert {one.feature: figures(one) for one in found.features} == {
        "chat-message": (4, 8, 3 + 5 + 3 + 1, 0, 0),
        "image": (4, 64, 20, 0, 1),
        "export": (0, 0, 0, 1, 0),
    }
    assert [(one.external_id, one.difference) for one in found.accounts] == [
        (ben, 3 + 1 + 10 - 36),
        (ada, 3 + 5 + 10 - 36),
    ]
    assert [one.external_id for one in preview(DRAFT, most_accounts=1).accounts] == [ben]
    assert {one.difference for one in preview(TOKENS).features} == {0}

    file = tmp_path / "draft.toml"
    file.write_text(DRAFT)
    run = fresh_app.test_cli_runner().invoke
    told = run(args=["rate-card", "preview", str(file), "--since", "1d"])
    assert told.exit_code == 0, told.output
    assert "image            4       64     20  -44 (-68.8 %)" in told.output
    assert "export: 1 more uses would have been refused" in told.output
    assert f"{ben}" in told.output
    file.write_text(DRAFT.replace("credits = 10", "credits = 0"))
    assert run(args=["rate-card", "preview", str(file)]).exit_code == 1


def test_what_was_used_before_counts_for_what_is_free(caller: Caller, preview: Callable[..., PricePreview]) -> None:
    name = caller.new_account(credits=1000)
    before = clock.now() - timedelta(days=31)
    caller.post("/spends", {"account": name, "feature": "image", "occurred_at": before.isoformat()})
    caller.post("/spends", {"account": name, "feature": "image"})
    [image] = preview(DRAFT).features
    assert figures(image) == (1, 8, 0, 0, 0)


def test_nothing_used_is_nothing_to_show(fresh_app: Flask, caller: Caller, tmp_path: Path) -> None:
    file = tmp_path / "draft.toml"
    file.write_text(DRAFT)
    told = fresh_app.test_cli_runner().invoke(args=["rate-card", "preview", str(file)])
    assert told.output == "Nothing was used in that time.\n"
