"""What everybody sees of the catalog is kept, and a change shows at the next look."""

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.shop_window import shop_window

CHANGES = (
    "UPDATE packages SET name = name || '!' WHERE code = 'starter'",
    "UPDATE package_prices SET price_minor = price_minor + 1 WHERE package = 'starter'",
    "UPDATE packages SET active = false WHERE code = 'starter'",
    "UPDATE plans SET credits_per_month = credits_per_month + 1 WHERE code = 'pro'",
    "UPDATE plan_prices SET price_minor = price_minor + 1 WHERE plan = 'pro'",
    "UPDATE features SET unit = unit || '!' WHERE key = 'image'",
    "INSERT INTO plan_limits SELECT 'pro', 'image', 'day', 5, 'test', now()",
    "INSERT INTO rate_cards SELECT max(version) + 1, max(effective_at), now() FROM rate_cards",
)


def test_a_second_look_finds_what_the_first_has_read(session: Session) -> None:
    install_shipped_catalog(session)
    assert shop_window(session) is shop_window(session)


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_shows_at_the_next_look(session: Session, change: str) -> None:
    install_shipped_catalog(session)
    before = shop_window(session)
    session.execute(text(change))
    assert shop_window(session) is not before
    assert shop_window(session) is shop_window(session)


def test_rows_of_the_shop_window_need_no_session(session: Session) -> None:
    install_shipped_catalog(session)
    window = shop_window(session)
    session.close()
    assert all(package.prices for package in window.packages if package.code in ("starter", "premium"))
    assert {plan.code: bool(plan.prices) for plan in window.plans if plan.code in ("pro", "free")}["pro"]
    assert window.rate_card is not None
    assert window.free_plan
