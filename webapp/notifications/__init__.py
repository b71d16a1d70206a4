"""Notifications: what is told to whom, by mail for now."""

from flask import Flask


def register(app: Flask) -> None:
    """Mails are sent by jobs; here is only the way out of them."""
    from webapp.notifications.unsubscribe import blueprint

    app.register_blueprint(blueprint)
