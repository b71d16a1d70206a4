"""Pages for those who run it: /admin. Who has no role there learns no more than from a page that isn't there."""

from flask import Flask

from webapp.admin import navigation, translations


def register(app: Flask) -> None:
    """Add the pages and their menu."""
    navigation.register(app)
    app.register_blueprint(translations.pages)
