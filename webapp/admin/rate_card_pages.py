"""The pages of features and of the rate card."""

from flask import Flask

from webapp.admin import (
    feature_ceilings,
    features,
    rate_card,
    rate_card_draft,
    rate_card_preview,
    rate_card_publish,
    rate_card_rate,
)

AREAS = (
    features,
    feature_ceilings,
    rate_card,
    rate_card_draft,
    rate_card_rate,
    rate_card_preview,
    rate_card_publish,
)


def register(app: Flask) -> None:
    """Add them."""
    for area in AREAS:
        app.register_blueprint(area.pages)
