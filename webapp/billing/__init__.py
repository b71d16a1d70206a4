"""Billing: from "Buy" to credits, exactly once. The only part that imports stripe."""

from flask import Flask


def register(app: Flask) -> None:
    """Add the pricing page, the checkout, the webhook and the client of Stripe to the application."""
    from webapp.billing import stripe_api, webhook

    stripe_api.configure(app, app.config["SETTINGS"])
    app.register_blueprint(webhook.blueprint)
