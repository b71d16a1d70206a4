"""I18n."""

from flask import Flask


def register(app: Flask) -> None:
    """Add this part to the application."""
