"""People: who they are, how they come in, and what they may do."""

from flask import Flask


def register(app: Flask) -> None:
    """Add log-in and the pages about oneself to the application."""
    from webapp.people import signed_in, views

    signed_in.register(app)
    app.register_blueprint(views.people)
