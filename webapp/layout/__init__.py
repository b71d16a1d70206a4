"""The layout that every page shares: header, theme, static files, and the drawings that templates call."""

from flask import Flask

from webapp.layout import assets, brand, drawing, icons, language, navigation, theme


def register(app: Flask) -> None:
    """Serve hashed static files, and give templates the header's data and the drawing functions."""
    assets.register(app)
    brand.register(app)
    drawing.register(app)
    icons.register(app)
    language.register(app)
    navigation.register(app)
    theme.register(app)
