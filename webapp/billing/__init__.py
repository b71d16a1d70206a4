"""Billing: from "Buy" to credits, exactly once. The only part that imports stripe."""

from flask import Flask


def register(app: Flask) -> None:
    """Add the pricing page, the checkout, the webhook and the client of Stripe to the application."""
    from webapp.billing import (
        cards_page,
        checkout_pages,
        plan_page,
        pricing_page,
        return_page,
        sign_up_terms,
        stripe_api,
        subscribe_page,
        webhook,
    )

    stripe_api.configure(app, app.config["SETTINGS"])
    app.extensions["sign_up_terms"] = sign_up_terms.sign_up_terms
    for page in (pricing_page, checkout_pages, return_page, subscribe_page, plan_page, cards_page, webhook):
        app.register_blueprint(page.blueprint)
