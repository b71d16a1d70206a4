"""Pages for those who run it: /admin. Who has no role there learns no more than from a page that isn't there."""

from flask import Flask

from webapp.admin import account_grant, audit_log, impersonation, jobs, navigation, translations
from webapp.admin.number import Number


def register(app: Flask) -> None:
    """Add the pages and their menu; `<number:…>` in their paths is an id."""
    app.url_map.converters["number"] = Number
    navigation.register(app)
    app.register_blueprint(translations.pages)
    app.register_blueprint(account_grant.pages)
    app.register_blueprint(audit_log.pages)
    app.register_blueprint(jobs.pages)
    impersonation.register(app)
