"""Languages: which one a reader gets, how numbers and times look in it, and the catalogs behind the words."""

from flask import Flask

from webapp.extensions import babel
from webapp.i18n import catalogs, content, formats, in_templates, locale


def register(app: Flask) -> None:
    """Choose a locale for every request, read the catalogs, and give templates formats and languages."""
    settings = app.config["SETTINGS"]
    app.config["BABEL_DEFAULT_LOCALE"] = locale.babel_name(settings.default_locale)
    babel.init_app(app, locale_selector=locale.choose, timezone_selector=locale.choose_time_zone)
    catalogs.register(app)
    in_templates.register(app)
    content.register(app)
    formats.register(app)
    locale.register(app)
