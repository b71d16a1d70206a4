"""The layout that every page shares: header, theme, static files, and the drawings that templates call."""

from flask import Flask

from webapp.layout import assets, drawing, language, navigation, theme


def register(app: Flask) -> None:
    """Serve hashed static files, and give templates the header's data and the drawing functions."""
    assets.register(app)
    drawing.register(app)
    language.register(app)
    navigation.register(app)
    theme.register(app)
