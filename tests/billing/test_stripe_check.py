"""`flask stripe check`: what is configured is looked at, and nothing is changed."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import stripe
from flask import Flask

from tests.billing.conftest import shop as sandbox_shop
from tests.billing.shop import Shop
from tests.stripe_sandbox.conftest import serve
from webapp.billing.events import EVENT_TYPES, HANDLERS, is_handled
from webapp.billing.stripe_check import PERMISSIONS, WEBHOOK_PATH
from webapp.stripe_sandbox import create_sandbox, install

__all__ = ["sandbox_shop"]
KEY = "rk_test_checked"


@pytest.fixture
def shop(fresh_database: Any, make_app: Callable[..., Flask]) -> Iterator[Shop]:
    """A shop that takes the sandbox for Stripe itself, in test mode."""
    install(fresh_database.owner_url)

    def make(url: str) -> Flask:
        return create_sandbox(
            dsn=fresh_database.database_url,
            base_url=url,
            webhook_url=None,
            webhook_secret="whsec_of_an_endpoint",
            background=False,
            api_key=KEY,
        )

    with serve(make) as url:
        app = make_app(
            fresh_database,
            STRIPE_API_BASE=url,
            STRIPE_SECRET_KEY=KEY,
            STRIPE_WEBHOOK_SECRET="whsec_of_an_endpoint",
            SECRET_KEY="s" * 40,
            LEDGER_SEAL_KEY="l" * 40,
            BASE_URL="https://credits.example",
        )
        yield Shop(app=app, sandbox_url=url)


def check(shop: Shop) -> tuple[int, str]:
    found = shop.app.test_cli_runner().invoke(args=["stripe", "check"])
    return found.exit_code, found.output


def endpoint(shop: Shop, **changes: Any) -> Any:
    api = stripe.StripeClient(KEY, base_addresses={"api": shop.sandbox_url}, max_network_retries=0)
    asked = {"url": f"https://credits.example{WEBHOOK_PATH}", "enabled_events": list(EVENT_TYPES), **changes}
    return api.v1.webhook_endpoints.create(asked)  # type: ignore[arg-type]


def test_every_type_of_event_is_handled_and_every_handler_hears_of_something() -> None:
    assert all(is_handled(type) for type in EVENT_TYPES)
    assert all(any(type.startswith(beginning) for type in EVENT_TYPES) for beginning, _handler in HANDLERS)
    assert len(set(EVENT_TYPES)) == len(EVENT_TYPES)


def test_a_key_that_may_and_an_endpoint_that_hears_everything_are_right(shop: Shop) -> None:
    endpoint(shop)
    code, said = check(shop)
    assert code == 0, said
    assert "restricted key of test mode" in said
    assert all(f"may read {name} (needs {access})" in said for name, access in PERMISSIONS)
    assert "gets every event that matters" in said
    assert "All is right." in said


def test_an_endpoint_that_is_not_there_or_misses_events_is_said(shop: Shop) -> None:
    code, said = check(shop)
    assert (code, f"no webhook endpoint leads to https://credits.example{WEBHOOK_PATH}" in said) == (1, True)
    endpoint(shop, enabled_events=[type for type in EVENT_TYPES if type != "refund.failed"])
    code, said = check(shop)
    assert (code, "does not get refund.failed" in said) == (1, True)


def test_an_endpoint_that_hears_everything_there_is_is_right(shop: Shop) -> None:
    endpoint(shop, enabled_events=["*"])
    assert check(shop)[0] == 0


def test_a_key_that_stripe_does_not_know_is_said(shop: Shop) -> None:
    shop.app.extensions["stripe"] = stripe.StripeClient(
        "rk_test_other", base_addresses={"api": shop.sandbox_url}, max_network_retries=0
    )
    code, said = check(shop)
    assert (code, "Stripe does not know the key" in said) == (1, True)


class Forbidding(stripe.RequestsClient):
    """Stripe for a restricted key that lacks a permission."""

    def request(  # type: ignore[override]
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **more: Any
    ) -> Any:
        if "/v1/disputes" in url:
            return '{"error": {"type": "invalid_request_error", "message": "The key lacks a permission."}}', 403, {}
        return super().request(method, url, headers, post_data, **more)


def test_a_permission_that_is_missing_is_named(shop: Shop) -> None:
    endpoint(shop)
    shop.app.extensions["stripe"] = stripe.StripeClient(
        KEY, base_addresses={"api": shop.sandbox_url}, max_network_retries=0, http_client=Forbidding()
    )
    code, said = check(shop)
    assert (code, "may not read Disputes; it needs read access" in said) == (1, True)


def test_purchases_of_another_mode_are_said(shop: Shop, make_app: Callable[..., Flask], fresh_database: Any) -> None:
    endpoint(shop)
    sandbox = Shop(app=make_app(fresh_database, STRIPE_API_BASE=shop.sandbox_url), sandbox_url=shop.sandbox_url)
    with sandbox.app.app_context():
        from webapp.catalog.install import install_shipped_catalog
        from webapp.database import unit_of_work

        with unit_of_work() as session:
            install_shipped_catalog(session)
    sandbox.new_buyer().buy()
    code, said = check(shop)
    assert (code, "holds what was bought in sandbox mode" in said) == (1, True)


def test_while_stripe_is_away_nothing_is_claimed(shop: Shop) -> None:
    shop.app.extensions["stripe"] = stripe.StripeClient(
        KEY, base_addresses={"api": "http://127.0.0.1:9"}, max_network_retries=0
    )
    code, said = check(shop)
    assert (code, "Stripe did not answer" in said) == (1, True)


def test_the_sandbox_needs_no_endpoint(sandbox_shop: Shop) -> None:
    code, said = check(sandbox_shop)
    assert (code, "sandbox mode" in said, "the sandbox sends every event" in said) == (0, True, True), said


def test_the_operator_s_guide_names_every_event_and_permission() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "operator.md").read_text(encoding="utf-8")
    assert [type for type in EVENT_TYPES if f"`{type}`" not in guide] == []
    assert [name for name, _access in PERMISSIONS if name not in guide] == []
