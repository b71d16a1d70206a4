"""The pages about credits: balance, history, why, playground; and the balance in every page's navigation."""

from flask import Flask


def register(app: Flask) -> None:
    """Add the pages, and what the navigation shows on all the others."""
    from webapp.credits import balance_frame, live, navigation, sandbox_page, your_data
    from webapp.credits.pages import credits
    from webapp.credits.tick import QuietTicks

    live.register(app)
    navigation.register(app)
    sandbox_page.register(app)
    app.register_blueprint(credits)
    app.register_blueprint(balance_frame.embed)
    app.register_blueprint(your_data.blueprint)
    app.wsgi_app = QuietTicks(app)  # type: ignore[method-assign]
