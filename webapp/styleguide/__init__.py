"""GET /styleguide: every token and every component with its states, for those who build pages. In the sandbox only."""

from flask import Flask

from webapp.config import Settings
from webapp.styleguide import page


def register(app: Flask) -> None:
    """Add the page where there is no real money; elsewhere there is none."""
    settings: Settings = app.config["SETTINGS"]
    if settings.sandbox:
        app.add_url_rule("/styleguide", "styleguide", page.show)
        app.add_url_rule("/styleguide/question", "styleguide_question", page.ask)
