""".env.example has every variable, and shows the defaults that hold."""

import re

from dotenv import dotenv_values

from tests.docs.pages import ROOT
from tests.docs.variables import extra_variables, known_variables, settings_variables
from webapp.config import Settings

EXAMPLE = ROOT / ".env.example"
LINES = re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text("utf-8"), re.MULTILINE)


def test_the_example_names_what_is_read_and_nothing_else() -> None:
    assert settings_variables() >= {"DATABASE_URL", "STRIPE_SECRET_KEY", "PORT"}
    assert extra_variables() >= {"SANDBOX_BASE_URL", "HOST", "WEB_WORKERS"}
    assert {name for name, _ in LINES} == known_variables()


def test_each_variable_stands_there_once() -> None:
    names = [name for name, _ in LINES]
    assert len(names) == len(set(names))


def test_the_values_that_the_example_shows_are_the_defaults() -> None:
    assert Settings.from_environment(dict(LINES)) == Settings.from_environment({})


def test_the_example_as_it_stands_changes_nothing() -> None:
    assert dict(dotenv_values(EXAMPLE)) == {}
