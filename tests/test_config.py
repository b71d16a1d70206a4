"""What the environment may say, and what refuses to start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from webapp.config import Settings, UnsafeSettings

ROOT = Path(__file__).parents[1]
LONG = "x" * 40
TEST_MODE = {
    "STRIPE_SECRET_KEY": "sk_test_abc",
    "STRIPE_WEBHOOK_SECRET": "whsec_abc",
    "SECRET_KEY": LONG,
}
LIVE = {
    **TEST_MODE,
    "LEDGER_SEAL_KEY": LONG,
    "STRIPE_SECRET_KEY": "sk_live_abc",
    "BASE_URL": "https://credits.example.com",
    "DATABASE_URL": "postgresql://db/tallystick",
    "REDIS_URL": "redis://cache",
}


def test_an_empty_environment_is_sandbox_mode() -> None:
    settings = Settings.from_environment({})
    assert settings.sandbox
    assert (settings.port, settings.stripe_api_base) == (8000, "http://127.0.0.1:8001")


@pytest.mark.parametrize("environment", [TEST_MODE, LIVE, {**LIVE, "STRIPE_API_BASE": "https://api.stripe.com"}])
def test_whole_environments_with_a_stripe_key_are_not_sandbox_mode(environment: dict[str, str]) -> None:
    assert not Settings.from_environment(environment).sandbox


def test_a_webhook_secret_of_ones_own_stays_sandbox_mode() -> None:
    settings = Settings.from_environment({"STRIPE_WEBHOOK_SECRET": "whsec_mine"})
    assert settings.sandbox
    assert settings.stripe_webhook_secret == "whsec_mine"


@pytest.mark.parametrize("name", ["STRIPE_WEBHOOK_SECRET", "SECRET_KEY"])
@pytest.mark.parametrize("environment", [TEST_MODE, LIVE])
def test_a_stripe_key_without_a_secret_refuses_to_start(environment: dict[str, str], name: str) -> None:
    with pytest.raises(UnsafeSettings, match=name):
        Settings.from_environment({**environment, name: ""})


@pytest.mark.parametrize("name", ["BASE_URL", "DATABASE_URL", "LEDGER_SEAL_KEY"])
def test_live_money_needs_tls_a_seal_and_a_database_of_its_own(name: str) -> None:
    with pytest.raises(UnsafeSettings, match=name):
        Settings.from_environment({**LIVE, name: ""})


@pytest.mark.parametrize(
    "base",
    [
        "http://127.0.0.1:8001",
        "http://127.0.0.1:8001/api.stripe.com",
        "https://api.stripe.com.evil.example",
        "https://api.stripe.com@evil.example",
        "http://api.stripe.com",
    ],
)
def test_a_live_key_is_sent_to_nobody_but_stripe(base: str) -> None:
    with pytest.raises(UnsafeSettings, match="STRIPE_API_BASE is not Stripe"):
        Settings.from_environment({**LIVE, "STRIPE_API_BASE": base})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "a"),
        ("PORT", "0"),
        ("PORT", "70000"),
        ("PORT", "٨٠٠٠"),
        ("BASE_URL", "http://["),
        ("BASE_URL", "http://"),
        ("BASE_URL", "ftp://localhost"),
        ("BASE_URL", "http://localhost:port"),
        ("DATABASE_URL", "mysql://db"),
        ("DATABASE_URL", "postgresql://["),
        ("DATABASE_OWNER_URL", "postgresql://db"),
        ("REDIS_URL", "http://cache"),
        ("MAIL_URL", "http://mail"),
        ("MAIL_URL", "smtp://mail:port"),
        ("STRIPE_API_BASE", "https://api.stripe.com"),
        ("TRUSTED_HOSTS", ","),
        ("CURRENCIES", ","),
        ("CURRENCIES", "EURO"),
        ("CURRENCIES", "XQZ"),
        ("LOCALES", "en,pt_BR"),
        ("LOCALES", "en,xx"),
        ("LOCALES", "de"),
        ("DEFAULT_LOCALE", "nn"),
        ("METRICS_TOKEN", "short"),
        ("BRAND_NAME", "x" * 61),
        ("BRAND_NAME", "two\nlines"),
        ("BRAND_HUE", "361"),
        ("BRAND_HUE", "blue"),
        ("BRAND_LOGO", "/nowhere/logo.svg"),
        ("BRAND_LOGO", "pyproject.toml"),
        ("BRAND_LOGO", "static/img"),
    ],
)
def test_what_means_nothing_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UnsafeSettings, match=name):
        Settings.from_environment({name: value})


def test_every_problem_is_told_at_once_and_without_a_traceback() -> None:
    environment = {"PATH": os.environ["PATH"], "STRIPE_SECRET_KEY": "sk_live_abc", "PORT": "no"}
    command = [sys.executable, "-m", "flask", "--app", "webapp.wsgi", "routes"]
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    for name in ("PORT", "STRIPE_WEBHOOK_SECRET", "SECRET_KEY", "LEDGER_SEAL_KEY", "BASE_URL", "DATABASE_URL"):
        assert f"- {name}" in told.stderr
    assert "Traceback" not in told.stderr
